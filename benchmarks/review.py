"""How long `ewval review` lets a person wait, and what it keeps in memory.

    python benchmarks/review.py --data FOLDER [--tasks 200]

FOLDER holds tasks with packed and raw volumes whose graphs were measured; it is copied without its reviews. The page
runs in a headless Chromium with software rendering. Prints, each beside its goal: seconds from the command to the first
task on screen, and of these how long a bare `python -c "import numpy, skimage.measure, aiohttp"` takes; milliseconds
from accepting a task to the next one on screen, with that prepared, and beside it without; milliseconds to draw the
three slices; and megabytes of the server and of the page's heap after a tenth of the tasks and after all of them.
"""

import argparse
import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from browser import Page, open_page

ACCEPT = """(async () => {
  const before = document.body.dataset.ready, began = performance.now();
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
  while (document.body.dataset.ready === before) await new Promise((done) => setTimeout(done, 2));
  return performance.now() - began;
})()"""
SCROLL = """(() => {
  const began = performance.now();
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "KEY" }));
  return performance.now() - began;
})()"""
HEAP = "performance.memory.usedJSHeapSize / 1e6"
LOOK_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", type=int, default=200)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        shutil.copytree(chosen.data, folder, ignore=shutil.ignore_patterns("reviews.sqlite*"))
        asyncio.run(measure(folder, chosen.tasks))


async def measure(folder: Path, tasks: int) -> None:
    bare = timed([sys.executable, "-c", "import numpy, skimage.measure, aiohttp"])
    async with open_page("about:blank") as page:
        began = time.perf_counter()
        server = start(folder)
        try:
            address = server.stdout.readline().strip()
            printed = time.perf_counter() - began
            await page.call("Page.navigate", url=address)
            await page.resize(1280, 720)
            await page.until("document.body?.dataset.ready !== undefined", patience_s=120)
            first = time.perf_counter() - began
            print(
                f"first task on screen: {first:.2f} s (goal 3); address after {printed:.2f}; bare imports {bare:.2f};"
                f" the server computed for {busy_s(server.pid):.2f}"
            )
            await settle(page)
            slices = [await page.run(SCROLL.replace("KEY", "][c"[n % 3])) for n in range(90)]
            print(f"three slices drawn:   {middle(slices)} ms (goal 33)")
            await walk(page, server.pid, tasks)
            print(f"complaints of the page: {page.complaints}")
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


async def walk(page: Page, pid: int, tasks: int) -> None:
    prepared, at_once, memory = [], [], {}
    for number in range(tasks):
        is_hasty = number % 20 == 19
        if not is_hasty:
            await settle(page)
        (at_once if is_hasty else prepared).append(await page.run(ACCEPT))
        if number + 1 in (tasks // 10, tasks):
            await page.call("HeapProfiler.collectGarbage")
            memory[number + 1] = (resident_mb(pid), await page.run(HEAP))
        if await page.run("document.body.dataset.ready") == "done":
            break
    print(f"next task on screen:  {middle(prepared)} ms prepared (goal 500); {middle(at_once)} ms accepted at once")
    for count, (server, heap) in memory.items():
        print(f"after {count:4d} tasks:     server {server:.0f} MB, heap of the page {heap:.0f} MB")


async def settle(page: Page) -> None:
    """Look at the task until nothing more is asked of the server."""
    await asyncio.sleep(LOOK_S)
    seen = -1
    while seen != len(page.requests):
        seen = len(page.requests)
        await asyncio.sleep(0.3)


def start(folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "ewval", "review", "--data", folder, "--no-browser", "--as", "benchmark"]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)


def timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def resident_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) / 1e3 if found else float("nan")


def busy_s(pid: int) -> float:
    """Return the seconds of the processor that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def middle(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{np.median(values):.0f} (95 % within {np.quantile(values, 0.95):.0f})"


if __name__ == "__main__":
    main()
