"""Eyewire volumes cut out of a generated world, and what their segments truly are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ewval.core.constants import CUBE_EDGE, SEGMENT_ID_COUNT
from ewval.core.graph.contacts import find_contacts, pad_labels

Ids = NDArray[np.intp]
Origin = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class SimVolume:
    """One volume of a generated world.

    Args:
        id: Segmentation id.
        channel: Channel id.
        origin: First voxel, in raw voxels of the world, z y x.
        labels: uint16 segments, 256^3, 0 at boundaries.
        owners: intp, neurite that most of each segment lies in; by segment id, 0 for id 0.
        groups: intp, which of that neurite's segments hang together in this volume, each touching the next: a number
            from 1 for each such group; by segment id.
        sizes: intp, raw voxels; by segment id.
    """

    id: int
    channel: int
    origin: Origin
    labels: NDArray[np.uint16]
    owners: Ids
    groups: Ids
    sizes: Ids

    @property
    def name(self) -> str:
        """Its folder in the bucket."""
        return f"Volume-{self.channel}-{self.id}"

    def segments_of(self, neurite: int) -> Ids:
        """Return the segments of `neurite`, ascending."""
        return np.flatnonzero(self.owners == neurite)

    def is_neighbour(self, other: "SimVolume") -> bool:
        """Whether the two share a face's slab."""
        shifted = [a != b for a, b in zip(self.origin, other.origin, strict=True)]
        return sum(shifted) == 1 and self.shared_with(other) is not None

    def shared_with(self, other: "SimVolume") -> tuple[tuple[slice, ...], tuple[slice, ...]] | None:
        """Return the boxes of the shared voxels in this volume and in `other`, None where there are none."""
        here, there = [], []
        for a, b in zip(self.origin, other.origin, strict=True):
            low, high = max(a, b), min(a, b) + CUBE_EDGE
            if low >= high:
                return None
            here.append(slice(low - a, high - a))
            there.append(slice(low - b, high - b))
        return tuple(here), tuple(there)


def make_volume(
    *, volume: int, channel: int, origin: Origin, labels: NDArray[np.uint16], truth: NDArray[np.int32]
) -> SimVolume:
    """Return the volume with what its segments truly are.

    Args:
        volume: Segmentation id.
        channel: Channel id.
        origin: First raw voxel in the world, z y x.
        labels: uint16, 256^3.
        truth: int32, neurite of each voxel, at the same or a whole fraction of that size.
    """
    parts, part_owner = _connected_parts(truth)
    step = labels.shape[0] // truth.shape[0]
    coarse = labels[::step, ::step, ::step]
    part = _majority(coarse, parts, count=int(labels.max()) + 1)
    owners = part_owner[part]
    owners[0] = part[0] = 0
    sizes = np.bincount(labels.reshape(-1), minlength=len(owners))
    return SimVolume(volume, channel, origin, labels, owners, _hanging_together(labels, part, sizes), sizes)


def _connected_parts(truth: NDArray[np.int32]) -> tuple[NDArray[np.int32], Ids]:
    """Return a number from 1 for each connected part of each neurite, and the neurite by part."""
    parts = np.zeros(truth.shape, np.int32)
    owner = [0]
    for index, box in enumerate(ndimage.find_objects(truth), start=1):
        if box is None:
            continue
        found, count = ndimage.label(truth[box] == index)
        inside = found > 0
        parts[box][inside] = found[inside] + (len(owner) - 1)
        owner.extend([index] * count)
    return parts, np.array(owner, dtype=np.intp)


def _majority(labels: NDArray[np.uint16], parts: NDArray[np.int32], *, count: int) -> Ids:
    """Return the part that holds most of each label, the smaller part on ties; 0 for labels that are not there."""
    width = int(parts.max()) + 1
    pairs, voxels = np.unique(labels.astype(np.int64).reshape(-1) * width + parts.reshape(-1), return_counts=True)
    order = np.lexsort((-(pairs % width), voxels))  # the last of a label counts
    result = np.zeros(count, np.intp)
    result[pairs[order] // width] = pairs[order] % width
    return result


def _hanging_together(labels: NDArray[np.uint16], part: Ids, sizes: Ids) -> Ids:
    """Return a number from 1 for each group of segments of one part that touch, by segment id; 0 for those of none.

    A neurite that is whole may lie in segments that do not touch, where what is between belongs to another: nobody
    who joins segment to segment gets there.
    """
    ids = 1 + np.flatnonzero(sizes[1:])
    table = np.zeros(SEGMENT_ID_COUNT, dtype=np.uint16)
    table[ids] = np.arange(1, len(ids) + 1)
    one, other = ids[find_contacts(pad_labels(labels, table), count=len(ids)).pairs].T
    alike = part[one] == part[other]
    ones = np.ones(alike.sum(), dtype=bool)
    edges = coo_array((ones, (one[alike], other[alike])), shape=(len(part), len(part)))
    _, group = connected_components(edges, directed=False)
    return np.where(part > 0, group + 1, 0).astype(np.intp)
