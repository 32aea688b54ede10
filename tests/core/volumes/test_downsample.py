"""Downsampling is bit-equal to the plain loops, whatever the blocks hold."""

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from ewval.core.errors import UsageError
from ewval.core.volumes.downsample import FACTORS, downsample_image, downsample_labels
from raw_volumes import plain_mean, plain_modes

BLOCKS = st.tuples(*[st.integers(1, 3)] * 3)


@st.composite
def volumes(draw: st.DrawFn, dtype: type, values: st.SearchStrategy[int]) -> tuple[np.ndarray, int]:
    """A volume of some blocks, not always a cube, filled with `values` or mostly with one of them."""
    factor = draw(st.sampled_from(FACTORS))
    shape = tuple(blocks * factor for blocks in draw(BLOCKS))
    return draw(
        arrays.arrays(dtype, shape, elements=values, fill=draw(st.sampled_from([st.nothing(), values])))
    ), factor


LABELS = st.sampled_from([0, 0, 1, 2, 3, 255, 256, 32768, 65534, 65535]) | st.integers(0, 65535)


@settings(max_examples=80, deadline=None)
@given(volumes(np.uint16, LABELS))
def test_label_mode_equals_the_plain_loop(case: tuple[np.ndarray, int]) -> None:
    labels, factor = case
    before = labels.copy()
    assert np.array_equal(downsample_labels(labels, factor=factor), plain_modes(labels, factor=factor))
    assert np.array_equal(labels, before)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("values", [1, 2, 3, 5, 9, 70, 65536])
def test_label_mode_equals_the_plain_loop_on_noise(factor: int, values: int) -> None:
    labels = np.random.default_rng(values).integers(0, values, (24, 16, 40), np.uint16)
    labels[labels == values - 1] = 65535
    assert np.array_equal(downsample_labels(labels, factor=factor), plain_modes(labels, factor=factor))


def test_label_mode_equals_the_plain_loop_where_work_is_cut_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ewval.core.volumes.downsample.CHUNK_WORDS", 16 * 10)  # 10 blocks of 4^3
    labels = np.random.default_rng(0).integers(0, 6, (24, 16, 32), np.uint16)
    assert np.array_equal(downsample_labels(labels, factor=4), plain_modes(labels, factor=4))


def block(*runs: tuple[int, int]) -> np.ndarray:
    """A 4^3 block of (label, voxels) runs."""
    return np.repeat(*np.array(runs, np.uint16).T).astype(np.uint16).reshape(4, 4, 4)


@pytest.mark.parametrize(
    ("first", "rest", "expected"),
    [
        pytest.param([(0, 64)], [(9, 64)], 0, id="nothing but 0"),
        pytest.param([(0, 63), (65535, 1)], [(9, 64)], 65535, id="one voxel beats 63 zeros"),
        pytest.param([(7, 32), (9, 32)], [(9, 64)], 7, id="tie: 7 is smaller in the volume"),
        pytest.param([(7, 32), (9, 32)], [(7, 64)], 9, id="tie: 9 is smaller in the volume"),
        pytest.param([(7, 32), (9, 32)], [(8, 64)], 7, id="tie twice: the smaller id"),
        pytest.param([(0, 4), (5, 20), (7, 20), (9, 20)], [(5, 30), (7, 20), (9, 14)], 9, id="tie of three"),
        pytest.param([(7, 31), (9, 33)], [(9, 64)], 9, id="no tie: size does not matter"),
        pytest.param([(65534, 32), (65535, 32)], [(65534, 64)], 65535, id="extreme ids"),
    ],
)
def test_ties_go_to_the_label_that_is_smallest_in_the_whole_volume(
    first: list[tuple[int, int]], rest: list[tuple[int, int]], expected: int
) -> None:
    labels = np.concatenate([block(*first), block(*rest)])
    assert downsample_labels(labels, factor=4)[0, 0, 0] == expected


def test_counts_beyond_a_byte_are_told_apart() -> None:
    labels = np.repeat(np.array([7, 9], np.uint16), [300, 212]).reshape(8, 8, 8)
    assert downsample_labels(labels, factor=8).item() == 7


def test_views_in_any_memory_order_give_the_same_labels() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (8, 8, 8), np.uint16)
    assert np.array_equal(downsample_labels(labels.T, factor=4), plain_modes(labels.T, factor=4))
    assert np.array_equal(downsample_labels(labels.astype(">u2"), factor=4), plain_modes(labels, factor=4))


def test_factor_1_gives_a_copy() -> None:
    labels = np.ones((2, 3, 5), np.uint16)
    copy = downsample_labels(labels, factor=1)
    copy[:] = 0
    assert labels.all()


@settings(max_examples=50, deadline=None)
@given(volumes(np.uint8, st.sampled_from([0, 1, 2, 254, 255]) | st.integers(0, 255)))
def test_image_mean_equals_the_plain_loop(case: tuple[np.ndarray, int]) -> None:
    image, factor = case
    assert np.array_equal(downsample_image(image, factor=factor), plain_mean(image, factor=factor))


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize(("whole", "expected"), [(0, 0), (1, 2), (2, 2), (3, 4), (253, 254), (254, 254)])
def test_a_mean_that_ends_in_a_half_goes_to_the_even_neighbour(factor: int, whole: int, expected: int) -> None:
    image = np.full((factor,) * 3, whole, np.uint8)
    image[: factor // 2] += 1
    assert downsample_image(image, factor=factor).item() == expected


@pytest.mark.parametrize("downsample", [downsample_image, downsample_labels])
@pytest.mark.parametrize("factor", [0, -4, 3, 16])
def test_another_factor_is_refused(downsample: type, factor: int) -> None:
    with pytest.raises(UsageError, match=f"factor {factor} is none of 1, 2, 4, 8"):
        downsample(np.zeros((16, 16, 16), np.uint16), factor=factor)


@pytest.mark.parametrize("shape", [(8, 8, 6), (8, 8), (7, 8, 8)])
@pytest.mark.parametrize("downsample", [downsample_image, downsample_labels])
def test_a_shape_that_the_factor_does_not_divide_is_refused(downsample: type, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=f"factor 4 does not divide the shape {' x '.join(map(str, shape))}"):
        downsample(np.zeros(shape, np.uint16), factor=4)
