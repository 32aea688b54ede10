"""How `ewval fetch` stands beside a plain thread-pool downloader with sleeps, in the same run.

    python benchmarks/fetch.py [pace] [faults] [kills] [ledger]      default: all four

The server runs in a process of its own, so that its clock and its work are its own.
"""

import http.client
import json
import logging
import lzma
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from ewval.core.eyewire.records import AggregateRecord, Bounds, TaskRecord
from ewval.core.fetch.download import FILES
from ewval.core.fetch.run import FetchRequest, fetch
from ewval.core.folder import DataFolder
from ewval.core.ledger.ledger import Ledger
from ewval.core.sim.faults import Faults
from ewval.core.sim.server import WireServer

RATE, SECONDS, LATENCY_S = 200.0, 20, 0.1
THREADS = 32
FAULTS = Faults(0.1, limit=None, retry_after_s=1)
MEASURED = """
import pathlib, re, sys, time
from ewval.__main__ import main
try:
    main()
finally:
    status = pathlib.Path("/proc/self/status").read_text()  # getrusage would count the memory of whoever started us
    sys.stderr.write(f" used {time.process_time()} {re.search('VmHWM: *(.*) kB', status)[1]}")
"""
TASK_COUNT, VOLUME_COUNT, CELL_COUNT = 2_000_000, 56_300, 3_300


@dataclass(frozen=True)
class Served:
    api: str
    bucket: str
    pipe: Connection

    def requests(self) -> list[tuple[float, str, str]]:
        """Return what has been asked since the last call: time by the server's clock, host, path."""
        self.pipe.send("requests")
        return self.pipe.recv()


def serve(folder: Path, latency_s: float, faults: Faults | None, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with WireServer(folder, latency_s=latency_s, faults=faults) as server:
        pipe.send((server.api_url, server.bucket_url))
        while pipe.recv() == "requests":
            seen, server.requests[:] = server.requests[:], []
            pipe.send([(request.at_s, request.host, request.path) for request in seen])


@contextmanager
def serving(folder: Path, *, latency_s: float = 0.0, faults: Faults | None = None) -> Iterator[Served]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, latency_s, faults, there))
    process.start()
    try:
        yield Served(*here.recv(), here)
    finally:
        here.send("stop")
        process.join()


def write_world(folder: Path, volumes: int) -> None:
    """Write `volumes` volumes, one task in each; on disk they are one, so that many are cheap."""
    first = folder / "volumes" / "Volume-0"
    (first / "jpg").mkdir(parents=True)
    chance = np.random.default_rng(0)
    for z in range(256):
        tile = np.kron(chance.integers(0, 255, (64, 64, 1), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
        content = simplejpeg.encode_jpeg(tile, quality=25, colorspace="GRAY", colorsubsampling="Gray")
        (first / "jpg" / f"{z}.jpg").write_bytes(content)
    labels = np.repeat(chance.integers(0, 3000, 2**18, dtype=np.uint16), 64)
    (first / "segmentation.lzma").write_bytes(lzma.compress(labels.tobytes(), format=lzma.FORMAT_ALONE, preset=1))
    (first / "metadata.json").write_text(json.dumps({"physical_offset_min": [0, 0, 0]}))
    for number in range(1, volumes):
        (folder / "volumes" / f"Volume-{number}").symlink_to(first)
    for number in range(volumes):
        reply = {
            "id": number + 1,
            "cell": 5,
            "prior": {"segments": {"3": 1}},
            "data": {"segmentation": {"id": number + 1}},
            "full_path": f"{{BUCKET}}/Volume-{number}/",
            "bounds": {"min": {"x": 300 * number, "y": 0, "z": 0}},
        }
        path = folder / "api" / "1.0" / "task" / f"{number + 1}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(reply))
        (path.parent / str(number + 1)).mkdir()
        (path.parent / str(number + 1) / "aggregate.json").write_text('{"segments": {"3": 1.0}}')


def request_for(served: Served, target: Path, volumes: int, **fields: Any) -> FetchRequest:
    rates = {"api_rate": 100.0, "bucket_rate": RATE, "yes": True, "token": "secret"}
    return FetchRequest(DataFolder(target), tasks=range(1, volumes + 1), api=served.api, **(rates | fields))


def plain_download(bucket: str, target: Path, volumes: int) -> int:
    """Download as the seed system did: threads that sleep after each file; return how many files were lost."""
    lost = 0
    lock = threading.Lock()

    def one(name: str) -> None:
        nonlocal lost
        path = target / name
        try:
            with urllib.request.urlopen(f"{bucket}/{name}", timeout=30) as reply:
                content = reply.read()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except (OSError, http.client.HTTPException):
            with lock:
                lost += 1
        time.sleep(THREADS / RATE)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, [f"Volume-{number}/{name}" for number in range(volumes) for name in FILES]))
    return lost


