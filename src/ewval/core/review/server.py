"""The page of `ewval review` and what it asks for, served on this machine alone."""

import asyncio
import hmac
import json
import secrets
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.resources import files
from typing import Any

from aiohttp import web

from ewval.core.constants import CUBE_EDGE, SEGMENT_ID_COUNT, VOXEL_SIZE_NM
from ewval.core.errors import EwvalError, MissingError, SettingError
from ewval.core.ledger.reviews import ENDS, Stroke
from ewval.core.review.desk import Desk, pack_meshes

__all__ = ["HOST", "PALETTE", "ReviewServer", "new_secret", "serve"]

HOST = "127.0.0.1"
BODY_LIMIT = 16 * 1024
"""Bytes of a request: the longest that the page sends has some hundred."""
MOST_MESHES = 512
"""Surfaces in one reply."""
LONGEST_ID = 18
"""Digits of a task id; int() refuses thousands of them."""
LONGEST_LOOK_S = 3600.0
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
PALETTE = {
    "seed": (86, 180, 233),
    "added": (0, 158, 115),
    "maybe": (240, 228, 66),
    "doubted": (213, 94, 0),
    "players": (204, 121, 167),
}
"""Colour of each kind of segment, told apart by people with any of the common colour blindnesses.

Source: Okabe and Ito 2008, Color Universal Design.
"""
PAGE_FILES = {
    "": ("ewval.core.review.page", "page.html", "text/html"),
    "style.css": ("ewval.core.review.page", "style.css", "text/css"),
    "review.js": ("ewval.core.review.page", "review.js", "text/javascript"),
    "slices.js": ("ewval.core.review.page", "slices.js", "text/javascript"),
    "painters.js": ("ewval.core.show.viewer", "painters.js", "text/javascript"),
    "solid.js": ("ewval.core.review.page", "solid.js", "text/javascript"),
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def new_secret() -> str:
    """Return what the address of a page holds, so that nobody else on this machine can ask for it."""
    return secrets.token_urlsafe(24)


class ReviewServer:
    """Serves one desk while its `async with` block runs.

    Args:
        desk: What is served.
        secret: Part of every address.
        port: On 127.0.0.1; 0 for any that is free.

    Attributes:
        address: Of the page.

    Raises:
        UsageError: The port is in use or may not be had.
    """

    def __init__(self, desk: Desk, *, secret: str, port: int = 0) -> None:
        self.address = ""
        self._desk, self._secret, self._wanted_port = desk, secret, port
        self._allowed: frozenset[str] = frozenset()
        application = web.Application(client_max_size=BODY_LIMIT, middlewares=[self._guarded])
        base = "/{secret}/"
        application.add_routes(
            [
                web.get(base + "api/queue", self._queue),
                web.get(base + "api/next", self._next),
                web.get(base + r"api/task/{task:\d{1,18}}", self._task),
                web.get(base + r"api/task/{task:\d{1,18}}/meshes", self._meshes),
                web.get(base + r"api/volume/{volume:\d{1,18}}", self._volume),
                web.post(base + r"api/task/{task:\d{1,18}}", self._stroke),
                web.get(base + r"{name:[a-z]*\.?[a-z]*}", self._file),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> "ReviewServer":
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._wanted_port).start()
        except OSError as error:
            await self._runner.cleanup()
            reason = error.strerror or str(error)
            raise SettingError(
                f"{self._wanted_port} cannot be had ({reason}); 0 takes one that is free", setting="port"
            ) from error
        port = self._runner.addresses[0][1]
        self._allowed = frozenset(f"{name}:{port}" for name in (HOST, "localhost"))
        self.address = f"http://{HOST}:{port}/{self._secret}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let through what our own page asks for; say nothing to anybody else."""
        if (refusal := self._refusal(request)) is not None:
            return _text(refusal, "refused")
        try:
            response = await handler(request)
        except web.HTTPException as error:
            return _text(error.status, error.reason)
        except MissingError as error:
            return _json({"problem": str(error)}, status=404)
        except EwvalError as error:
            return _json({"problem": str(error)}, status=422)
        return response

    def _refusal(self, request: web.Request) -> int | None:
        # A page elsewhere may have its name point here (DNS rebinding): then Host is that name.
        if request.headers.get("Host", "") not in self._allowed:
            return 403
        origin = request.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._allowed}:
            return 403
        if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            return 403
        given = request.match_info.get("secret", "")
        return None if hmac.compare_digest(given.encode(), self._secret.encode()) else 403

    async def _file(self, request: web.Request) -> web.StreamResponse:
        found = PAGE_FILES.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        package, name, kind = found
        text = (files(package) / name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=kind, headers=HEADERS)

    async def _queue(self, _request: web.Request) -> web.StreamResponse:
        queue = self._desk.queue
        upcoming = await asyncio.to_thread(queue.upcoming, 50)
        listed = [{"task": task, "priority": queue.priority(task), "cell": queue.tasks[task].cell} for task in upcoming]
        problems = [{"task": task, "problem": problem} for task, problem in list(queue.problems.items())[:50]]
        return _json(
            {
                "who": self._desk.who,
                "order": queue.order,
                "left": queue.open_count,
                "next": listed,
                "failed": problems,
                "colours": PALETTE,
                "size": [nm * CUBE_EDGE for nm in reversed(VOXEL_SIZE_NM)],
            }
        )

    async def _next(self, request: web.Request) -> web.StreamResponse:
        """The next task, made ready; asked for `without` those that the person has seen, while looking at the last."""
        words = [word for word in request.query.get("without", "").split(",") if word.isascii() and word.isdigit()]
        if any(len(word) > LONGEST_ID for word in words):
            raise web.HTTPBadRequest
        passed = [int(word) for word in words]
        task = await asyncio.to_thread(partial(self._desk.next_task, without=passed))
        if passed:
            self._desk.is_begun.set()
        volume = None if task is None else self._desk.queue.tasks[task].volume
        return _json({"task": task, "volume": volume})

    async def _task(self, request: web.Request) -> web.StreamResponse:
        return _json(await asyncio.to_thread(self._desk.document, int(request.match_info["task"])))

    async def _meshes(self, request: web.Request) -> web.StreamResponse:
        words = request.query.get("ids", "").split(",")
        ids = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 6][:MOST_MESHES]
        meshes = await asyncio.to_thread(self._desk.meshes, int(request.match_info["task"]), ids)
        return web.Response(body=pack_meshes(meshes), content_type="application/octet-stream", headers=HEADERS)

    async def _volume(self, request: web.Request) -> web.StreamResponse:
        """Image, then segment ids (little-endian uint16), plane by plane, so that no copy of either is made."""
        shown = await asyncio.to_thread(self._desk.volume, int(request.match_info["volume"]))
        response = web.StreamResponse(headers=HEADERS | {"Content-Type": "application/octet-stream"})
        response.content_length = shown.image.nbytes + shown.labels.nbytes
        await response.prepare(request)
        for array in (shown.image, shown.labels.astype("<u2", copy=False)):
            for start in range(0, len(array), 16):
                await response.write(array[start : start + 16].tobytes())
        await response.write_eof()
        return response

    async def _stroke(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        stroke, after = _read_stroke(await request.read())
        task = int(request.match_info["task"])
        document = await asyncio.to_thread(partial(self._desk.stroke, task, stroke, after=after))
        if document is None:
            return _json(await asyncio.to_thread(self._desk.document, task), status=409)
        return _json(document)


async def serve(
    server: ReviewServer, *, opened: Callable[[str], None], background: Callable[[threading.Event], None]
) -> None:
    """Serve until the task that runs this is cancelled.

    Args:
        server: What is served.
        opened: Called with the address of the page once it can be asked for.
        background: Runs in a thread of its own until its event is set.
    """
    stop = threading.Event()
    work = asyncio.ensure_future(
        asyncio.to_thread(background, stop)
    )  # before anything else: the first task takes longest
    try:
        async with server:
            opened(server.address)
            await work
            await asyncio.Event().wait()
    finally:
        stop.set()


def _read_stroke(body: bytes) -> tuple[Stroke, int]:
    """Return the stroke in a request and how many strokes the page knew of.

    Raises:
        HTTPBadRequest: There is none in it.
    """
    try:
        said: Any = json.loads(body)
        seconds, after = float(said["seconds"]), said["after"]
        if not (seconds >= 0 and isinstance(after, int) and said["kind"] in ("yes", "no", "undo", *ENDS)):
            raise ValueError("no stroke")
        segment = said.get("segment")
        if segment is not None and not (isinstance(segment, int) and 0 < segment < SEGMENT_ID_COUNT):
            raise ValueError("no segment")
        return Stroke(said["kind"], segment, round(min(seconds, LONGEST_LOOK_S), 3)), after
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise web.HTTPBadRequest from error


def _json(document: dict[str, Any], *, status: int = 200) -> web.Response:
    text = json.dumps(document, allow_nan=False)
    return web.Response(text=text, content_type="application/json", status=status, headers=HEADERS)


def _text(status: int, text: str) -> web.Response:
    return web.Response(text=text, status=status, headers=HEADERS)
