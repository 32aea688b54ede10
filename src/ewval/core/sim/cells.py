"""Cells of a generated world, followed from volume to volume as Eyewire does: the tree of tasks."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ewval.core.sim.volumes import SimVolume

MATCH = 0.6
"""Share of a segment's part in the overlap that the parent's answer must cover (Eyewire's spawner)."""
SMALLEST_SEED = 60
"""Raw voxels in the overlap from which on a segment can be a seed."""
SMALLEST_CELL = 20_000
"""Raw voxels of the smallest neurite that becomes a cell."""


@dataclass(frozen=True, slots=True)
class SimTask:
    """One task: the true answer, before people colour it.

    Args:
        id: Task id, greater than its parent's.
        cell: Cell id.
        parent: Task id, None on the root.
        depth: Steps from the root.
        volume: The volume it lies in.
        seed: Segments that are given, ascending.
        answer: Segments of the neurite that belong to it, with the seed, ascending.
    """

    id: int
    cell: int
    parent: int | None
    depth: int
    volume: SimVolume
    seed: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SimCell:
    """A neurite that is traced; its tasks, root first, parents before children."""

    id: int
    neurite: int
    name: str
    size: int
    tasks: tuple[SimTask, ...]


def trace_cells(rng: np.random.Generator, volumes: Sequence[SimVolume], *, count: int) -> tuple[SimCell, ...]:
    """Return up to `count` cells: those in the most volumes first, the larger before the smaller."""
    width = max(int(volume.owners.max()) for volume in volumes) + 1
    voxels = np.stack([np.bincount(volume.owners, volume.sizes, minlength=width) for volume in volumes])
    spread = (voxels > 4000).sum(0)
    size = voxels.sum(0).astype(np.int64)
    size[0] = 0
    order = np.lexsort((-size, -spread))
    neurites = [int(neurite) for neurite in order if size[neurite] >= SMALLEST_CELL][:count]
    numbers = np.sort(rng.choice(np.arange(70_001, 86_000), size=len(neurites), replace=False))
    rng.shuffle(numbers)
    ids = _task_ids(rng)
    return tuple(
        SimCell(int(number), neurite, f"sim cell {place}", int(size[neurite]), tuple(tasks))
        for place, (number, neurite) in enumerate(zip(numbers, neurites, strict=True), start=1)
        if (tasks := _trace(rng, volumes, cell=int(number), neurite=neurite, ids=ids))
    )


class _task_ids:  # noqa: N801 - an iterator used like a function
    """Counts up from Eyewire's range, with holes."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._next = rng, 1_410_000

    def __call__(self) -> int:
        self._next += int(self._rng.integers(1, 30))
        return self._next


def _trace(
    rng: np.random.Generator, volumes: Sequence[SimVolume], *, cell: int, neurite: int, ids: _task_ids
) -> list[SimTask]:
    root = _root(rng, volumes, cell=cell, neurite=neurite, ids=ids)
    tasks, waiting = [root], deque([root])
    while waiting:
        parent = waiting.popleft()
        for volume in volumes:
            if not volume.is_neighbour(parent.volume):
                continue
            covered = {segment for task in tasks if task.volume is volume for segment in task.answer}
            seed = [segment for segment in _spawn(parent, volume) if volume.owners[segment] == neurite]
            if seed and not covered.issuperset(seed):
                answer = _answer(volume, neurite, seed)
                child = SimTask(ids(), cell, parent.id, parent.depth + 1, volume, tuple(seed), answer)
                tasks.append(child)
                waiting.append(child)
    return tasks


def _root(
    rng: np.random.Generator, volumes: Sequence[SimVolume], *, cell: int, neurite: int, ids: _task_ids
) -> SimTask:
    """Start where the neurite is largest, from one of its three largest segments there."""
    volume = max(volumes, key=lambda volume: int(volume.sizes[volume.owners == neurite].sum()))
    segments = volume.segments_of(neurite)
    largest = segments[np.argsort(-volume.sizes[segments], kind="stable")][:3]
    seed = (int(rng.choice(largest)),)
    return SimTask(ids(), cell, None, 0, volume, seed, _answer(volume, neurite, seed))


def _answer(volume: SimVolume, neurite: int, seed: Sequence[int]) -> tuple[int, ...]:
    """Return the segments that hang together with the seed."""
    parts = np.unique(volume.groups[list(seed)])
    found = np.flatnonzero(np.isin(volume.groups, parts) & (volume.owners == neurite))
    return tuple(sorted({*found.tolist(), *seed}))


def _spawn(parent: SimTask, volume: SimVolume) -> list[int]:
    """Return the segments of `volume` that the parent's answer covers in the overlap."""
    boxes = parent.volume.shared_with(volume)
    if boxes is None:
        return []
    here, there = boxes
    mask = np.isin(parent.volume.labels[here], parent.answer)
    labels = volume.labels[there]
    seen = np.bincount(labels.reshape(-1), minlength=len(volume.sizes))
    covered = np.bincount(labels[mask], minlength=len(volume.sizes))
    chosen = (covered >= MATCH * seen) & (covered >= SMALLEST_SEED)
    chosen[0] = False
    return [int(segment) for segment in np.flatnonzero(chosen)]