def busiest_second(times: list[float]) -> int:
    """Return the most requests in any window of one second."""
    most, first = 0, 0
    for last, at_s in enumerate(times):
        while at_s - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


@contextmanager
def sent_to(host: str) -> Iterator[list[float]]:
    """Yield the times at which requests to `host` leave this process, as they do."""
    times: list[float] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith(f"GET {host}"):
                times.append(time.monotonic())

    log, watch = logging.getLogger("ewval.core.eyewire.host"), Watch()
    log.addHandler(watch)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        yield times
    finally:
        log.removeHandler(watch)
        log.setLevel(logging.NOTSET)
        log.propagate = True


def bucket_times(served: Served) -> list[float]:
    return sorted(at_s for at_s, host, _ in served.requests() if host == "bucket")


def show(title: str, rows: list[tuple[str, str, str]]) -> None:
    print(f"\n{title}\n{'':38}{'ewval':>16}{'plain':>16}")
    for name, ours, plain in rows:
        print(f"{name:38}{ours:>16}{plain:>16}", flush=True)


def measure_pace(place: Path) -> None:
    volumes = int(RATE * (SECONDS + 2) / len(FILES)) + 1
    write_world(place / "wire", volumes)
    columns = []
    with serving(place / "wire", latency_s=LATENCY_S) as served:
        runs: list[Callable[[], Any]] = [
            lambda: fetch(request_for(served, place / "ours", volumes)),
            lambda: plain_download(served.bucket, place / "plain", volumes),
        ]
        for run in runs:
            began = time.monotonic()
            run()
            took_s = time.monotonic() - began
            times = bucket_times(served)
            made = sum(at_s < times[0] + SECONDS for at_s in times)
            columns.append((made, busiest_second(times), sum(at_s < times[0] + 1 for at_s in times), took_s))
    ours, plain = columns
    show(
        f"pace: {RATE:.0f}/s allowed, {LATENCY_S * 1000:.0f} ms latency, {volumes * len(FILES)} files",
        [
            (f"of the requests allowed in {SECONDS} s", *(f"{made / RATE / SECONDS:.1%}" for made, *_ in columns)),
            ("busiest second, of the rate", *(f"{most / RATE:.1%}" for _, most, *_ in columns)),
            ("first second, of the rate", *(f"{first / RATE:.1%}" for *_, first, _ in columns)),
            ("seconds for all", f"{ours[3]:.1f}", f"{plain[3]:.1f}"),
            ("times as fast", f"{plain[3] / ours[3]:.2f}", "1.00"),
        ],
    )


