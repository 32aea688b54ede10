"""Passes over all voxels of a cube in C; each function returns None where the kernels are not there."""

import ctypes
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.kernels.library import kernels, place, whole

__all__ = ["Smoothed", "close_gaps", "count_labels", "depth_steps", "smooth", "touched_sides"]

FAR = 30_000
"""More steps than any cube is wide."""
PLACES = 2**32
"""How many a place of 32 bits can tell apart."""
LANES, PARITIES = 4, 2
"""Counts of their own that voxels side by side have."""


class _Shape(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int64) for name in ("z", "y", "x", "pad"))


class Smoothed(NamedTuple):
    """Fields: sums over 3^3 voxels, padded; how often each occurs in segments, int64[bins]; and by label count, sum and
    sum of squares of every second along x, int64[3, SEGMENT_ID_COUNT].
    """

    sums: NDArray[np.uint16]
    histogram: NDArray[np.int64]
    moments: NDArray[np.int64]


def count_labels(labels: NDArray[np.uint16]) -> NDArray[np.int64] | None:
    """Return how often each label occurs, int64[SEGMENT_ID_COUNT]."""
    if (library := kernels()) is None:
        return None
    counts, labels = np.zeros((LANES, SEGMENT_ID_COUNT), dtype=np.uint32), np.ascontiguousarray(labels)
    library.cube_count(place(labels), whole(labels.size), place(counts))
    return np.asarray(counts.sum(axis=0), dtype=np.int64)


def close_gaps(
    labels: NDArray[np.uint16], table: NDArray[np.uint16], *, pad: int, steps: int, unassigned: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]] | None:
    """Return rows of the segment table and gaps as in `ewval.core.graph.contacts.Padded`; `unassigned` is above 127."""
    wide = [n + 2 * pad for n in labels.shape]
    if (library := kernels()) is None or prod(wide) > PLACES:
        return None
    labels, shape = np.ascontiguousarray(labels), _shape(labels, pad)
    rows, gap = np.zeros(wide, dtype=np.uint16), np.zeros(wide, dtype=np.uint8)
    left = np.empty(labels.size, dtype=np.uint32)
    scratch = np.zeros((4, labels.shape[2]), dtype=np.uint16)
    outputs = place(rows), place(gap), place(left)
    count = library.cube_pad(place(labels), shape, place(table), ctypes.c_uint8(unassigned), *outputs, place(scratch))
    nearest = np.empty(count, dtype=np.uint16)
    library.cube_close_gaps(place(rows), place(gap), shape, place(left), whole(count), whole(steps), place(nearest))
    return rows, gap


def smooth(image: NDArray[np.uint8], labels: NDArray[np.uint16], *, pad: int, bins: int) -> Smoothed | None:
    """Return the smoothed image, with the edge repeated beyond it and `pad` times in a margin."""
    if (library := kernels()) is None:
        return None
    image, labels = np.ascontiguousarray(image), np.ascontiguousarray(labels)
    sums = np.empty([n + 2 * pad for n in image.shape], dtype=np.uint16)
    scratch = np.empty((2, *image.shape[1:]), dtype=np.uint16)
    counts = np.zeros((PARITIES, bins), dtype=np.uint32)
    moments = np.zeros((SEGMENT_ID_COUNT, PARITIES, 3), dtype=np.int64)
    found = place(counts), place(moments)
    library.cube_smooth(
        place(image), place(labels), _shape(image, pad), place(sums), place(scratch), whole(bins), *found
    )
    return Smoothed(sums, np.asarray(counts.sum(axis=0), dtype=np.int64), moments.sum(axis=1).T)


def depth_steps(labels: NDArray[np.uint16], *, bins: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]] | None:
    """Return the chessboard distance to the nearest voxel that borders on another label, and the most of each label.

    There must be two labels at least.
    """
    if (library := kernels()) is None or max(labels.shape) >= FAR:
        return None
    steps, most = np.full(labels.shape, FAR, dtype=np.uint16), np.zeros(bins, dtype=np.uint16)
    library.cube_depth(place(labels), *map(whole, labels.shape), place(steps), place(most))
    return steps, most


def touched_sides(labels: NDArray[np.uint16], *, margin: int) -> NDArray[np.bool_] | None:
    """Return which sides, z low, z high, ..., each label comes within `margin` voxels of: bool[SEGMENT_ID_COUNT, 6]."""
    if (library := kernels()) is None:
        return None
    labels, sides = np.ascontiguousarray(labels), np.zeros((SEGMENT_ID_COUNT, 6), dtype=np.bool_)
    library.cube_sides(place(labels), _shape(labels, 0), whole(margin), place(sides))
    return sides


def _shape(array: NDArray[Any], pad: int) -> Any:
    return ctypes.byref(_Shape(*array.shape, pad))
