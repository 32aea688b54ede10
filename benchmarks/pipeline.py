"""Fetching, packing, measuring and answering in one go: which of network and processor waits for the other.

    python benchmarks/pipeline.py ../shared/data WORK [--volumes 40] [--tasks 30] [--rate 100] [--kills 20]

Serves copies of the developer sample's volumes, each with some of its tasks, from a process of its own, and runs
`ewval fetch - --pack --predict WORK/answers --drop-raw`. Prints the seconds, for how much of the time between
first and last file the bucket was asked at the allowed rate, the greatest memory of all processes together, and the
most raw volumes on disk. Then the same is killed at random moments until it is through, and must leave the same bytes.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from ewval.core.fetch.download import FILES
from ewval.core.sim.server import WireServer

SETS = ("fib25", "pinky")
STEP = 100_000
"""Between the ids of one copy and those of the next."""
AGAIN = 10**8
"""Between the ids of a task and of the same one asked again."""
SAMPLED_EVERY_S = 0.1


def copy_sample(data: Path, target: Path, *, volumes: int, tasks: int, fill: bool = False) -> list[int]:
    """Write a wire folder of so many volumes; return the ids of its tasks, those of one volume together.

    With `fill` tasks come again under further ids until each volume has so many.
    """
    scored = json.loads((data / "scored.json").read_text())["tasks"]
    sources = [(name, folder) for name in SETS for folder in sorted((data / name / "volumes").iterdir())]
    ids: list[int] = []
    for number in range(volumes):
        name, folder = sources[number % len(sources)]
        shift = STEP * (1 + number // len(sources))
        channel, segmentation = (int(part) + shift for part in folder.name.split("-")[1:])
        renamed = f"Volume-{channel}-{segmentation}"
        shutil.copytree(folder, target / "volumes" / renamed, copy_function=link)
        own = [row["task"] for row in scored[name] if row["volume"] == folder.name]
        for place in range(tasks if fill else min(tasks, len(own))):
            again, which = divmod(place, len(own))
            new = own[which] + shift * 10 + again * AGAIN
            ids.append(copy_task(data / name, target, own[which], new, (channel, segmentation), renamed))
    return ids


def link(source: str, target: str) -> None:
    """Share the file, or copy it to another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def copy_task(source: Path, target: Path, task: int, new: int, volume: tuple[int, int], renamed: str) -> int:
    document = json.loads((source / f"api/1.0/task/{task}.json").read_text())
    document |= {"id": new, "parent": None, "full_path": f"{{BUCKET}}/{renamed}/"}
    document["data"]["channel"]["id"], document["data"]["segmentation"]["id"] = volume
    path = target / f"api/1.0/task/{document['id']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    aggregate = source / f"api/1.0/task/{task}/aggregate.json"
    if aggregate.is_file():
        (target / f"api/1.0/task/{document['id']}").mkdir()
        shutil.copy(aggregate, target / f"api/1.0/task/{document['id']}/aggregate.json")
    return int(document["id"])


def serve(folder: Path, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with WireServer(folder, token="secret") as server:
        pipe.send(server.api_url)
        while pipe.recv() == "times":
            requests, server.requests[:] = list(server.requests), []
            pipe.send([r.at_s for r in requests if r.host == "bucket"])


class Run:
    """One run of the command, watched."""

    def __init__(self, api: str, work: Path, name: str, ids: list[int], *, rate: float) -> None:
        self.data, self.answers = work / f"{name}-data", work / f"{name}-answers"
        self._words = [sys.executable, "-m", "ewval", "fetch", "-", "--data", str(self.data), "--pack", "--drop-raw"]
        self._words += ["--predict", str(self.answers), "--api-rate", "1000", "--bucket-rate", str(rate), "--yes", "-q"]
        self._ids, self._env = "".join(f"{i}\n" for i in ids), os.environ | {"EWVAL_TOKEN": "secret", "EWVAL_API": api}
        self.memory = self.raw = 0

    def start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self._words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=self._env,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(self._ids)
        process.stdin.close()
        return process

    def watch(self, process: subprocess.Popen[str]) -> None:
        while process.poll() is None:
            self.memory = max(self.memory, memory_of(process.pid))
            raw = self.data / "raw"
            self.raw = max(self.raw, len([p for p in raw.iterdir() if p.name[0] != "."]) if raw.is_dir() else 0)
            time.sleep(SAMPLED_EVERY_S)
        if process.returncode:
            sys.exit(f"ewval ended with {process.returncode}")

    def digest(self) -> str:
        digest = hashlib.sha256()
        kept = [
            *self.answers.rglob("*.json*"),
            *(self.data / "segmentation").rglob("*.lzma"),
            *self.data.rglob("image.lzma"),
        ]
        for path in sorted(kept):
            digest.update(str(path.relative_to(self.data.parent).parts[1:]).encode() + path.read_bytes())
        return digest.hexdigest()


def memory_of(process: int) -> int:
    """Return the bytes that a process and its children hold, shared pages counted once."""
    try:
        everyone = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
        return sum(one.memory_full_info().pss for one in everyone)
    except psutil.Error:
        return 0


def run_whole(run: Run, pipe: Connection, *, rate: float, volumes: int) -> None:
    began = time.monotonic()
    run.watch(run.start())
    seconds = time.monotonic() - began
    pipe.send("times")
    times = pipe.recv()
    network = max(times) - min(times)
    print(f"{volumes} volumes, {len(times)} files asked for at {rate:.0f} a second at most")
    print(f"all done after               {seconds:7.1f} s, {seconds / volumes:.2f} s a volume")
    print(f"first to last file           {network:7.1f} s, at the allowed rate {len(times) / rate:.1f} s")
    print(f"network busy                 {100 * len(times) / rate / network:7.1f} %")
    print(f"memory, all processes        {run.memory / 1e9:7.2f} GB")
    print(f"raw volumes on disk, at most {run.raw:7d}")


def run_killed(run: Run, *, kills: int, longest_s: float) -> None:
    draw = random.Random(0)
    for _ in range(kills):
        process = run.start()
        try:
            process.wait(draw.uniform(0.5, longest_s))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    run.watch(run.start())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--volumes", type=int, default=40)
    parser.add_argument("--tasks", type=int, default=30)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--killed-after", type=float, default=30, help="seconds at most")
    chosen = parser.parse_args()
    shutil.rmtree(chosen.work, ignore_errors=True)
    ids = copy_sample(chosen.data, chosen.work / "wire", volumes=chosen.volumes, tasks=chosen.tasks)
    print(f"{len(FILES)} files a volume, {len(ids)} tasks")
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(chosen.work / "wire", there), daemon=True)
    server.start()
    api = here.recv()
    whole = Run(api, chosen.work, "whole", ids, rate=chosen.rate)
    run_whole(whole, here, rate=chosen.rate, volumes=chosen.volumes)
    if chosen.kills:
        killed = Run(api, chosen.work, "killed", ids, rate=chosen.rate)
        run_killed(killed, kills=chosen.kills, longest_s=chosen.killed_after)
        same = killed.digest() == whole.digest()
        print(f"killed {chosen.kills} times             {'the same bytes' if same else 'OTHER BYTES'}")
        if not same:
            sys.exit(1)


if __name__ == "__main__":
    main()
