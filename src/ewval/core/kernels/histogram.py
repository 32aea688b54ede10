"""The sums from which a tree chooses its decisions, and the way of rows down one level."""

import ctypes

import numpy as np
from numpy.typing import NDArray

from ewval.core.kernels.library import address, kernels

__all__ = ["add_up", "descend"]

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]


def add_up(
    codes: NDArray[np.uint8],
    rows: Int64s,
    columns: Int64s,
    node: Int64s,
    pull: Float64s,
    curvature: Float64s,
    *,
    nodes: int,
    bins: int,
) -> Float64s:
    """Return sums of `pull` and of `curvature` by node, column and bin, float64[2, nodes, columns, bins].

    The same bits with the kernels and without.

    Args:
        codes: uint8[n, c], the bin of each value.
        rows: int64[k], which rows are added up.
        columns: int64[w], which columns.
        node: int64[n], of each row.
        pull: float64[n].
        curvature: float64[n].
        nodes: How many there are.
        bins: In a column.
    """
    sums = np.zeros((2, nodes, len(columns), bins))
    if (library := kernels()) is None:
        keys = codes[np.ix_(rows, columns)].astype(np.int64) + np.arange(len(columns)) * bins
        keys += (node[rows] * len(columns) * bins)[:, None]
        for total, values in zip(sums, (pull, curvature), strict=True):
            weights = np.repeat(values[rows], len(columns))
            total[:] = np.bincount(keys.reshape(-1), weights, minlength=total.size).reshape(total.shape)
        return sums
    library.histogram_add(
        *_places(codes, codes.shape[1], rows, len(rows), columns, len(columns), node, pull, curvature),
        *_places(bins, sums[0].size, sums),
    )
    return sums


def descend(codes: NDArray[np.uint8], node: Int64s, *, column: Int64s, cut: Int64s) -> Int64s:
    """Return the node of each row one level down: right if its value in the node's column lies above the node's cut."""
    if (library := kernels()) is None:
        return np.asarray(2 * node + (codes[np.arange(len(codes)), column[node]] > cut[node]))
    below = node.copy()
    library.histogram_descend(*_places(codes, codes.shape[1], len(codes), column, cut, below))
    return below


def _places(*values: NDArray[np.generic] | int) -> list[ctypes.c_void_p | ctypes.c_int64]:
    return [ctypes.c_int64(v) if isinstance(v, int) else ctypes.c_void_p(address(v)) for v in values]
