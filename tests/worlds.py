"""Task trees that no player ever saw, for tests of more than one module."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np

from ewval.core.errors import MissingError
from ewval.core.eyewire.records import AggregateRecord, Bounds, TaskRecord
from ewval.core.folder import DataFolder
from ewval.core.ledger.ledger import Ledger
from ewval.core.volumes.codec import encode

Pair = tuple[TaskRecord, AggregateRecord | None]

STRIDE = 224


def make_pair(
    task: int,
    *,
    parent: int | None = None,
    volume: int = 100,
    cell: int | None = 1,
    place: tuple[int, int, int] | None = (0, 0, 0),
    seed: Iterable[int] = (1,),
    answer: Iterable[int] | None = (1, 2),
    status: int = 0,
    weight: float = 10.0,
) -> Pair:
    """Return a task in the volume at grid position `place`, and an aggregate that all players agree on."""
    corner = None if place is None else tuple(step * STRIDE for step in place)
    bounds = None if corner is None else Bounds(corner, tuple(low + 256 for low in corner))  # type: ignore[arg-type]
    record = TaskRecord(
        id=task,
        cell=cell,
        parent=parent,
        volume=volume,
        path="http://x/",
        status=status,
        seed=tuple(seed),
        bounds=bounds,
    )
    return record, None if answer is None else AggregateRecord(dict.fromkeys(answer, 1.0), weight=weight)


def line_of_cells(count: int) -> list[Pair]:
    """Return `count` cells of one task each in one cube."""
    numbers = range(1, count + 1)
    return [make_pair(i, cell=1000 + i, seed=(i % 8 + 1,), answer=(1, 2, i % 8 + 1)) for i in numbers]


def write_volume(folder: DataFolder, volume: int, *, ids: int = 8) -> None:
    """Write a packed volume of slabs along z with the ids 1 to `ids`."""
    labels = np.repeat(np.arange(64) % ids + 1, 64 * 64).astype(np.uint16)
    image = np.full(64**3, volume % 256, dtype=np.uint8)
    for path, array in ((folder.image(volume), image), (folder.segmentation(volume), labels)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(array))


def write_world(root: Path, pairs: Iterable[Pair], *, volumes: Iterable[int] | None = None) -> DataFolder:
    """Return a data folder whose ledger holds `pairs`, with their (or only these) volumes packed."""
    pairs, folder = list(pairs), DataFolder(root)
    with closing(Ledger(folder.ledger)) as ledger:
        ledger.add_tasks(pairs)
    for volume in sorted({task.volume for task, _ in pairs}) if volumes is None else volumes:
        write_volume(folder, volume)
    return folder


class MemoryStore:
    """Volumes whose ids differ from voxel to voxel, made on the spot; `missing` ones are not packed."""

    def __init__(self, *, ids: int = 12, missing: Iterable[int] = ()) -> None:
        self.ids, self.missing = ids, set(missing)
        self._labels: dict[int, np.ndarray] = {}

    def image(self, volume: int) -> np.ndarray:
        return np.full((64, 64, 64), volume % 256, dtype=np.uint8)

    def segmentation(self, volume: int) -> np.ndarray:
        if volume in self.missing:
            raise MissingError(f"packed volume {volume}")
        if volume not in self._labels:
            generator = np.random.Generator(np.random.PCG64(volume))
            self._labels[volume] = generator.integers(0, self.ids, (64, 64, 64)).astype(np.uint16)
        return self._labels[volume]
