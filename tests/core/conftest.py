"""A small wire-format folder with every relation between tasks, and servers that answer as told."""

import asyncio
import json
import lzma
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

EDGE = 256
PLACES = {1001: 0, 1003: 224, 1005: 448}
"""Volumes of the bucket, in a row along x: each overlaps its neighbour, the ends do not touch."""
TASKS: dict[int, dict[str, Any]] = {
    11: {"cell": 5, "parent": None, "volume": 1001},
    12: {"cell": 5, "parent": 11, "volume": 1003},
    13: {"cell": 5, "parent": 12, "volume": 1005},
    21: {"cell": 6, "parent": 99, "volume": 1001},  # its parent answers 404
    31: {"cell": 6, "parent": None, "volume": 1007, "x": 9000},  # its volume answers 404
    41: {"cell": 6, "parent": 42, "volume": 1001},
    42: {"cell": 6, "parent": None, "volume": 1009, "x": -224},  # an ancestor whose volume answers 404
    51: {"cell": 7, "parent": None, "volume": 1001, "x": None},  # no bounds, and nobody lists cell 7
    52: {"cell": 7, "parent": 51, "volume": 1003, "x": None},
    53: {"cell": 7, "parent": 52, "volume": 1005, "x": None},
    61: {"cell": 8, "parent": 62, "volume": 1001},  # each is the other's parent
    62: {"cell": 8, "parent": 61, "volume": 1001},
}


@pytest.fixture(scope="session")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wire-format folder of three volumes; never write into it."""
    folder = tmp_path_factory.mktemp("wire")
    for task, fields in TASKS.items():
        write_json(folder / f"api/1.0/task/{task}.json", task_reply(task, **fields))
        aggregate = {"segments": {"3": 0.9, "7": 0.4}, "weight": 4, "votes": {"total": 3, "max": 2}}
        write_json(folder / f"api/1.0/task/{task}/aggregate.json", aggregate)
    for cell in (5, 6, 8):
        rows = [{"id": task, "status": 0} for task, fields in TASKS.items() if fields["cell"] == cell]
        write_json(folder / f"api/1.0/cell/{cell}/tasks.json", {"tasks": rows})
    write_json(folder / "api/1.0/cell.json", {"1": [{"id": 5, "name": "a"}], "11": [{"id": 8, "name": "fish"}]})
    for volume, x in PLACES.items():
        write_volume(folder / "volumes" / name_of(volume), x=x, seed=volume)
    return folder


def name_of(volume: int) -> str:
    return f"Volume-{volume - 1}-{volume}"


def task_reply(task: int, *, cell: int, parent: int | None, volume: int, x: int | None = -1) -> dict[str, Any]:
    x = PLACES.get(volume, x) if x == -1 else x
    place = (
        {} if x is None else {"bounds": {"min": {"x": x, "y": 0, "z": 0}, "max": {"x": x + EDGE, "y": 256, "z": 256}}}
    )
    return {
        "id": task,
        "cell": cell,
        "parent": parent,
        "status": 0,
        "prior": {"segments": {"3": 1}, "weight": 2.5},
        "data": {"segmentation": {"id": volume}, "channel": {"id": volume - 1}},
        "full_path": f"{{BUCKET}}/{name_of(volume)}/",
        **place,
    }


def write_volume(folder: Path, *, x: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    (folder / "jpg").mkdir(parents=True)
    picture = np.kron(chance.integers(0, 255, (32, 32), dtype=np.uint8), np.ones((8, 8), np.uint8))
    for z in range(EDGE):
        tile = np.roll(picture, z, axis=1)[:, :, None]
        content = simplejpeg.encode_jpeg(
            np.ascontiguousarray(tile), quality=25, colorspace="GRAY", colorsubsampling="Gray"
        )
        (folder / "jpg" / f"{z}.jpg").write_bytes(content)
    labels = np.repeat(chance.integers(0, 50, EDGE * 16, dtype=np.uint16), EDGE * EDGE // 16)
    (folder / "segmentation.lzma").write_bytes(lzma.compress(labels.tobytes(), format=lzma.FORMAT_ALONE, preset=0))
    corners = {"physical_offset_min": [x, 0, 0], "physical_offset_max": [x + EDGE, 256, 256]}
    write_json(folder / "metadata.json", {"segment_id_type": "UInt16", "num_segments": 50, **corners})


def write_json(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


@dataclass
class ScriptedServer:
    """A server on 127.0.0.1 that answers each request with `answer`, and remembers what it was asked."""

    answer: Answer
    asked: list[tuple[float, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> "ScriptedServer":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def paths(self) -> list[str]:
        return [path.partition("?")[0] for _, path, _ in self.asked]

    async def _start(self) -> None:
        application = web.Application(client_max_size=1 << 20)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((time.monotonic(), request.path_qs, dict(request.headers)))
        return await self.answer(request)


@pytest.fixture
def scripted() -> Iterator[Callable[[Answer], ScriptedServer]]:
    """Start servers that answer as told; all stop at the end."""
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(ScriptedServer(answer))


@pytest.fixture
def in_turn(scripted: Callable[[Answer], ScriptedServer]) -> Callable[..., ScriptedServer]:
    """Start a server that gives each of these answers once, and the last one for ever."""

    def start(*answers: Callable[[], web.StreamResponse]) -> ScriptedServer:
        waiting = list(answers)

        async def answer(request: web.Request) -> web.StreamResponse:
            return (waiting.pop(0) if len(waiting) > 1 else waiting[0])()

        return scripted(answer)

    return start
