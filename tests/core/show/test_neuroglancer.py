"""What neuroglancer is told to show."""

import gc
from urllib.request import urlopen

import numpy as np
import pytest

from ewval.core.show.neuroglancer import fill_viewer, open_viewer, selected
from ewval.core.show.viewer import VolumePicture

DOCUMENT = {"task": 7, "seed": [1, 2], "add": [3], "maybe": [4], "remove": [5]}


def test_the_segments_of_an_answer_are_selected_in_the_colour_of_their_verdict():
    colours = selected(DOCUMENT)
    assert list(colours) == [1, 2, 3, 4, 5]
    assert colours[1] == colours[2] == "#4084f6"
    assert len(set(colours.values())) == 4


@pytest.fixture
def neuroglancer():
    module = pytest.importorskip("neuroglancer")
    yield module
    module.server.stop()


def test_a_viewer_is_served_on_this_machine_alone_and_as_long_as_it_is_held(neuroglancer):
    viewer = open_viewer(DOCUMENT, a_volume())
    address = str(viewer)
    assert address.startswith("http://127.0.0.1")
    gc.collect()
    with urlopen(address) as reply:
        assert b"neuroglancer" in reply.read()


@pytest.mark.parametrize(("edge", "nm"), [(64, [66.0, 66.0, 92.0]), (256, [16.5, 16.5, 23.0])])
def test_both_layers_are_shown_around_the_seed(neuroglancer, edge, nm):
    viewer = neuroglancer.Viewer()
    fill_viewer(viewer, DOCUMENT, a_volume(edge))
    state = viewer.state.to_json()
    assert {axis: round(size * 1e9, 6) for axis, (size, _) in state["dimensions"].items()} == dict(
        zip("xyz", nm, strict=True)
    )
    assert state["position"] == [40.5, 20.5, 10.5]
    assert [layer["name"] for layer in state["layers"]] == ["image", "segments"]
    assert state["layers"][1]["segments"] == ["1", "2", "3", "4", "5"]
    assert state["layers"][1]["segmentColors"]["1"] == "#4084f6"


def a_volume(edge=64):
    labels = np.full((edge, edge, edge), 9, np.uint16)
    labels[10, 20, 40] = 1
    return VolumePicture(np.zeros(labels.shape, np.uint8), labels)
