"""The decisions of a level of a tree, and the way of rows down one level."""

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.kernels.library import kernels, place

__all__ = ["Splits", "choose", "descend"]

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Splits:
    """What is asked of the level of a tree.

    Args:
        nodes: How many there are.
        bins: In a column.
        ridge: Pull of leaf values towards zero, above 0.
        least: Curvature that each side must hold.
    """

    nodes: int
    bins: int
    ridge: float
    least: float


def choose(
    codes: NDArray[np.uint8],
    rows: Int64s,
    columns: Int64s,
    node: Int64s,
    pull: Float64s,
    curvature: Float64s,
    *,
    splits: Splits,
) -> tuple[Int64s, Float64s]:
    """Return the best decision of every node, int64[nodes], as place among columns times bins, and its gain.

    The place says the column, by its place in `columns`, and the last bin that goes left. The same bits with the
    kernels and without.

    Args:
        codes: uint8[n, c], the bin of each value.
        rows: int64[k], which rows are looked at.
        columns: int64[w], which columns.
        node: int64[n], of each row.
        pull: float64[n].
        curvature: float64[n].
        splits: What is asked.
    """
    nodes, bins = splits.nodes, splits.bins
    if (library := kernels()) is None:
        return _choose(_add_up(codes, rows, columns, node, pull, curvature, splits=splits), splits)
    best, gain = np.empty(nodes, np.int64), np.empty(nodes)
    sums, gains = np.zeros((nodes, len(columns), bins, 2)), np.empty(bins)
    library.histogram_choose(
        *_places(codes, codes.shape[1], rows, len(rows), columns, len(columns), node, pull, curvature, bins, nodes),
        *_places(splits.ridge, splits.least, sums, gains, best, gain),
    )
    return best, gain


def _add_up(
    codes: NDArray[np.uint8],
    rows: Int64s,
    columns: Int64s,
    node: Int64s,
    pull: Float64s,
    curvature: Float64s,
    *,
    splits: Splits,
) -> Float64s:
    """Return sums of `pull` and of `curvature` by node, column and bin, float64[2, nodes, columns, bins]."""
    sums = np.zeros((2, splits.nodes, len(columns), splits.bins))
    keys = codes[np.ix_(rows, columns)].astype(np.int64) + np.arange(len(columns)) * splits.bins
    keys += (node[rows] * len(columns) * splits.bins)[:, None]
    for total, values in zip(sums, (pull, curvature), strict=True):
        weights = np.repeat(values[rows], len(columns))
        total[:] = np.bincount(keys.reshape(-1), weights, minlength=total.size).reshape(total.shape)
    return sums


def _choose(sums: Float64s, splits: Splits) -> tuple[Int64s, Float64s]:
    left = sums.cumsum(axis=3)
    gain = _gain(left[0], left[1], splits).reshape(splits.nodes, -1)
    best = gain.argmax(axis=1)
    return best, gain[np.arange(len(gain)), best]


def _gain(pull: Float64s, curvature: Float64s, splits: Splits) -> Float64s:
    ridge, least = splits.ridge, splits.least
    all_pull, all_curvature = pull[:, :, -1:], curvature[:, :, -1:]
    rest = all_curvature - curvature
    split = pull**2 / (curvature + ridge) + (all_pull - pull) ** 2 / (rest + ridge)
    gain = split - all_pull**2 / (all_curvature + ridge)
    return np.where((curvature >= least) & (rest >= least), gain, 0.0)


def descend(codes: NDArray[np.uint8], node: Int64s, *, column: Int64s, cut: Int64s) -> Int64s:
    """Return the node of each row one level down: right if its value in the node's column lies above the node's cut."""
    if (library := kernels()) is None:
        return np.asarray(2 * node + (codes[np.arange(len(codes)), column[node]] > cut[node]))
    below = node.copy()
    library.histogram_descend(*_places(codes, codes.shape[1], len(codes), column, cut, below))
    return below


def _places(*values: NDArray[np.generic] | float) -> list[ctypes.c_void_p | ctypes.c_int64 | ctypes.c_double]:
    return [_argument(value) for value in values]


def _argument(value: NDArray[np.generic] | float) -> ctypes.c_void_p | ctypes.c_int64 | ctypes.c_double:
    if isinstance(value, float):
        return ctypes.c_double(value)
    return ctypes.c_int64(value) if isinstance(value, int) else place(value)
