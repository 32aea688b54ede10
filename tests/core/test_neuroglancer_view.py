"""What neuroglancer is told to show."""

import numpy as np
import pytest

from ewval.core.neuroglancer_view import open_viewer, selected
from ewval.core.viewer import VolumePicture

DOCUMENT = {"task": 7, "seed": [1, 2], "add": [3], "maybe": [4], "remove": [5]}


def test_the_segments_of_an_answer_are_selected_in_the_colour_of_their_verdict():
    colours = selected(DOCUMENT)
    assert list(colours) == [1, 2, 3, 4, 5]
    assert colours[1] == colours[2] == "#4084f6"
    assert len(set(colours.values())) == 4


def test_a_viewer_serves_both_layers():
    neuroglancer = pytest.importorskip("neuroglancer")
    volume = VolumePicture(np.zeros((64, 64, 64), np.uint8), np.ones((64, 64, 64), np.uint16))
    try:
        assert open_viewer(DOCUMENT, volume).startswith("http://127.0.0.1")
    finally:
        neuroglancer.server.stop()
