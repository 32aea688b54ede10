"""Passes over all voxels of a cube in C; each function returns None where the kernels are not there."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.kernels.library import kernels, place, whole

__all__ = [
    "close_gaps", "count_labels", "count_sums", "distance_steps", "relabel", "segment_moments", "smooth",
    "touched_sides",
]  # fmt: skip

FAR = 60_000
"""More steps than any cube is wide."""


class _Shape(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int64) for name in ("z", "y", "x", "pad"))


def count_labels(labels: NDArray[np.uint16]) -> NDArray[np.int64] | None:
    """Return how often each label occurs, int64[65536]."""
    if (library := kernels()) is None:
        return None
    counts, labels = np.zeros(1 << 16, dtype=np.int64), np.ascontiguousarray(labels)
    library.cube_count(place(labels), whole(labels.size), place(counts))
    return counts


def relabel(labels: NDArray[np.uint16], table: NDArray[np.uint16]) -> NDArray[np.uint16] | None:
    """Return `table[labels]`."""
    if (library := kernels()) is None:
        return None
    labels, rows = np.ascontiguousarray(labels), np.empty(labels.shape, dtype=np.uint16)
    library.cube_relabel(place(labels), whole(labels.size), place(table), place(rows))
    return rows


def close_gaps(
    rows: NDArray[np.uint16], *, pad: int, steps: int, outside: int, unassigned: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]] | None:
    """Return the labels and gaps of `ewval.core.graph.contacts.Padded`."""
    if (library := kernels()) is None:
        return None
    rows, shape = np.ascontiguousarray(rows), _shape(rows, pad)
    labels = np.zeros([n + 2 * pad for n in rows.shape], dtype=np.uint16)
    gap = np.full(labels.shape, outside, dtype=np.uint8)
    left = np.empty(rows.size + 1, dtype=np.int64)
    count = library.cube_pad(place(rows), shape, ctypes.c_uint8(unassigned), place(labels), place(gap), place(left))
    nearest = np.empty(count, dtype=np.uint16)
    library.cube_close_gaps(place(labels), place(gap), shape, place(left), whole(count), whole(steps), place(nearest))
    return labels, gap


def smooth(image: NDArray[np.uint8], *, pad: int) -> NDArray[np.uint16] | None:
    """Return sums over 3^3 voxels, with the edge repeated beyond it and `pad` times in a margin."""
    if (library := kernels()) is None:
        return None
    image = np.ascontiguousarray(image)
    sums = np.empty([n + 2 * pad for n in image.shape], dtype=np.uint16)
    scratch = np.empty((2, *image.shape[1:]), dtype=np.uint16)
    library.cube_smooth(place(image), _shape(image, pad), place(sums), place(scratch))
    return sums


def count_sums(sums: NDArray[np.uint16], rows: NDArray[np.uint16], *, pad: int, bins: int) -> NDArray[np.int64] | None:
    """Return how often each value of padded `sums` occurs where `rows` is not 0, int64[bins]."""
    if (library := kernels()) is None:
        return None
    rows, counts = np.ascontiguousarray(rows), np.zeros(bins, dtype=np.int64)
    library.cube_histogram(place(sums), place(rows), _shape(rows, pad), place(counts))
    return counts


def segment_moments(
    sums: NDArray[np.uint16], rows: NDArray[np.uint16], *, pad: int, middle: int, bins: int
) -> tuple[NDArray[np.int64], ...] | None:
    """Return count, sum and sum of squares of `sums` - `middle` over every second voxel along x, int64[bins] each."""
    if (library := kernels()) is None:
        return None
    rows, found = np.ascontiguousarray(rows), [np.zeros(bins, dtype=np.int64) for _ in range(3)]
    library.cube_moments(place(sums), place(rows), _shape(rows, pad), whole(middle), *map(place, found))
    return tuple(found)


def distance_steps(edge: NDArray[np.bool_]) -> NDArray[np.uint16] | None:
    """Return the chessboard distance to the nearest voxel of `edge`, of which there must be one."""
    if (library := kernels()) is None or max(edge.shape) >= FAR:
        return None
    steps = np.where(edge, np.uint16(0), np.uint16(FAR))
    library.cube_distance(place(steps), *map(whole, steps.shape))
    return steps


def touched_sides(rows: NDArray[np.uint16], *, margin: int, bins: int) -> NDArray[np.bool_] | None:
    """Return whether each row comes within `margin` voxels of the side z low, z high, y low, ..., bool[bins, 6]."""
    if (library := kernels()) is None:
        return None
    rows, sides = np.ascontiguousarray(rows), np.zeros((bins, 6), dtype=np.bool_)
    library.cube_sides(place(rows), _shape(rows, 0), whole(margin), place(sides))
    return sides


def _shape(array: NDArray[Any], pad: int) -> Any:
    return ctypes.byref(_Shape(*array.shape, pad))
