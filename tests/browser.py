"""A headless Chromium driven over its own protocol, for tests of the pages that ewval writes."""

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--window-size=1280,1100",
)
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
NO_WEBGL = ("--disable-3d-apis",)


def find_chromium() -> str | None:
    """Return the browser's path, None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def is_complaint(method: str, params: dict[str, Any]) -> bool:
    """Whether an event is an error or a warning of the page; graphics drivers' remarks on speed are not."""
    if method == "Runtime.consoleAPICalled":
        return params["type"] in ("error", "warning", "assert")
    return method == "Runtime.exceptionThrown" or (method == "Log.entryAdded" and params["entry"]["level"] == "error")


@dataclass
class Page:
    """One open page: what it asked for, what it complained about, and how to drive it."""

    socket: aiohttp.ClientWebSocketResponse
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _numbers: Any = field(default_factory=itertools.count)
    _waiting: dict[int, asyncio.Future[Any]] = field(default_factory=dict)

    async def listen(self) -> None:
        async for message in self.socket:
            event = json.loads(message.data)
            if "id" in event:
                self._waiting.pop(event["id"]).set_result(event)
            elif event["method"] == "Network.requestWillBeSent":
                self.requests.append(event["params"]["request"]["url"][:100])
            elif is_complaint(event["method"], event["params"]):
                self.complaints.append(json.dumps(event["params"])[:500])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": params})
        reply = await asyncio.wait_for(self._waiting[number], 60)
        assert "error" not in reply, reply
        return reply["result"]

    async def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        result = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, script: str, *, patience_s: float = 30) -> None:
        """Wait until a JavaScript expression is true."""
        for _ in range(int(patience_s * 20)):
            if await self.run(script):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true: {script}; {self.complaints}")

    async def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag the mouse."""
        places = [("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)]
        for kind, (x, y) in places:
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    async def click(self, x: float, y: float) -> None:
        """Click with the mouse."""
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key."""
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            code = {"Enter": 13, "Escape": 27}.get(key, 0)
            named = {"type": kind, "key": key, "modifiers": 8 * shift, "windowsVirtualKeyCode": code}
            await self.call("Input.dispatchKeyEvent", **named, **(text if kind == "keyDown" else {}))

    async def resize(self, width: int, height: int) -> None:
        """Give the page another size."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    async def screenshot(self, path: Path) -> None:
        """Save what is seen."""
        shot = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def open_page(place: Path | str, *, flags: tuple[str, ...] = WEBGL) -> AsyncIterator[Page]:
    """Open a local file, or an address, in a browser of its own."""
    browser = find_chromium()
    assert browser is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [browser, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = await _port(Path(profile))
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(await _page_address(session, port), max_msg_size=0) as socket,
            ):
                page = Page(socket)
                listener = asyncio.create_task(page.listen())
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await page.call(f"{domain}.enable")
                await page.call("Page.navigate", url=place if isinstance(place, str) else place.resolve().as_uri())
                yield page
                listener.cancel()
        finally:
            process.terminate()
            process.wait(20)


def browse(place: Path | str, visit: Callable[[Page], Awaitable[None]], *, flags: tuple[str, ...] = WEBGL) -> Page:
    """Open a file or an address, let `visit` look around, and return the page as it was left."""

    async def main() -> Page:
        async with open_page(place, flags=flags) as page:
            await visit(page)
            return page

    return asyncio.run(main())


async def _port(profile: Path) -> int:
    found = profile / "DevToolsActivePort"
    for _ in range(600):
        if found.is_file() and (text := found.read_text()).count("\n"):
            return int(text.splitlines()[0])
        await asyncio.sleep(0.05)
    raise AssertionError("the browser did not start")


async def _page_address(session: aiohttp.ClientSession, port: int) -> str:
    for _ in range(200):
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(f"http://127.0.0.1:{port}/json") as reply:
                pages = [item for item in await reply.json() if item["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
        await asyncio.sleep(0.05)
    raise AssertionError("the browser opened no page")