def measure_faults(place: Path) -> None:
    volumes = 4
    write_world(place / "wire", volumes)
    with serving(place / "wire", faults=FAULTS) as served:
        began = time.monotonic()
        with sent_to(served.bucket) as sent:
            summary = fetch(request_for(served, place / "ours", volumes))
        ours_s = time.monotonic() - began
        ours_busy = busiest_second(bucket_times(served))
        began = time.monotonic()
        lost = plain_download(served.bucket, place / "plain", volumes)
        plain_s = time.monotonic() - began
        plain_busy = busiest_second(bucket_times(served))
    wrong = differing(place / "wire", lambda number, name: place / "ours" / "raw" / str(number + 1) / name, volumes)
    plain_wrong = differing(place / "wire", lambda number, name: place / "plain" / f"Volume-{number}" / name, volumes)
    show(
        f"faults: 10 % of replies, {volumes * len(FILES)} files, {RATE:.0f}/s allowed",
        [
            ("files reported as failed", str(len(summary.failed)), str(lost)),
            ("files lost or not byte-identical", str(wrong), str(plain_wrong)),
            ("busiest second, of the rate", f"{ours_busy / RATE:.1%}", f"{plain_busy / RATE:.1%}"),
            ("the same, seen by the client", f"{busiest_second(sent) / RATE:.1%}", ""),
            ("requests, seen by the client", str(len(sent)), ""),
            ("seconds", f"{ours_s:.1f}", f"{plain_s:.1f}"),
        ],
    )


def differing(wire: Path, copy_of: Callable[[int, str], Path], volumes: int) -> int:
    source = wire / "volumes" / "Volume-0"
    wanted = {name: (source / name).read_bytes() for name in FILES}
    count = 0
    for number in range(volumes):
        for name, content in wanted.items():
            path = copy_of(number, name)
            count += not path.is_file() or path.read_bytes() != content
    return count


