"""Where segments lie in a volume: masks by tables of one entry for each possible id, never by searching ids."""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.storage.ragged import Ids

Labels = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

SLAB = 8
"""Slices of a volume that are counted at once."""


def mask_of(labels: Labels, ids: Ids) -> Mask:
    """Return where `labels` holds one of `ids`; 0, the boundary, is never part of a mask.

    Args:
        labels: uint16, any shape.
        ids: uint32 [n]; what no uint16 label can be is ignored.
    """
    table = np.zeros(SEGMENT_ID_COUNT, dtype=bool)
    table[ids[ids < SEGMENT_ID_COUNT]] = True
    table[0] = False
    return np.asarray(np.take(table, labels))  # half the time of table[labels]


@dataclass(frozen=True, slots=True, eq=False)
class SegmentMask:
    """The mask of some segments, made part by part as it is indexed: a slice costs no pass over the volume.

    Args:
        labels: uint16, any shape.
        ids: uint32 [n], as in `mask_of`.
    """

    labels: Labels
    ids: Ids

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the volume."""
        return self.labels.shape

    def __getitem__(self, part: Any) -> Mask:
        return mask_of(self.labels[part], self.ids)


def count_values(
    values: npt.NDArray[np.unsignedinteger], *, bins: int, weights: npt.NDArray[np.generic] | None = None
) -> npt.NDArray[Any]:
    """Return how often each of 0 .. bins - 1 occurs in `values`, or the sum of its weights.

    Slab by slab, since `np.bincount` makes int64 of all that it is given: 134 MB for a volume of 256^3.

    Args:
        values: Of any shape, all less than `bins`.
        bins: How many.
        weights: Numbers of the same shape, added up as float64.

    Returns:
        int64[bins], float64[bins] with weights.
    """
    slabs = [slice(start, start + SLAB) for start in range(0, len(values), SLAB)]
    found = (
        np.bincount(values[s].ravel(), None if weights is None else weights[s].ravel(), minlength=bins) for s in slabs
    )
    return sum(found, start=np.zeros(bins, dtype=np.int64 if weights is None else np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class VoxelIndex:
    """The voxels of a volume sorted by segment: a mask then costs as much as it holds, not as the volume holds.

    Worth its making where several tasks share a volume; `mask_of` serves for one.

    Args:
        shape: z, y, x of the volume.
        order: int32 [voxels], flat positions, those of one segment together.
        starts: int64 [65,537]; segment i has `order[starts[i]:starts[i + 1]]`.
    """

    shape: tuple[int, ...]
    order: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, labels: Labels) -> "VoxelIndex":
        """Return the index of `labels`, uint16 [z, y, x]."""
        flat = labels.ravel()
        starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=SEGMENT_ID_COUNT))])
        return cls(labels.shape, np.argsort(flat, kind="stable").astype(np.int32), starts)

    def positions(self, ids: Ids) -> npt.NDArray[np.int32]:
        """Return the flat positions of the voxels of `ids`; as in `mask_of`, 0 and what is no label has none."""
        known = ids[(ids < SEGMENT_ID_COUNT) & (ids > 0)]
        ends = zip(self.starts[known].tolist(), self.starts[known.astype(np.int64) + 1].tolist(), strict=True)
        return np.concatenate([self.order[:0], *(self.order[begin:end] for begin, end in ends)])

    def filled(self, ids: Ids, *, inside: float, outside: float, dtype: type[Scalar]) -> npt.NDArray[Scalar]:
        """Return an array of the volume's shape that is `inside` on the voxels of `ids` and `outside` elsewhere."""
        array = np.full(self.order.size, outside, dtype=dtype)
        array[self.positions(ids)] = inside
        return array.reshape(self.shape)
