"""Numbers of a graph in a form that takes a sixth of the room: whole multiples of a step for each column.

The step is a power of two, at most an eighth of how far the column's values spread. So multiples are exact in float32,
a file holds them as small whole numbers, and what is read back are the same bits as what was measured. Finer steps make
no forest better: docs/packing.md.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack_columns", "quantise", "unpack_columns"]

STEPS_A_SPREAD = 8
"""Steps in a standard deviation, at least."""
INNER, DEVIATIONS = (0.05, 0.95), 3.29
"""The spread is taken between these quantiles, so many standard deviations apart where values are normal: a few
outliers must not make the steps of all others coarse."""
ALIKE = 2.0**22
"""Steps up to the value that all of a column's rows share."""
MANTISSA_BITS = 24
LARGEST = 2**24 - 1
"""Multiples up to here are exact in float32."""


def quantise(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32[n, c] with each value at the nearest multiple of its column's step.

    Raises:
        ValueError: A value is NaN or infinite.
    """
    if not np.isfinite(columns).all():
        raise ValueError("a number of the graph is NaN or infinite")
    if not columns.size:
        return columns
    by_column = np.array(columns.T, order="C")
    for column, step in zip(by_column, _steps(by_column), strict=True):
        column[:] = np.clip(np.rint(column / step), -LARGEST, LARGEST) * step
    by_column += 0  # no negative zeros
    return np.ascontiguousarray(by_column.T)


def pack_columns(columns: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Return arrays that hold quantised float32[n, c]: bytes of the multiples, most even ones together, and steps.

    Raises:
        ValueError: The columns are not quantised.
    """
    step = _common_steps(columns)
    multiples = columns.astype(np.float64) / step
    if np.abs(multiples).max(initial=0) > LARGEST:
        raise ValueError("columns that are not quantised")
    whole = multiples.astype(np.int64).T
    folded = np.where(whole < 0, -2 * whole - 1, 2 * whole)  # small numbers of either sign become small ones
    planes = max(1, (int(folded.max(initial=0)).bit_length() + 7) // 8)
    split = np.stack([(folded >> (8 * plane) & 255).astype(np.uint8) for plane in range(planes)])
    return {"planes": split, "step": step.astype(np.float32)}


def unpack_columns(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return what `pack_columns` was given.

    Raises:
        KeyError: An array is missing.
        ValueError: They do not fit each other, or a number is NaN or infinite.
    """
    planes, step = arrays["planes"], arrays["step"]
    if planes.ndim != 3 or planes.dtype != np.uint8 or step.shape != planes.shape[1:2] or not np.isfinite(step).all():
        raise ValueError("planes and steps do not fit")
    folded = np.zeros(planes.shape[1:], dtype=np.int32)
    for place, plane in enumerate(planes):
        folded |= plane.astype(np.int32) << (8 * place)
    whole = np.where(folded & 1, -(folded >> 1) - 1, folded >> 1)
    return np.ascontiguousarray((whole.astype(np.float32) * step[:, None]).T)


def _steps(by_column: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the step of each row of float32[c, n], float64[c]."""
    low, high = np.quantile(by_column.astype(np.float64), INNER, axis=1)
    spread = (high - low) / DEVIATIONS
    flat = spread == 0
    spread[flat] = by_column[flat].std(axis=1, dtype=np.float64)
    wanted = np.where(spread > 0, spread / STEPS_A_SPREAD, np.abs(by_column[:, 0]) / ALIKE)
    return np.asarray(2.0 ** np.floor(np.log2(np.where(wanted > 0, wanted, 1.0))))


def _common_steps(columns: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the largest power of two, for each column, that all of its values are multiples of; 1 for zeros."""
    mantissa, exponent = np.frexp(columns.astype(np.float64))
    whole = np.abs(mantissa * 2.0**MANTISSA_BITS).astype(np.int64)
    lowest = np.where(whole > 0, (whole & -whole) * 2.0 ** (exponent - MANTISSA_BITS), np.inf)
    step = lowest.min(axis=0, initial=np.inf)
    return np.where(np.isfinite(step), step, 1.0)
