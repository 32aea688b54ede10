"""What a volume and its tasks cost from raw files to answers, beside the floor: decoding alone.

    python benchmarks/volume.py ../shared/data WORK [--tasks 30] [--volumes 10]

Each volume is packed and measured, and its tasks are answered, by one call in a process of a pool, as
`ewval fetch --pack --predict` does it. The volumes pass pools of one and of two processes, and their files are decoded
alone. Prints seconds by the clock and of the processor for each volume.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipeline import copy_sample

from ewval.core.fetch.run import FetchRequest, fetch
from ewval.core.folder import DataFolder
from ewval.core.packing.pack import pack_and_then, raw_volumes
from ewval.core.predict.folder import AnswerFolder
from ewval.core.predict.pipeline import AnswerVolume, open_answers
from ewval.core.predict.work import WorkerModel
from ewval.core.sim.server import WireServer
from ewval.core.volumes.raw import read_image, read_segmentation
from ewval.core.workers import process_pool

FIRST = 2
"""Volumes that are not counted: one for each process."""


def decode(folder: DataFolder, volume: int) -> float:
    began = time.process_time()
    read_segmentation(folder.raw(volume))
    read_image(folder.raw(volume))
    return time.process_time() - began


def answer(folder: DataFolder, then: AnswerVolume, volume: int) -> float:
    began = time.process_time()
    pack_and_then(folder, volume, graph=True, drop_raw=False, then=then)
    return time.process_time() - began


def warm_up(_: int) -> None:
    """Import what the work needs, so that starting a process is not counted."""
    WorkerModel()


def timed(call: Callable[[int], float], volumes: list[int], *, processes: int) -> tuple[float, float]:
    """Return seconds by the clock and of the processor for each volume."""
    with process_pool(processes) as pool:
        list(pool.map(warm_up, range(4 * processes)))
        list(pool.map(call, volumes[:FIRST]))  # loads the model, too
        began = time.perf_counter()
        used = list(pool.map(call, volumes[FIRST:]))
        seconds = time.perf_counter() - began
    return seconds / len(used), sum(used) / len(used)


def emptied(folder: DataFolder, out: Path) -> AnswerVolume:
    for name in ("images", "segmentation", "graphs"):
        shutil.rmtree(folder.root / name, ignore_errors=True)
    shutil.rmtree(out, ignore_errors=True)
    return open_answers(folder, out, model=WorkerModel())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--tasks", type=int, default=30)
    parser.add_argument(
        "--volumes",
        type=int,
        default=10,
        help="an even number; the more, the less the end counts",
    )
    chosen = parser.parse_args()
    shutil.rmtree(chosen.work, ignore_errors=True)
    count = chosen.volumes + FIRST
    ids = copy_sample(chosen.data, chosen.work / "wire", volumes=count, tasks=chosen.tasks)
    folder, out = DataFolder(chosen.work / "data"), chosen.work / "answers"
    with WireServer(chosen.work / "wire", token="secret") as server:
        fetch(FetchRequest(folder, ids, api=server.api_url, token="secret", api_rate=1000, bucket_rate=5000, yes=True))
    volumes = raw_volumes(folder)
    print(f"{count - FIRST} volumes, {chosen.tasks} tasks each at most, {len(os.sched_getaffinity(0))} cores")
    found = {}
    for processes in (1, 2):
        then = emptied(folder, out)
        found[processes] = timed(partial(answer, folder, then), volumes, processes=processes)
        saved = AnswerFolder.of_other_process(out, pictures=False)
        if missing := [task for task in ids if not saved.is_finished(task)]:
            sys.exit(f"tasks without an answer: {missing}")
    floor = timed(partial(decode, folder), volumes, processes=1)
    print("seconds a volume           clock  processor")
    for what, (clock, processor) in (
        ("decoding alone", floor),
        ("all of it, one process", found[1]),
        ("all of it, two", found[2]),
    ):
        print(f"{what:24s}{clock:8.2f}{processor:11.2f}")
    print(f"two processes are {found[1][0] / found[2][0]:.2f} times as fast as one")


if __name__ == "__main__":
    main()
