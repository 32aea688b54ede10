"""A server on 127.0.0.1 that answers as Eyewire does, for any folder in the wire format."""

import asyncio
import hmac
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from aiohttp import web

from ewval.core.sim.faults import Fault, FaultDraw, Faults, damage
from ewval.core.sim.wire import WireFolder

Host = Literal["api", "bucket"]
TYPES = {".jpg": "image/jpeg", ".json": "application/json"}
PAGE = b"<html><body><h1>Eyewire is taking a nap</h1></body></html>"
REFUSALS = {"500": 500, "503": 503, "429": 429}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the server saw it.

    Args:
        at_s: Server's monotonic clock when it came in.
        host: The server that it came to.
        path: Path without the query.
        status: What was answered; 0 for a connection that was cut.
        fault: What went wrong on purpose.
        token: The access token that it carried.
        user_agent: Who asked.
    """

    at_s: float
    host: Host
    path: str
    status: int
    fault: Fault | None
    token: str | None
    user_agent: str


class WireServer:
    """Serves a wire-format folder while its `with` block runs: the API on one port, the bucket on another.

    It runs in a thread with an event loop of its own, so that clients of any kind can use it.

    Args:
        folders: One folder or several, as `WireFolder` reads them.
        token: Access token that the API wants: 401 without, 403 with another; None wants none.
        latency_s: Seconds before each answer.
        faults: What goes wrong.
        ports: Of the API and the bucket; 0 for any that is free, which is also taken where one is in use.
    """

    def __init__(
        self,
        folders: Path | Sequence[Path],
        *,
        token: str | None = "secret",
        latency_s: float = 0.0,
        faults: Faults | None = None,
        ports: tuple[int, int] = (0, 0),
    ) -> None:
        self.token = token
        self.latency_s = latency_s
        self.requests: list[Request] = []
        self.api_url = self.bucket_url = ""
        self._folder = WireFolder.at(folders)
        self._draw = FaultDraw(faults) if faults else None
        self._ports = ports
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._runners: list[web.AppRunner] = []

    def __enter__(self) -> "WireServer":
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire-server", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Close both ports; what is asked for later is refused. Stopping twice does nothing."""
        if self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._thread = None

    async def _start(self) -> None:
        api, bucket = self._ports
        self.bucket_url = await self._serve(self._handler("bucket", self._bucket), port=bucket)
        self.api_url = await self._serve(self._handler("api", self._api), port=api)

    async def _serve(self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]], *, port: int) -> str:
        application = web.Application()
        application.add_routes([web.get("/{path:.+}", handler)])
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError:  # in use
            await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, taken = runner.addresses[0][:2]
        return f"http://{host}:{taken}"

    async def _close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    def _handler(
        self, host: Host, answer: Callable[[web.Request], web.Response]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            at_s = time.monotonic()
            await asyncio.sleep(self.latency_s)
            fault = self._draw.draw(host, request.path) if self._draw else None
            response = answer(request)
            status = 0 if fault in ("reset", "truncated") else REFUSALS.get(fault or "", response.status)
            token = request.query.get("access_token")
            agent = request.headers.get("User-Agent", "")
            self.requests.append(Request(at_s, host, request.path, status, fault, token, agent))
            return await self._spoil(request, response, fault=fault) if fault else response

        return handle

    def _api(self, request: web.Request) -> web.Response:
        sent = request.query.get("access_token")
        if self.token is not None and (sent is None or not hmac.compare_digest(sent.encode(), self.token.encode())):
            return web.json_response({"error": "access_denied"}, status=401 if sent is None else 403)
        path = request.match_info["path"]
        if path == "1.0/cell" and "dataset" in request.query:
            return _reply(self._folder.cells(request.query["dataset"]), kind=".json")
        return _reply(self._folder.api(path, bucket_url=self.bucket_url), kind=".json")

    def _bucket(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        return _reply(self._folder.file(path), kind=Path(path).suffix)

    async def _spoil(self, request: web.Request, response: web.Response, *, fault: Fault) -> web.StreamResponse:
        if fault in REFUSALS:
            retry_after_s = self._draw.faults.retry_after_s if self._draw else None
            wait = {} if retry_after_s is None or fault == "500" else {"Retry-After": str(retry_after_s)}
            return web.Response(status=REFUSALS[fault], headers=wait, text="try again later")
        if fault == "html":
            return web.Response(body=PAGE, content_type="text/html")
        if fault in ("reset", "truncated"):
            return await _cut(request, response, after=len(_body(response)) // 2 if fault == "truncated" else None)
        return _reply(damage(_body(response)), kind=Path(request.path).suffix) if response.status == 200 else response


def _reply(content: bytes | None, *, kind: str) -> web.Response:
    if content is None:
        return web.json_response({"error": "not found"}, status=404)
    return web.Response(body=content, content_type=TYPES.get(kind, "application/octet-stream"))


def _body(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


async def _cut(request: web.Request, response: web.Response, *, after: int | None) -> web.StreamResponse:
    """Send `after` bytes of the body (None: not even the head), then drop the connection."""
    partial = web.StreamResponse(headers=response.headers)
    if after is not None:
        partial.content_length = len(_body(response))
        await partial.prepare(request)
        await partial.write(_body(response)[:after])
    if request.transport is not None:
        if after is None:
            request.transport.abort()
        else:
            request.transport.close()  # what was written still goes out
    return partial