def measure_kills(place: Path, kills: int = 20) -> None:
    volumes = 16
    write_world(place / "wire", volumes)
    chance = random.Random(os.getpid())
    twice = 0
    with serving(place / "wire", latency_s=0.01) as served:
        words = ["fetch", *map(str, range(1, volumes + 1)), "--data", str(place / "ours"), "--api", served.api]
        command = [sys.executable, "-m", "ewval", *words, "--api-rate", "100", "--bucket-rate", str(RATE)]
        for _ in range(kills):
            complete = complete_files(place / "ours")
            process = subprocess.Popen(
                command,
                env=os.environ | {"EWVAL_TOKEN": "secret"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(chance.uniform(0.0, 2.0))
            process.kill()
            process.wait()
            twice += asked_again(served, complete)
        complete = complete_files(place / "ours")
        last = subprocess.run(command, env=os.environ | {"EWVAL_TOKEN": "secret"}, capture_output=True, check=False)
        twice += asked_again(served, complete)
    wrong = differing(place / "wire", lambda number, name: place / "ours" / "raw" / str(number + 1) / name, volumes)
    print(f"\nkill -9 at {kills} random moments, {volumes * len(FILES)} files, {len(complete)} before the last run")
    print(f"exit code of the last run {last.returncode}; files not byte-identical {wrong}; asked for again {twice}")


def complete_files(target: Path) -> set[str]:
    """Return the paths on the server of the files that are there."""
    raw = target / "raw"
    names = [path.relative_to(raw) for path in raw.glob("*/**/*") if path.is_file() and not path.name.startswith(".")]
    return {f"/Volume-{int(name.parts[0]) - 1}/{'/'.join(name.parts[1:])}" for name in names}


def asked_again(served: Served, complete: set[str]) -> int:
    return sum(path in complete for _, host, path in served.requests() if host == "bucket")


def measure_ledger(place: Path) -> None:
    folder = DataFolder(place / "data")
    ledger, spent_s, busy_s = Ledger(folder.ledger), 0.0, 0.0
    for start in range(0, TASK_COUNT, 50_000):
        rows = [record(number) for number in range(start + 1, start + 50_001)]
        began, began_cpu = time.monotonic(), time.process_time()
        ledger.add_tasks(rows)
        spent_s += time.monotonic() - began
        busy_s += time.process_time() - began_cpu
    finish(ledger, folder)
    print(f"\nledger of {TASK_COUNT:,} tasks in {VOLUME_COUNT:,} volumes, {folder.ledger.stat().st_size / 1e6:.0f} MB")
    print(f"rows in: {TASK_COUNT / spent_s:,.0f}/s ({TASK_COUNT / busy_s:,.0f}/s of processor time)")
    registry = place / "cells.csv"
    lines = [f"{cell},a,Completed,9,{{}}" for cell in range(1, CELL_COUNT + 1)]
    registry.write_text("\n".join(["Cell ID,Name,Status,Size,Tags", *lines]) + "\n")
    ids = place / "ids.txt"
    ids.write_text("\n".join(map(str, range(1, TASK_COUNT + 1))))
    for name, words in (("--registry", ["--registry", str(registry)]), ("all ids on stdin", ["-"])):
        seconds, busy_s, peak_mb, text = timed([*words, "--data", str(folder.root), "--yes"], stdin=ids)
        spent = f"{seconds:.1f} s ({busy_s:.1f} s of processor time), {peak_mb:.0f} MB"
        print(f"start of a finished fetch, {name}: {spent}: {text}", flush=True)


def record(number: int) -> tuple[TaskRecord, AggregateRecord]:
    volume = (number - 1) * VOLUME_COUNT // TASK_COUNT + 1
    corner = (volume * 224, 498, 434)
    bounds = Bounds(corner, (corner[0] + 256, corner[1] + 256, corner[2] + 256))
    seed = tuple(range(number % 50 + 1, number % 50 + 6))
    task = TaskRecord(
        id=number,
        cell=number % CELL_COUNT + 1,
        parent=number - 1 if number % 30 else None,
        volume=volume,
        path=f"https://storage.googleapis.com/e2198_compressed/Volume-{2 * volume}-{2 * volume + 1}/",
        seed=seed,
        prior_weight=3.0,
        weightsum=4.0,
        bounds=bounds,
    )
    return task, AggregateRecord(dict.fromkeys(range(1, 41), 0.9), weight=4.0, votes_total=2.0)


def finish(ledger: Ledger, folder: DataFolder) -> None:
    """Leave the ledger as a fetch of everything with --pack --drop-raw does."""
    with ledger.transaction() as connection:
        connection.execute("UPDATE tasks SET context = 2")
        volumes = ((volume, "https://b/v/", 1, "done", 9_000_000) for volume in range(1, VOLUME_COUNT + 1))
        connection.executemany("INSERT INTO volumes(id, path, wanted, state, bytes) VALUES (?, ?, ?, ?, ?)", volumes)
        cells = ((cell, 1, "done") for cell in range(1, CELL_COUNT + 1))
        connection.executemany("INSERT INTO cells(id, dataset, state) VALUES (?, ?, ?)", cells)
    ledger.close()
    for volume in range(1, VOLUME_COUNT + 1):
        for path in (folder.image(volume), folder.segmentation(volume)):
            path.parent.mkdir(parents=True)
            path.touch()


def timed(words: list[str], *, stdin: Path) -> tuple[float, float, float, str]:
    """Run a fetch in a process of its own; return seconds, processor seconds, peak memory in MB and what it said."""
    began = time.monotonic()
    with stdin.open() as stream:
        command = [sys.executable, "-c", MEASURED, "fetch", *words]
        done = subprocess.run(command, stdin=stream, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    busy_s, peak = done.stderr.split()[-2:]
    return seconds, float(busy_s), int(peak) / 1e3, done.stdout.strip()


MEASURES = {"pace": measure_pace, "faults": measure_faults, "kills": measure_kills, "ledger": measure_ledger}


def main() -> None:
    for name in sys.argv[1:] or MEASURES:
        with tempfile.TemporaryDirectory(prefix="ewval-bench-") as place:
            MEASURES[name](Path(place))


if __name__ == "__main__":
    main()
