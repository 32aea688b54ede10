"""From voxels of the packed cube to segments: each segment's share of every packed voxel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import FACTOR, SEGMENT_ID_COUNT


@dataclass(frozen=True, slots=True)
class Pooling:
    """Which packed voxels each segment of a volume fills, and how much of them.

    Args:
        ids: Segment ids, ascending, without 0.
        voxels: Full-resolution voxels of each id; an estimate where only the packed segmentation was at hand.
        index: Per entry, the position of its segment in `ids`.
        block: Per entry, the flat position of its packed voxel, z slowest.
        count: Per entry, how many full-resolution voxels of that packed voxel belong to the segment.
        weight: Per entry, `count` as a share of the segment.
    """

    ids: NDArray[np.int64]
    voxels: NDArray[np.int64]
    index: NDArray[np.int64]
    block: NDArray[np.int64]
    count: NDArray[np.float64]
    weight: NDArray[np.float64]

    def mean(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return each segment's mean of a packed map, weighted by the voxels it has in every packed voxel."""
        weighted = self.weight * values.ravel()[self.block]
        return np.asarray(np.bincount(self.index, weights=weighted, minlength=len(self.ids)), dtype=np.float64)

    def paint(self, values: NDArray[np.floating], *, size: int) -> NDArray[np.float32]:
        """Return a flat packed map: each voxel the mean of its segments' values by the voxels they have in it.

        Voxels without a segment are 0.

        Args:
            values: float[n], one for each of `ids`.
            size: Packed voxels of the cube.
        """
        sums = np.bincount(self.block, weights=self.count * values[self.index], minlength=size)
        weights = np.bincount(self.block, weights=self.count, minlength=size)
        return np.asarray(sums / np.maximum(weights, 1.0), dtype=np.float32)

    def share(self, selected: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the share of each segment that lies in the selected packed voxels."""
        return self.mean(selected.astype(np.float64))


def pool_packed(labels: NDArray[np.uint16], *, factor: int = FACTOR) -> Pooling:
    """Return the pooling of a packed segmentation, where each packed voxel belongs to one segment.

    Args:
        labels: uint16, z y x, packed; 0 is boundary.
        factor: Full-resolution voxels along a packed voxel's edge, for the estimate of sizes.
    """
    flat = labels.ravel()
    block = np.flatnonzero(flat)
    return _pooling(flat[block], block, np.full(len(block), float(factor**3)))


def pool_full(labels: NDArray[np.uint16], *, factor: int = FACTOR) -> Pooling:
    """Return the pooling of a full-resolution segmentation, in which no segment is too small to be seen.

    Args:
        labels: uint16, z y x, full resolution; edges are multiples of `factor`; 0 is boundary.
        factor: Full-resolution voxels along a packed voxel's edge.
    """
    blocks = _blocks(labels, factor)
    is_pure = (blocks == blocks[:, :1]).all(axis=1)
    pure, mixed = np.flatnonzero(is_pure), np.flatnonzero(~is_pure)
    label, row, count = _runs(np.sort(blocks[mixed], axis=1))
    labels_of_entries = np.concatenate([blocks[pure, 0], label])
    block = np.concatenate([pure, mixed[row]])
    counts = np.concatenate([np.full(len(pure), float(factor**3)), count])
    kept = labels_of_entries > 0
    return _pooling(labels_of_entries[kept], block[kept], counts[kept])


def pool_segments(
    probability: NDArray[np.float32], labels: NDArray[np.uint16]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return (ids, mean probability, voxels) of the segments in a labelled map of the same shape."""
    pooling = pool_packed(labels, factor=1)
    return pooling.ids, pooling.mean(probability), pooling.voxels


def _blocks(labels: NDArray[np.uint16], factor: int) -> NDArray[np.uint16]:
    z, y, x = (edge // factor for edge in labels.shape)
    split = labels.reshape(z, factor, y, factor, x, factor).transpose(0, 2, 4, 1, 3, 5)
    return np.ascontiguousarray(split).reshape(z * y * x, factor**3)


def _runs(rows: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.int64], NDArray[np.float64]]:
    """Return label, row and length of each run of equal values in sorted rows."""
    starts = np.ones(rows.shape, dtype=bool)
    starts[:, 1:] = rows[:, 1:] != rows[:, :-1]
    at = np.flatnonzero(starts)
    lengths = np.diff(np.append(at, rows.size))
    return rows.ravel()[at], at // max(rows.shape[1], 1), lengths.astype(np.float64)


def _pooling(labels: NDArray[np.uint16], block: NDArray[np.intp], count: NDArray[np.float64]) -> Pooling:
    # Entries in the order of their packed voxels, so that sums do not depend on how they were found.
    order = np.lexsort((labels, block))
    labels, block, count = labels[order], block[order], count[order]
    totals = np.bincount(labels, weights=count, minlength=SEGMENT_ID_COUNT)
    ids = np.flatnonzero(totals)
    position = np.zeros(SEGMENT_ID_COUNT, dtype=np.int64)
    position[ids] = np.arange(len(ids))
    return Pooling(
        ids=ids.astype(np.int64),
        voxels=totals[ids].astype(np.int64),
        index=position[labels],
        block=block.astype(np.int64),
        count=count,
        weight=count / totals[labels],
    )
