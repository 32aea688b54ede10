"""Samples a second, against the seed system's way, on the same tasks in the same run.

    python benchmarks/samples.py [--volumes 27] [--tasks-per-volume 30]

The seed's way: for every sample decompress the image, the segmentation and the segmentations of the ancestors, and
find the masks with `isin`. Here: volumes in the sampler's order behind a cache of decoded ones, masks by look-up
table. Both move the ancestors' masks into the cube's frame, so that the arrays can be compared: they must be equal.
The volumes are generated: noise as rough as EM, segments of EM's size, neighbours on Eyewire's grid.
"""

import argparse
import lzma
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from ewval.core.eyewire.records import AggregateRecord, Bounds, TaskRecord
from ewval.core.folder import DataFolder
from ewval.core.tasks.samples import Sample, SampleBuilder, nearest_ancestors, shift_between
from ewval.core.tasks.table import TaskTable
from ewval.core.volumes.codec import encode
from ewval.core.volumes.store import PackedStore
from ewval.nn.data.batches import SamplerConfig, VolumeSampler

EDGE, STRIDE, RAW = 64, 224, 256
CACHED_VOLUMES = 64
NOISE = 16.0
"""Grey values; a volume then packs to 200 KB, as one of FIB-25 does."""


def make_volume(folder: DataFolder, volume: int, rng: np.random.Generator) -> int:
    """Write a generated packed volume; return how many segments it has."""
    coarse = rng.integers(1, 1200, (16, 16, 16))
    labels = np.kron(coarse, np.ones((4, 4, 4), dtype=np.uint16))
    warp = [
        np.clip(axis + gaussian_filter(rng.normal(0, 12, (EDGE,) * 3), 2).astype(int), 0, EDGE - 1)
        for axis in np.indices((EDGE,) * 3)
    ]
    labels = labels[tuple(warp)].astype(np.uint16)
    image = 130 + gaussian_filter(rng.normal(0, 400, (EDGE,) * 3), 2) + rng.normal(0, NOISE, (EDGE,) * 3)
    for path, array in (
        (folder.image(volume), image.clip(0, 255).astype(np.uint8)),
        (folder.segmentation(volume), labels),
    ):
        path.parent.mkdir(parents=True)
        path.write_bytes(encode(array))
    return int(labels.max())


def make_world(folder: DataFolder, *, volumes: int, per_volume: int) -> TaskTable:
    """Write `volumes` on a grid of three a side; return tasks that step from cube to cube, two ancestors deep."""
    rng = np.random.Generator(np.random.PCG64(0))
    side = max(2, round(volumes ** (1 / 3)))
    segments = [make_volume(folder, volume + 1, rng) for volume in range(volumes)]
    place = np.stack(np.unravel_index(np.arange(volumes), (side, side, -(-volumes // side**2))), axis=1)
    records = []
    for task in range(volumes * per_volume):
        volume = task % volumes
        corner = tuple((place[volume] * STRIDE).tolist())
        near = np.flatnonzero(np.abs(place - place[volume]).sum(axis=1) == 1)
        parents = [int(rng.choice(near)) + volumes * int(rng.integers(task // volumes))] if task >= volumes else [None]
        answer = rng.choice(np.arange(1, segments[volume]), 15, replace=False).tolist()
        record = TaskRecord(
            id=task + 1,
            cell=task % 500,
            parent=None if parents[0] is None else parents[0] + 1,
            volume=volume + 1,
            path="",
            seed=tuple(answer[:4]),
            bounds=Bounds(corner, tuple(low + RAW for low in corner)),
        )
        records.append((record, AggregateRecord(dict.fromkeys(answer, 1.0), weight=5)))
    return TaskTable.from_records(records)


def decompress(path: Path, dtype: str) -> np.ndarray:
    """Read a packed volume as the seed system does, anew each time."""
    with lzma.open(path) as stream:
        return np.frombuffer(stream.read(), dtype).reshape(EDGE, EDGE, EDGE)


def seed_way(folder: DataFolder, table: TaskTable, task: int) -> Sample:
    """Return the sample of `task`, everything decompressed for it alone."""
    row = table.row(task)
    volume = int(table.volume[row])
    image, labels = decompress(folder.image(volume), "u1"), decompress(folder.segmentation(volume), "<u2")
    context = np.zeros((2, EDGE, EDGE, EDGE), dtype=bool)
    for place, ancestor in enumerate(nearest_ancestors(table, row, count=2)):
        theirs = decompress(folder.segmentation(int(table.volume[ancestor])), "<u2")
        context[1 - place] = moved(np.isin(theirs, table.aggregate(ancestor)), shift_between(table, row, ancestor))
    seed = np.isin(labels, table.seed(row))
    return Sample(
        task=task,
        volume=volume,
        cell=int(table.cell[row]),
        image=image,
        labels=labels,
        seed=seed,
        confidence=np.where(seed, 1, 10).astype(np.float32),
        context=context,
        target=np.isin(labels, table.aggregate(row)),
    )


def moved(mask: np.ndarray, shift: tuple[int, int, int] | None) -> np.ndarray:
    """Return `mask` moved by `shift` voxels, zeros coming in."""
    out = np.zeros_like(mask)
    if shift is not None and max(map(abs, shift)) < EDGE:
        here = tuple(slice(max(0, s), EDGE + min(0, s)) for s in shift)
        there = tuple(slice(max(0, -s), EDGE - max(0, s)) for s in shift)
        out[here] = mask[there]
    return out


def check_equal(first: Sample, second: Sample) -> None:
    for name in ("image", "labels", "seed", "confidence", "context", "target"):
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise SystemExit(f"task {first.task}: {name} differs")


def rate(build: object, tasks: list[int]) -> float:
    """Return samples a second."""
    began = time.perf_counter()
    for task in tasks:
        build(task)  # type: ignore[operator]
    return len(tasks) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=27)
    parser.add_argument("--tasks-per-volume", type=int, default=30)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = DataFolder(Path(temporary))
        table = make_world(folder, volumes=args.volumes, per_volume=args.tasks_per_volume)
        sampler = VolumeSampler(table.volume, SamplerConfig())
        order = [int(table.ids[row]) for batch in sampler.batches(0) for row in batch]
        builder = SampleBuilder(table, PackedStore(folder, cache=CACHED_VOLUMES))
        some = order[:: max(1, len(order) // 60)]
        for task in some:
            check_equal(seed_way(folder, table, task), builder.build(task))
        slow = rate(lambda task: seed_way(folder, table, task), some)
        builder = SampleBuilder(table, PackedStore(folder, cache=CACHED_VOLUMES))
        fast = rate(builder.build, order)
    size = f"{args.volumes} volumes, {args.tasks_per_volume} tasks each"
    print(f"{size}; {len(some)} samples compared, all arrays equal")
    print(f"the seed's way {slow:8.1f} samples/s")
    print(f"ewval          {fast:8.1f} samples/s, every volume decoded for the first time")
    print(f"ratio          {fast / slow:8.1f}x   (wanted: 20x)")


if __name__ == "__main__":
    main()
