"""One sample: the inputs of the network for one task, and its target.

What may stand in an input: the image, the segmentation, the task's own seed, and the answers of *strict ancestors*.
The task's own answer is the target and nothing else. Two more ways in which it could slip in are closed:

- A chain of parents that comes back to the task (a cycle, a task that is its own parent) ends there.
- An ancestor that asks the same question, the same seed in the same volume, is the task under another id (Eyewire
  has such duplicates); it is passed over as the task itself is. An ancestor elsewhere in the same volume is not: a
  neurite that leaves a cube and comes back is traced in it twice, and the first trace is known by then.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ewval.core.constants import (
    DEFAULT_CONTEXT,
    ELSEWHERE_CONFIDENCE,
    FACTOR,
    PACKED_EDGE,
    SEED_CONFIDENCE,
    SEGMENT_ID_COUNT,
)
from ewval.core.errors import MissingError
from ewval.core.ragged import Ids
from ewval.core.tasks import TaskTable

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.uint16]


class VolumeStore(Protocol):
    """Where decoded volumes come from, such as a `PackedStore`."""

    def image(self, volume: int) -> npt.NDArray[np.uint8]:
        """Return the image, uint8 [z, y, x]."""

    def segmentation(self, volume: int) -> Labels:
        """Return the segment ids, uint16 [z, y, x]."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What is known of one task at 64^3 and what is to be found; all arrays z, y, x, the image and labels read-only.

    Args:
        task: Task id.
        volume: Volume id.
        cell: Cell id, -1 where unknown.
        image: uint8 [64, 64, 64], 0 black.
        labels: uint16 [64, 64, 64], segment ids, 0 boundary.
        seed: bool [64, 64, 64], the segments that are known to belong to the neuron.
        confidence: float32 [64, 64, 64], 1 on the seed, 10 elsewhere.
        context: bool [p, 64, 64, 64], answers of the p nearest ancestors in this cube's frame, oldest first; zeros
            where there is none, where it does not reach this cube, or where either place is unknown.
        target: bool [64, 64, 64], the answer with the seed; None without one.
    """

    task: int
    volume: int
    cell: int
    image: npt.NDArray[np.uint8]
    labels: Labels
    seed: Mask
    confidence: npt.NDArray[np.float32]
    context: Mask
    target: Mask | None


class SampleBuilder:
    """Makes samples from the task table and the packed volumes.

    Args:
        table: The tasks, ancestors included.
        store: The packed volumes.
        context: How many ancestors are given.
        withheld: Tasks whose answers must not serve as context, such as those of the test side while training;
            their place in the context stays zero.
    """

    def __init__(
        self,
        table: TaskTable,
        store: VolumeStore,
        *,
        context: int = DEFAULT_CONTEXT,
        withheld: npt.ArrayLike = (),
    ) -> None:
        self.table, self.store, self.context = table, store, context
        self.withheld = np.unique(np.asarray(withheld, dtype=np.int64))

    def build(self, task: int) -> Sample:
        """Return the sample of `task`.

        Raises:
            MissingError: The task is not in the table, or its volume is not packed.
            DamagedError: A volume does not hold what it should.
        """
        row = self.table.row(task)
        volume = int(self.table.volume[row])
        labels = self.store.segmentation(volume)
        seed, target = masks_of(labels, self.table.seed(row), self.table.aggregate(row))
        return Sample(
            task=task,
            volume=volume,
            cell=int(self.table.cell[row]),
            image=self.store.image(volume),
            labels=labels,
            seed=seed,
            confidence=np.where(seed, np.float32(SEED_CONFIDENCE), np.float32(ELSEWHERE_CONFIDENCE)),
            context=self._context(row),
            target=target if self.table.has_aggregate(row) else None,
        )

    def _context(self, row: int) -> Mask:
        masks = np.zeros((self.context, PACKED_EDGE, PACKED_EDGE, PACKED_EDGE), dtype=bool)
        for place, ancestor in enumerate(nearest_ancestors(self.table, row, count=self.context)):
            if not self._is_withheld(int(self.table.ids[ancestor])):
                self._draw(masks[self.context - 1 - place], row, ancestor)  # nearest last
        return masks

    def _is_withheld(self, task: int) -> bool:
        at = np.searchsorted(self.withheld, task)
        return bool(at < len(self.withheld) and self.withheld[at] == task)

    def _draw(self, mask: Mask, row: int, ancestor: int) -> None:
        shift = shift_between(self.table, row, ancestor)
        if shift is None or any(abs(step) >= PACKED_EDGE for step in shift):
            return
        try:
            labels = self.store.segmentation(int(self.table.volume[ancestor]))
        except MissingError:
            return  # many ancestors' volumes are absent on the server
        here, there = overlap(shift)
        mask[here] = mask_of(labels[there], self.table.aggregate(ancestor))


def mask_of(labels: Labels, ids: Ids) -> Mask:
    """Return where `labels` holds one of `ids`; 0, the boundary, is never part of a mask.

    Args:
        labels: uint16, any shape.
        ids: uint32 [n]; what no uint16 label can be is ignored.
    """
    return masks_of(labels, ids)[0]


def masks_of(labels: Labels, *sets: Ids) -> list[Mask]:
    """Return `mask_of` for each of up to eight sets of ids, with one pass over `labels`."""
    table = np.zeros(SEGMENT_ID_COUNT, dtype=np.uint8)
    for bit, ids in enumerate(sets):
        table[ids[ids < SEGMENT_ID_COUNT]] |= np.uint8(1 << bit)
    table[0] = 0
    found = np.take(table, labels)  # half the time of table[labels]
    return [(found & np.uint8(1 << bit)).astype(bool) for bit in range(len(sets))]


def nearest_ancestors(table: TaskTable, row: int, *, count: int) -> list[int]:
    """Return the rows of the `count` nearest strict ancestors of a task, nearest first."""
    found: list[int] = []
    for ancestor in _chain(table, row):
        if len(found) == count:
            break
        if not _asks_the_same(table, row, ancestor):
            found.append(ancestor)
    return found


def _chain(table: TaskTable, row: int) -> Iterator[int]:
    seen = {row}
    while (parent := table.find(int(table.parent[row]))) is not None and parent not in seen:
        seen.add(parent)
        yield parent
        row = parent


def _asks_the_same(table: TaskTable, row: int, other: int) -> bool:
    return bool(table.volume[row] == table.volume[other]) and np.array_equal(table.seed(row), table.seed(other))


def shift_between(table: TaskTable, row: int, other: int) -> tuple[int, int, int] | None:
    """Return by how many packed voxels the volume of `other` lies behind that of `row`, z y x; None where unknown.

    Neighbouring volumes of E2198 lie 224 raw, 56 packed voxels apart. A distance that is no multiple of four raw
    voxels is rounded to whole packed voxels (halves to the even one), so a mask is at most half a packed voxel off.
    """
    if table.volume[row] == table.volume[other]:
        return (0, 0, 0)
    here, there = table.origin(row), table.origin(other)
    if here is None or there is None:
        return None
    z, y, x = (round((b - a) / FACTOR) for a, b in zip(here, there, strict=True))
    return z, y, x


def overlap(shift: tuple[int, int, int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the part that two cubes share, as slices of the one and of the other, which lies `shift` behind it."""
    here = tuple(slice(max(0, step), PACKED_EDGE + min(0, step)) for step in shift)
    there = tuple(slice(max(0, -step), PACKED_EDGE - max(0, step)) for step in shift)
    return here, there
