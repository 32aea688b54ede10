"""Where segments touch, checked against a plain count of faces."""

import numpy as np
import pytest

from block_cube import block_cube
from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.graph.contacts import FACES_KEPT, GAP_STEPS, PAD, Padded, find_contacts, pad_labels


@pytest.fixture(scope="module")
def tissue_rows() -> np.ndarray:
    """A small cube whose segments are numbered from 1 without gaps."""
    labels = block_cube()["labels"]
    return (np.searchsorted(np.unique(labels), labels)).astype(np.uint16)


def slabs(*, gap: int, edge: int = 20) -> np.ndarray:
    """Two slabs along z with `gap` zero sections between them."""
    rows = np.zeros((edge, edge, edge), dtype=np.uint16)
    rows[: edge // 2] = 1
    rows[edge // 2 + gap :] = 2
    return rows


def padded_rows(rows: np.ndarray) -> Padded:
    return pad_labels(rows, np.arange(SEGMENT_ID_COUNT, dtype=np.uint16))


@pytest.mark.parametrize("gap", [0, 1, 2, 3, 2 * GAP_STEPS])
def test_segments_touch_across_a_thin_boundary_and_by_their_whole_face(gap: int) -> None:
    contacts = find_contacts(padded_rows(slabs(gap=gap)), count=2)
    assert contacts.pairs.tolist() == [[0, 1]]
    assert contacts.area.tolist() == [400]


def test_segments_further_apart_than_a_boundary_do_not_touch() -> None:
    contacts = find_contacts(padded_rows(slabs(gap=2 * GAP_STEPS + 1)), count=2)
    assert contacts.pairs.shape == (0, 2)


def test_the_gap_is_kept_where_it_was_closed() -> None:
    padded = padded_rows(slabs(gap=2))
    column = padded.gap[PAD:-PAD, PAD, PAD]
    assert column[8:14].tolist() == [0, 0, 1, 1, 0, 0]


def test_inward_leads_into_the_first_segment_and_back_into_the_second() -> None:
    padded = padded_rows(slabs(gap=0)[::-1].copy())
    contacts = find_contacts(padded, count=2)
    labels = padded.labels.reshape(-1)
    for depth in range(5):
        assert (labels[contacts.low + depth * contacts.inward] == 1).all()
        assert (labels[contacts.high - depth * contacts.inward] == 2).all()


def test_areas_are_those_of_a_plain_count(tissue_rows: np.ndarray) -> None:
    padded = padded_rows(tissue_rows)
    counted: dict[tuple[int, int], int] = {}
    for axis in range(3):
        along = np.moveaxis(padded.cube, axis, 0)
        for one, other in zip(along[:-1].reshape(-1).tolist(), along[1:].reshape(-1).tolist(), strict=True):
            if one != other and one and other:
                pair = (min(one, other) - 1, max(one, other) - 1)
                counted[pair] = counted.get(pair, 0) + 1
    contacts = find_contacts(padded, count=int(tissue_rows.max()))
    assert dict(zip(map(tuple, contacts.pairs.tolist()), contacts.area.tolist(), strict=True)) == counted


def test_large_contacts_are_measured_on_a_sample_and_small_ones_whole(tissue_rows: np.ndarray) -> None:
    contacts = find_contacts(padded_rows(tissue_rows), count=int(tissue_rows.max()))
    small = contacts.area < 2 * FACES_KEPT
    assert (contacts.sampled[small] == contacts.area[small]).all()
    assert (contacts.sampled >= np.minimum(contacts.area, FACES_KEPT / 2)).all()
    assert (contacts.sampled <= 3 * FACES_KEPT).all()


def test_pairs_are_the_same_whether_counted_in_a_table_or_sorted(
    tissue_rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    padded = padded_rows(tissue_rows)
    counted = find_contacts(padded, count=int(tissue_rows.max()))
    monkeypatch.setattr("ewval.core.graph.contacts.DENSE_TABLE", 0)
    sorted_ = find_contacts(padded, count=int(tissue_rows.max()))
    assert (counted.pairs == sorted_.pairs).all()
    assert (counted.area == sorted_.area).all()
    assert (counted.pair == sorted_.pair).all()
