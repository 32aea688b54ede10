"""Forests as the kernels take them, and the log-odds of many rows."""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.kernels.library import address, kernels
from ewval.core.workers import has_one_thread

__all__ = ["ABREAST", "ForestStructure", "HeldForest", "hold_forest", "judge_rows"]

ABREAST = 32
"""Rows of a block, as in forest.h."""
ROWS_A_THREAD = 2000
"""More rows than this are shared between two threads."""


class ForestStructure(ctypes.Structure):
    """`Forest` of forest.h."""

    _fields_ = (
        ("trees", ctypes.c_int64),
        ("depth", ctypes.c_int64),
        ("column", ctypes.c_void_p),
        ("bound", ctypes.c_void_p),
        ("leaf", ctypes.c_void_p),
        ("start", ctypes.c_double),
        ("decisions", ctypes.c_void_p),
    )


@dataclass(frozen=True, slots=True)
class HeldForest:
    """A forest in C, and the arrays that it points to."""

    structure: ForestStructure
    arrays: tuple[NDArray[Any], ...]


def hold_forest(
    column: NDArray[np.int16], bound: NDArray[np.float32], leaf: NDArray[np.float32], start: float
) -> HeldForest | None:
    """Return a `ewval.core.forest.boosting.Forest` as the kernels take it; None where these are missing."""
    if (library := kernels()) is None:
        return None
    held = tuple(
        np.ascontiguousarray(a, dtype=t) for a, t in ((column, np.int16), (bound, np.float32), (leaf, np.float32))
    )
    depth = int(leaf.shape[1]).bit_length() - 1
    decisions = np.empty(leaf.shape, dtype=np.int64)
    structure = ForestStructure(len(column), depth, *map(address, held), start, address(decisions))
    library.forest_lay_out(ctypes.byref(structure))
    return HeldForest(structure, (*held, decisions))


def judge_rows(forest: HeldForest, rows: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Return the log-odds of every row of float32[n, columns]; None where memory is short.

    Raises:
        IndexError: The forest asks about a column that the rows do not have.
    """
    if (library := kernels()) is None:
        return None
    if forest.arrays[0].max(initial=-1) >= rows.shape[1]:
        raise IndexError(f"the forest asks about column {forest.arrays[0].max()} of {rows.shape[1]}")
    rows, odds = np.ascontiguousarray(rows, dtype=np.float32), np.empty(len(rows))

    def judge(part: slice) -> int:
        some = rows[part]
        places = (ctypes.c_void_p(address(a)) for a in (some, odds[part]))
        source, target = places
        count, columns = map(ctypes.c_int64, some.shape)
        return int(library.forest_judge(ctypes.byref(forest.structure), source, count, columns, target))

    if len(rows) < ROWS_A_THREAD or has_one_thread():
        is_short = judge(slice(0, len(rows)))
    else:
        with ThreadPoolExecutor(2) as pool:
            is_short = any(pool.map(judge, (slice(0, len(rows) // 2), slice(len(rows) // 2, len(rows)))))
    return None if is_short else odds
