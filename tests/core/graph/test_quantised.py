"""Quantised numbers are near what was measured, come back bit for bit, and hold no NaN."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ewval.core.graph.quantised import pack_columns, quantise, unpack_columns

COLUMNS = arrays(
    np.float32,
    st.tuples(st.integers(0, 20), st.integers(1, 4)),
    elements=st.floats(-(2.0**60), 2.0**60, width=32),
)


@given(COLUMNS)
def test_what_is_kept_comes_back_bit_for_bit(columns: np.ndarray) -> None:
    quantised = quantise(columns)
    again = unpack_columns(pack_columns(quantised))
    assert again.dtype == np.float32
    assert again.tobytes() == quantised.tobytes()


def test_values_move_by_a_sixteenth_of_their_spread_at_most() -> None:
    random = np.random.default_rng(0)
    columns = (random.normal(size=(5000, 3)) * [0.01, 1, 300] + [5, 0, -2]).astype(np.float32)
    moved = np.abs(quantise(columns) - columns).max(axis=0)
    assert (moved <= columns.std(axis=0) / 15).all()
    assert (moved > 0).all()


def test_outliers_and_constants_keep_their_neighbours_apart() -> None:
    values = np.linspace(0, 1, 1000, dtype=np.float32)
    values[0] = 1e6
    columns = np.stack([values, np.full(1000, 3.25, np.float32), np.zeros(1000, np.float32)], axis=1)
    quantised = quantise(columns)
    assert len(np.unique(quantised[:, 0])) > 20
    assert (quantised[:, 1] == 3.25).all()
    assert not quantised[:, 2].any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        quantise(np.array([[value]], np.float32))
    packed = pack_columns(np.ones((2, 1), np.float32))
    with pytest.raises(ValueError, match="do not fit"):
        unpack_columns(packed | {"step": np.array([value], np.float32)})


def test_columns_that_are_not_quantised_are_no_whole_numbers_of_a_step() -> None:
    with pytest.raises(ValueError, match="not quantised"):
        pack_columns(np.array([[1e6], [1e-6]], np.float32))
