"""Where segments touch: the faces between them, once the thin zero boundary is closed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.kernels.contacts import scan_contacts
from ewval.core.kernels.cube import close_gaps

__all__ = ["PAD", "Contacts", "Padded", "find_contacts", "pad_labels"]

PAD = 17
"""Voxels of margin around the cube, so that samples up to 16 voxels from a contact need no bounds check."""
GAP_STEPS = 4
"""Zero voxels are given to the nearest segment up to this many steps away: boundaries are 1-2 thick, some 4-8."""
FACES_KEPT = 48
"""Contacts larger than this are measured on about so many of their faces: more changes no mean, and costs seconds."""
DENSE_TABLE = 60_000_000
"""Pair keys up to here are counted in a table, beyond it by sorting."""
UNASSIGNED = 254


@dataclass(frozen=True, slots=True)
class Padded:
    """A segmentation with closed gaps and a margin.

    Args:
        labels: uint16[(z, y, x) + 2 * PAD], rows 1..n of the segment table; 0 in the margin and far from any segment.
        gap: uint8, the same shape: 0 in a segment, k where a zero voxel was given to a segment k steps away.
        shape: That of the cube itself.
    """

    labels: NDArray[np.uint16]
    gap: NDArray[np.uint8]
    shape: tuple[int, int, int]

    @property
    def strides(self) -> NDArray[np.int64]:
        """Steps in the flat padded array along z, y and x."""
        _, y, x = self.labels.shape
        return np.array([y * x, x, 1], dtype=np.int64)

    @property
    def cube(self) -> NDArray[np.uint16]:
        """The labels without the margin."""
        return self.labels[PAD:-PAD, PAD:-PAD, PAD:-PAD]


@dataclass(frozen=True, slots=True)
class Contacts:
    """Pairs of touching segments and a sample of the faces between them.

    Args:
        pairs: int64[m, 2], rows of the segment table (from 0), smaller first, ascending.
        area: float64[m], faces of the whole contact.
        pair: int64[k], the pair that a sampled face belongs to.
        low: int64[k], flat padded index of the face's voxel on the first segment's side.
        inward: int64[k], flat step from `low` into the first segment; its opposite leads into the second.
        axis: int64[k], 0 z, 1 y, 2 x.
        sampled: float64[m], faces of each pair that were sampled, at least 1.
    """

    pairs: NDArray[np.int64]
    area: NDArray[np.float64]
    pair: NDArray[np.int64]
    low: NDArray[np.int64]
    inward: NDArray[np.int64]
    axis: NDArray[np.int64]
    sampled: NDArray[np.float64]

    @property
    def high(self) -> NDArray[np.int64]:
        """Flat padded index of each face's voxel on the second segment's side."""
        return self.low - self.inward

    def mean(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the mean over each pair's sampled faces, float64[m]."""
        return np.bincount(self.pair, values, minlength=len(self.area)) / self.sampled


def pad_labels(labels: NDArray[np.uint16], table: NDArray[np.uint16]) -> Padded:
    """Return rows of the segment table with a margin, gaps closed by steps over voxel faces.

    Args:
        labels: uint16, z y x, 0 = boundary.
        table: uint16[SEGMENT_ID_COUNT], row of each label, 0 of 0.
    """
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    closed = close_gaps(labels, table, pad=PAD, steps=GAP_STEPS, unassigned=UNASSIGNED)
    return _pad_plainly(np.take(table, labels), shape) if closed is None else Padded(*closed, shape)


def _pad_plainly(rows: NDArray[np.uint16], shape: tuple[int, int, int]) -> Padded:
    padded = Padded(np.pad(rows, PAD), np.pad((rows == 0) * np.uint8(UNASSIGNED), PAD), shape)
    _close_gaps(padded.labels.reshape(-1), padded.gap.reshape(-1), strides=padded.strides)
    return padded


def find_contacts(padded: Padded, *, count: int) -> Contacts:
    """Return where the `count` segments of `padded` touch each other."""
    found = scan_contacts(padded.labels, pad=PAD, faces_kept=FACES_KEPT)
    return _find_plainly(padded, count=count) if found is None else Contacts(**found._asdict())


def _find_plainly(padded: Padded, *, count: int) -> Contacts:
    flat = padded.labels.reshape(-1)
    found = [_faces_along(flat, step) for step in padded.strides]
    here = np.concatenate([flat[f] for f in found])
    there = np.concatenate([flat[f + step] for f, step in zip(found, padded.strides, strict=True)])
    keys, pair, area = _number_pairs(_keys(here, there, count=count), limit=count * count)
    first = np.concatenate(found)
    kept = _sample(first, area[pair])
    axis = np.searchsorted(np.cumsum([len(f) for f in found]), kept, side="right")
    is_low = (here < there)[kept]
    first, step = first[kept], padded.strides[axis]
    return Contacts(
        pairs=np.stack([keys // max(count, 1), keys % max(count, 1)], axis=1),
        area=area.astype(np.float64),
        pair=pair[kept],
        low=np.where(is_low, first, first + step),
        inward=np.where(is_low, -step, step),
        axis=axis,
        sampled=np.maximum(np.bincount(pair[kept], minlength=len(area)), 1).astype(np.float64),
    )


def _close_gaps(labels: NDArray[np.uint16], gap: NDArray[np.uint8], *, strides: NDArray[np.int64]) -> None:
    left = np.flatnonzero(gap == UNASSIGNED)
    for step in range(1, GAP_STEPS + 1):
        nearest = np.zeros(len(left), dtype=np.uint16)
        for offset in np.concatenate([strides[::-1], -strides[::-1]]):  # the last to be in a segment wins
            beside = labels[left + offset]
            np.copyto(nearest, beside, where=beside > 0)
        given = nearest > 0
        labels[left[given]] = nearest[given]
        gap[left[given]] = step
        left = left[~given]


def _faces_along(labels: NDArray[np.uint16], step: int) -> NDArray[np.int64]:
    """Return the flat places that differ from the place one step on, both in segments: the margin holds none."""
    here, there = labels[:-step], labels[step:]
    return np.flatnonzero((here != there) & (here > 0) & (there > 0))


def _keys(here: NDArray[np.uint16], there: NDArray[np.uint16], *, count: int) -> NDArray[np.int64]:
    """Return a number for each face that stands for its two segments, in place: the faces are millions."""
    keys = np.minimum(here, there).astype(np.int64)
    keys *= count
    keys += np.maximum(here, there)
    keys -= count + 1  # rows of the segment table begin at 0, labels at 1
    return keys


def _number_pairs(
    keys: NDArray[np.int64], *, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct keys ascending, the place of each key among them, and how often each occurs."""
    if limit > DENSE_TABLE:
        distinct, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
        return distinct, place, counts
    counts = np.bincount(keys, minlength=limit)
    distinct = np.flatnonzero(counts)
    place = np.zeros(len(counts), dtype=np.int32)
    place[distinct] = np.arange(len(distinct), dtype=np.int32)
    return distinct, place[keys].astype(np.int64), counts[distinct]


def _sample(places: NDArray[np.int64], area: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which faces to measure: all of a small contact, every k-th by a hash of its place in a large one."""
    scattered = (places * 2_654_435_761 & 0xFFFFFFFF) >> 12
    return np.flatnonzero(scattered % np.maximum(area // FACES_KEPT, 1) == 0)
