"""`ewval predict` of many tasks by one process, by several and by a Dask cluster: tasks a second, and the same bytes.

The plain form beside one process orders few tasks by volume at a time, and so reads the same volumes again and again;
the two are compared by processor time.

    python benchmarks/workers.py ../shared/data WORK [--volumes 10] [--tasks 200] [--workers 2]

Copies of the developer sample's volumes, each with so many tasks (its own, again and again under new ids), are fetched
and packed first; the tasks are asked for in random order. Ends with 1 where the outputs differ.
"""

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from distributed import LocalCluster
from pipeline import copy_sample

from ewval.core.fetch.run import FetchRequest, fetch
from ewval.core.folder import DataFolder
from ewval.core.models.registry import load_ensemble
from ewval.core.predict.work import Work
from ewval.core.segments.decision import AS_CARDS_SAY
from ewval.core.sim.server import WireServer

SMALL_WINDOW = 128


def predict(folder: DataFolder, ids: list[int], *words: str) -> tuple[str, float]:
    """Return a digest of the output, and seconds by the clock, the start of all processes counted."""
    forget_judgements(folder)
    command = [sys.executable, "-m", "ewval", "predict", "-", "--data", str(folder.root), "--json", *words]
    began = time.perf_counter()
    done = subprocess.run(
        command, input="".join(f"{i}\n" for i in ids).encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        check=True, env=os.environ | {"EWVAL_API": "http://127.0.0.1:9"},
    )  # fmt: skip
    return hashlib.sha256(done.stdout).hexdigest(), time.perf_counter() - began


def in_windows(folder: DataFolder, ids: list[int], *, size: int) -> float:
    """Return the processor time that this process takes to answer `ids`, `size` of them ordered by volume at a time."""
    forget_judgements(folder)
    work, began = Work(folder, load_ensemble((None,)), looks=AS_CARDS_SAY, saved=None), time.process_time()
    for start in range(0, len(ids), size):
        for _ in work.results(ids[start : start + size]):
            pass
    return time.process_time() - began


def forget_judgements(folder: DataFolder) -> None:
    for path in (folder.root / "graphs").glob("*.judged.npz"):
        path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--volumes", type=int, default=10)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    shutil.rmtree(chosen.work, ignore_errors=True)
    ids = copy_sample(chosen.data, chosen.work / "wire", volumes=chosen.volumes, tasks=chosen.tasks, fill=True)
    folder, rates = DataFolder(chosen.work / "data"), {"api_rate": 1000, "bucket_rate": 5000}
    with WireServer(chosen.work / "wire", token="secret") as server:
        fetch(FetchRequest(folder, ids, api=server.api_url, token="secret", pack=True, yes=True, **rates))
    random.Random(0).shuffle(ids)
    print(f"{len(ids)} tasks in {chosen.volumes} volumes, graphs at hand")
    digests = set()
    with LocalCluster(n_workers=chosen.workers, threads_per_worker=1, dashboard_address=None) as cluster:
        for what, words in (
            ("one process", ("--workers", "1")),
            (f"{chosen.workers} workers", ("--workers", str(chosen.workers))),
            ("Dask", ("--dask", cluster.scheduler_address)),
        ):
            digest, seconds = predict(folder, ids, *words)
            digests.add(digest)
            print(f"{what:14s}{len(ids) / seconds:8.1f} tasks/s  {digest[:12]}", flush=True)
    whole, small = (in_windows(folder, ids, size=size) for size in (len(ids), SMALL_WINDOW))
    print(f"processor time of one process: {whole:.1f} s; {small:.1f} s where {SMALL_WINDOW} are ordered at a time")
    print(f"- {small / whole:.2f} times faster")
    if len(digests) > 1:
        sys.exit("the outputs differ")


if __name__ == "__main__":
    main()
