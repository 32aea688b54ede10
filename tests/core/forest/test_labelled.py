"""Labelled cubes: what of a cell there is to add to a seed."""

import numpy as np
import pytest

from ewval.core.forest.labelled import LabelledVolume
from ewval.core.graph.graph import build_graph

ROW = (1, 2, 3, 7, 4, 5)
"""Segments along x, 8 voxels each: 1 to 5 are one cell, which 7 parts into two pieces."""
CELL = 50


@pytest.fixture
def volume() -> LabelledVolume:
    labels = np.repeat(np.array(ROW, np.uint16), 8) * np.ones((8, 8, 1), np.uint16)
    graph = build_graph(np.full(labels.shape, 100, np.uint8), labels)
    members = graph.rows(np.array([1, 2, 3, 4, 5]))
    return LabelledVolume("rows/1", graph, {CELL: members}, {CELL: (members[:1],)})


def to_add(volume: LabelledVolume, *seed: int) -> list[int]:
    rows = volume.to_add(CELL, volume.graph.rows(np.array(seed)))
    return volume.graph.ids[rows].tolist()


def test_another_piece_of_the_cell_is_not_asked_for(volume: LabelledVolume) -> None:
    assert to_add(volume, 1) == [2, 3]
    assert to_add(volume, 5) == [4]


def test_a_seed_in_both_pieces_asks_for_both(volume: LabelledVolume) -> None:
    assert to_add(volume, 2, 4) == [1, 3, 5]


def test_nothing_is_left_to_add_to_a_whole_piece(volume: LabelledVolume) -> None:
    assert to_add(volume, 4, 5) == []


def test_a_foreign_segment_in_the_seed_leads_to_what_it_touches_alone(volume: LabelledVolume) -> None:
    assert to_add(volume, 1, 7) == [2, 3]
