import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ewval.core.volumes.voxels import VoxelIndex, count_values, mask_of

LABELS = st.integers(0, 9).map(
    lambda seed: np.random.Generator(np.random.PCG64(seed)).choice([0, 1, 2, 4463, 65_535], (4, 5, 6)).astype(np.uint16)
)
IDS = st.sets(st.one_of(st.sampled_from([0, 1, 2, 4463, 65_535, 65_536, 69_999]), st.integers(0, 2**32 - 1)))


def as_array(ids: set[int]) -> np.ndarray:
    return np.array(sorted(ids), dtype=np.uint32)


@given(LABELS, IDS)
def test_a_mask_is_where_the_ids_are_without_the_boundary(labels: np.ndarray, ids: set[int]) -> None:
    expected = np.isin(labels.astype(np.int64), [i for i in ids if i != 0])
    assert np.array_equal(mask_of(labels, as_array(ids)), expected)
    index = VoxelIndex.of(labels)
    assert np.array_equal(index.filled(as_array(ids), inside=True, outside=False, dtype=np.bool_), expected)
    assert np.array_equal(np.sort(index.positions(as_array(ids))), np.flatnonzero(expected))


@given(LABELS, IDS)
def test_other_values_go_where_the_mask_goes(labels: np.ndarray, ids: set[int]) -> None:
    filled = VoxelIndex.of(labels).filled(as_array(ids), inside=1.0, outside=10.0, dtype=np.float32)
    assert filled.dtype == np.float32
    assert np.array_equal(filled, np.where(mask_of(labels, as_array(ids)), 1, 10))


def test_a_mask_may_be_taken_of_a_part() -> None:
    labels = np.arange(27, dtype=np.uint16).reshape(3, 3, 3)
    assert np.argwhere(mask_of(labels[:, 1:, ::2], as_array({3, 5, 7}))).tolist() == [[0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("slices", [0, 1, 8, 19])
def test_values_counted_by_slabs_are_those_counted_at_once(slices: int) -> None:
    random = np.random.default_rng(slices)
    values = random.integers(0, 300, (slices, 5, 7)).astype(np.uint16)
    weights = random.integers(-9, 9, values.shape)
    assert np.array_equal(count_values(values, bins=300), np.bincount(values.ravel(), minlength=300))
    summed = np.bincount(values.ravel(), weights.ravel(), minlength=300)
    assert np.array_equal(count_values(values, bins=300, weights=weights), summed)
