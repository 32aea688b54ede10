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
)
from ewval.core.errors import MissingError
from ewval.core.storage.cache import BoundedCache
from ewval.core.storage.ragged import Ids
from ewval.core.tasks.table import TaskTable
from ewval.core.volumes.voxels import Labels, Mask, VoxelIndex, mask_of

KEPT_CUBES = 40
"""Volumes whose voxels stay sorted, 2.3 MiB each: more than the sampler mixes at a time."""


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
        touching: uint8 [64, 64, 64], near the seed the number of a segment that touches it, from 1 on; 0 elsewhere.
            None where it is not asked for.
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
    touching: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Cube:
    """A decoded volume whose tasks are being built."""

    image: npt.NDArray[np.uint8]
    labels: Labels
    voxels: VoxelIndex

    def mask(self, ids: Ids) -> Mask:
        return self.voxels.filled(ids, inside=True, outside=False, dtype=np.bool_)

    def confidence(self, seed: Ids) -> npt.NDArray[np.float32]:
        return self.voxels.filled(seed, inside=SEED_CONFIDENCE, outside=ELSEWHERE_CONFIDENCE, dtype=np.float32)


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
        self._cubes: BoundedCache[int, _Cube] = BoundedCache(KEPT_CUBES)

    def build(self, task: int) -> Sample:
        """Return the sample of `task`.

        Raises:
            MissingError: The task is not in the table, or its volume is not packed.
            DamagedError: A volume does not hold what it should.
        """
        row = self.table.row(task)
        cube, seed = self._cube(int(self.table.volume[row])), self.table.seed(row)
        return Sample(
            task=task,
            volume=int(self.table.volume[row]),
            cell=int(self.table.cell[row]),
            image=cube.image,
            labels=cube.labels,
            seed=cube.mask(seed),
            confidence=cube.confidence(seed),
            context=self._context(row),
            target=cube.mask(self.table.aggregate(row)) if self.table.has_aggregate(row) else None,
        )

    def _cube(self, volume: int) -> "_Cube":
        return self._cubes.get(volume, lambda: self._read_cube(volume))

    def _read_cube(self, volume: int) -> "_Cube":
        labels = self.store.segmentation(volume)
        return _Cube(self.store.image(volume), labels, VoxelIndex.of(labels))

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
        volume, answer = int(self.table.volume[ancestor]), self.table.aggregate(ancestor)
        if volume in self._cubes and shift == (0, 0, 0):
            mask[:] = self._cube(volume).mask(answer)
            return
        try:
            labels = self.store.segmentation(volume)
        except MissingError:
            return  # many ancestors' volumes are absent on the server
        here, there = overlap(shift)
        mask[here] = mask_of(labels[there], answer)


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
