"""Sums over the sampled faces of contacts and over windows around them, in C, in the order in which numpy adds."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.kernels.library import address, kernels, place, whole

__all__ = ["LOOKS", "Faces", "Image", "quantile_bins", "window_sums"]

BINS, QUANTILES, MOMENTS = 192, 7, 12
BLOCK_EDGE = 16
LOOKS = 23
"""Columns of `Faces.look`: mean, square, darker side, rank, five classes of gap, both sides at five depths, dips."""


@dataclass(frozen=True, slots=True)
class Image:
    """The smoothed image, padded as the labels, and the brightness and rank of each of its values."""

    sums: NDArray[np.uint16]
    brightness: NDArray[np.float32]
    rank: NDArray[np.float64]


class _Faces(ctypes.Structure):
    _fields_ = (
        ("faces", ctypes.c_int64),
        ("pairs", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("pair", "low", "inward", "axis")),
        ("shape", ctypes.c_int64 * 3),
        ("pad", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("labels", "gap", "sums")),
        ("brightness", ctypes.c_void_p),
        ("rank", ctypes.c_void_p),
    )


class Faces:
    """Faces laid out for the kernels.

    Args:
        faces: Pair, place on the first segment's side, step into it and axis of each face, int64[k].
        pairs: How many.
        labels: uint16, padded by `pad`; `gap`, uint8, of the same shape.
        image: Where brightness is asked for.
    """

    def __init__(
        self,
        faces: Sequence[NDArray[np.int64]],
        *,
        pairs: int,
        labels: NDArray[np.uint16],
        gap: NDArray[np.uint8],
        pad: int,
        image: Image | None = None,
    ) -> None:
        self._held = [np.ascontiguousarray(a, dtype=np.int64) for a in faces]
        self._others: list[NDArray[Any]] = [labels, gap, *((image.sums, image.brightness, image.rank) if image else ())]
        at = list(map(address, self._others))
        self._pairs = pairs
        self._faces = _Faces(len(faces[0]), pairs, *map(address, self._held))
        self._faces.shape[:] = labels.shape
        self._faces.pad, self._faces.labels, self._faces.gap = pad, at[0], at[1]
        if image is not None:
            self._faces.sums, self._faces.brightness, self._faces.rank = at[2:]

    def look(
        self, *, depths: Sequence[int], gaps: Sequence[tuple[int, int]], scale: tuple[float, float], dip: float
    ) -> tuple[NDArray[np.float64], NDArray[np.int32]] | None:
        """Return sums of brightness, float64[m, LOOKS], and a histogram of it, int32[m, BINS]."""
        if (library := kernels()) is None:
            return None
        sums, bins = np.zeros((self._pairs, LOOKS)), np.zeros((self._pairs, BINS), dtype=np.int32)
        deep, classes = np.array(depths, dtype=np.int64), np.array(gaps, dtype=np.int64)
        numbers = map(ctypes.c_float, (*scale, dip))
        library.faces_look(self._at, place(deep), place(classes), *numbers, place(sums), place(bins))
        return sums, bins

    def places(self) -> NDArray[np.float64] | None:
        """Return sums of z, y, x of the faces and of where they face, float64[m, 6]."""
        if (library := kernels()) is None:
            return None
        sums = np.zeros((self._pairs, 6))
        library.faces_place(self._at, place(sums))
        return sums

    def spread(self, centre: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return sums of products of the distances from each pair's centre, float64[m, 6]: zz, zy, zx, yy, yx, xx."""
        if (library := kernels()) is None:
            return None
        sums, centre = np.zeros((self._pairs, 6)), np.ascontiguousarray(centre)
        library.faces_spread(self._at, place(centre), place(sums))
        return sums

    def behind(
        self, *, inside: Sequence[int], thick: Sequence[int], depth: NDArray[np.uint16]
    ) -> NDArray[np.float64] | None:
        """Return, per depth and side, sums of whether the segment goes on and of its thickness there."""
        if (library := kernels()) is None:
            return None
        sums = np.zeros((self._pairs, 2 * (len(inside) + len(thick))))
        deep, thicker, depth = np.array(inside, np.int64), np.array(thick, np.int64), np.ascontiguousarray(depth)
        shape = np.array(depth.shape, dtype=np.int64)
        depths = place(deep), whole(len(deep)), place(thicker), whole(len(thicker))
        library.faces_behind(self._at, *depths, place(depth), place(shape), place(sums))
        return sums

    @property
    def _at(self) -> Any:
        return ctypes.byref(self._faces)


def quantile_bins(
    bins: NDArray[np.int32], sampled: NDArray[np.float64], shares: Sequence[float]
) -> NDArray[np.int64] | None:
    """Return how many bins stay below each share of a pair's faces, int64[m, shares]."""
    if (library := kernels()) is None:
        return None
    below, wanted = np.empty((len(bins), QUANTILES), dtype=np.int64), np.array(shares, dtype=np.float64)
    sampled = np.ascontiguousarray(sampled)
    library.faces_quantiles(place(bins), place(sampled), whole(len(bins)), place(wanted), place(below))
    return below


class _Windows(ctypes.Structure):
    _fields_ = (
        ("pairs", ctypes.c_int64),
        ("pair", ctypes.c_void_p),
        ("middle", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
        ("strides", ctypes.c_int64 * 3),
        ("labels", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("brightness", ctypes.c_void_p),
        ("spacing", ctypes.c_int64),
        ("reach", ctypes.c_int64),
    )


def window_sums(
    labels: NDArray[np.uint16],
    image: Image,
    *,
    pairs: NDArray[np.int64],
    middle: NDArray[np.int64],
    window: tuple[int, int],
) -> tuple[NDArray[np.float32], NDArray[np.int64]] | None:
    """Return moments of both segments around flat padded places, float32[2, m, 12], and how much is in segments."""
    if (library := kernels()) is None:
        return None
    pairs, middle = np.ascontiguousarray(pairs), np.ascontiguousarray(middle)
    sums, covered = np.empty((2, len(pairs), MOMENTS), dtype=np.float32), np.empty(len(pairs), dtype=np.int64)
    order = np.argsort(_blocks(middle, labels.shape), kind="stable")
    given = _Windows(len(pairs), address(pairs), address(middle), address(order))
    given.strides[:] = [labels.shape[1] * labels.shape[2], labels.shape[2], 1]
    given.labels, given.sums, given.brightness = address(labels), address(image.sums), address(image.brightness)
    given.spacing, given.reach = window
    is_short = library.windows_sum(ctypes.byref(given), place(sums), place(covered))
    return None if is_short else (sums, covered)


def _blocks(places: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return a number for the block of BLOCK_EDGE^3 voxels that each place lies in."""
    z, rest = np.divmod(places, shape[1] * shape[2])
    y, x = np.divmod(rest, shape[2])
    z, y, x = (axis // BLOCK_EDGE for axis in (z, y, x))
    return (z * shape[1] + y) * shape[2] + x
