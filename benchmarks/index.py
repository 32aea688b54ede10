"""Eyewire-sized table: 1.7 million generated tasks over 56,326 volumes, indexed, loaded, and shared by 4 workers.

    python benchmarks/index.py [--tasks 1700000] [--volumes 56326] [--keep DIR]

The reference is the plain way, measured in the same run: `json.loads` of the two files into dicts, in every worker.
Memory is what a process holds by itself (private pages) and in all (resident), from /proc.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from ewval.core.folder import DataFolder
from ewval.core.index.build import IndexRequest, index
from ewval.core.ledger.ledger import Ledger
from ewval.core.storage.ragged import offsets_of
from ewval.core.tasks.table import TaskTable

TASKS, VOLUMES, CELLS, WORKERS = 1_700_000, 56_326, 3_300, 4
GRID = (17, 90, 55)  # z y x: where Eyewire's 2^8 cubes lie in E2198
STRIDE, EDGE = 224, 256
INSERT_TASK = """INSERT INTO tasks(id, cell, parent, volume, status, path, seed, prior_weight, weightsum,
    zmin, ymin, xmin, zmax, ymax, xmax, aggregate_ids, aggregate_confidence, aggregate_weight, votes_total,
    wanted, state) VALUES (?, ?, ?, ?, ?, 'x/', ?, 3, 3, ?, ?, ?, ?, ?, ?, ?, ?, ?, 2, 1, 'done')"""


def walk(tasks: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cell, parent (row, -1 at a root) and place of each task: neurites that step from cube to cube."""
    per_cell = -(-tasks // CELLS)
    shape = np.array(GRID)
    place = np.empty((per_cell, CELLS, 3), dtype=np.int64)
    parent = np.full((per_cell, CELLS), -1, dtype=np.int64)
    place[0] = rng.integers(0, shape, size=(CELLS, 3))
    for step in range(1, per_cell):
        back = np.minimum(rng.geometric(0.7, size=CELLS), step)
        move = np.zeros((CELLS, 3), dtype=np.int64)
        move[np.arange(CELLS), rng.integers(0, 3, CELLS)] = rng.choice([-1, 1], CELLS)
        place[step] = np.clip(place[step - back, np.arange(CELLS)] + move, 0, shape - 1)
        parent[step] = (step - back) * CELLS + np.arange(CELLS)
    cell = np.tile(np.arange(CELLS), per_cell)
    return cell[:tasks], parent.reshape(-1)[:tasks], np.minimum(place.reshape(-1, 3)[:tasks], shape - 1)


def ragged_blobs(tasks: int, mean: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return ascending ids of every task, one after another, and their offsets."""
    lengths = rng.poisson(mean, tasks)
    owner = np.repeat(np.arange(tasks), lengths)
    keys = np.unique(owner * 65_536 + rng.integers(1, 3_000, len(owner)))
    return (keys % 65_536).astype("<u4"), offsets_of(np.bincount(keys // 65_536, minlength=tasks))


def rows(tasks: int, volumes: int) -> Iterator[tuple[object, ...]]:
    """Yield generated tasks as ledger rows."""
    rng = np.random.Generator(np.random.PCG64(0))
    cell, parent, place = walk(tasks, rng)
    number = np.ravel_multi_index(place.T, GRID) % volumes
    corner = np.stack(np.unravel_index(number, GRID), axis=1) * STRIDE
    seeds, seed_at = ragged_blobs(tasks, 3, rng)
    answers, answer_at = ragged_blobs(tasks, 12, rng)
    confidences = rng.integers(0, 5, len(answers)) / 4
    weight = rng.integers(1, 8, tasks).astype(float)
    status = rng.choice([0, 6, 10, 11], tasks, p=[0.94, 0.02, 0.02, 0.02])
    for i in range(tasks):
        z, y, x = corner[i].tolist()
        a, b, c, d = seed_at[i], seed_at[i + 1], answer_at[i], answer_at[i + 1]
        yield (
            i + 1,
            int(cell[i]) + 60_000,
            int(parent[i]) + 1 or None,
            int(number[i]) + 1,
            int(status[i]),
            seeds[a:b].tobytes(),
            *(z, y, x, z + EDGE, y + EDGE, x + EDGE),
            answers[c:d].tobytes(),
            confidences[c:d].tobytes(),
            float(weight[i]),
        )


def make_ledger(folder: DataFolder, tasks: int, volumes: int) -> None:
    """Write the generated ledger, unless it is there."""
    with closing(Ledger(folder.ledger)) as ledger:
        if ledger.connection.execute("SELECT count(*) FROM tasks").fetchone()[0] != tasks:
            with ledger.transaction() as connection:
                connection.executemany(INSERT_TASK, rows(tasks, volumes))


def memory() -> tuple[float, float]:
    """Return private and resident MB of this process."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines[1:])}
    return (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024, kib["Rss"] / 1024


def load_table(root: Path) -> object:
    """Load the table and touch every byte of it."""
    table = TaskTable.load(DataFolder(root))
    columns = (table.ids, table.volume, table.cell, table.parent, table.corner, table.answer)
    ragged = (table.seeds.values, table.seeds.offsets, table.aggregates.values, table.aggregates.offsets)
    return table, sum(int(array.sum()) for array in (*columns, *ragged))


def load_dicts(root: Path) -> object:
    """Load the two files the plain way."""
    import json

    folder = DataFolder(root)
    return json.loads(folder.task_vol.read_bytes()), json.loads(folder.task_data.read_bytes())


def measure(
    job: Callable[[Path], object], root: Path, barrier: "multiprocessing.synchronize.Barrier", replies: object
) -> None:
    """In a worker: time `job`, wait until all workers hold theirs, then look at the memory it added."""
    before = memory()
    began = time.perf_counter()
    kept = job(root)
    seconds = time.perf_counter() - began
    barrier.wait()
    after = memory()
    barrier.wait()
    replies.put((seconds, after[0] - before[0], after[1] - before[1]))  # type: ignore[attr-defined]
    del kept


def in_workers(job: Callable[[Path], object], root: Path, count: int) -> tuple[float, float, float]:
    """Return the slowest worker's seconds and the largest private and resident MB added, over `count` at once."""
    context = multiprocessing.get_context("spawn")
    barrier, replies = context.Barrier(count), context.SimpleQueue()
    workers = [context.Process(target=measure, args=(job, root, barrier, replies)) for _ in range(count)]
    for worker in workers:
        worker.start()
    answers = [replies.get() for _ in workers]
    for worker in workers:
        worker.join()
    seconds, private, resident = zip(*answers, strict=True)
    return max(seconds), max(private), max(resident)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--volumes", type=int, default=VOLUMES)
    parser.add_argument("--keep", type=Path, help="Folder that stays, with its ledger.")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run(DataFolder(args.keep or Path(temporary)), args.tasks, args.volumes)


def run(folder: DataFolder, tasks: int, volumes: int) -> None:
    """Measure everything and print the table."""
    make_ledger(folder, tasks, volumes)
    began, cpu = time.perf_counter(), time.process_time()
    summary = index(IndexRequest(folder, check_volumes=False))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{tasks} tasks over {volumes} volumes, {os.cpu_count()} cores")
    print(f"index from the ledger {seconds:7.1f} s (limit 120 s), {cpu:.1f} s of processor time, peak {peak:.0f} MB")
    print(f"  {dict(summary.split.counts)}, fallback {summary.split.fallback}")
    print("loading                                 s  private MB  resident MB")
    table = {}
    for name, job in (("table", load_table), ("json.loads", load_dicts)):
        for count in (1, WORKERS) if name == "table" else (1,):
            table[name, count] = in_workers(job, folder.root, count)
            took, private, resident = table[name, count]
            print(f"  {name:10s} in {count} process(es) {took:14.2f} {private:11.0f} {resident:12.0f}")
    ratio = table["json.loads", 1][0] / table["table", 1][0]
    share = table["json.loads", 1][1] / max(table["table", WORKERS][1], 1)
    print(f"the table loads {ratio:.0f}x faster than json.loads; a worker holds {share:.0f}x less memory of its own")


if __name__ == "__main__":
    main()
