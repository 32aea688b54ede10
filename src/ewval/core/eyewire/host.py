"""One host that is asked with care: evenly paced, few connections, patient, and never told another host's secrets."""

import asyncio
import base64
import hashlib
import ipaddress
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote, urljoin, urlsplit

import aiohttp
import stamina

from ewval.core.errors import (
    DamagedError,
    EwvalError,
    MissingError,
    RefusedError,
    ReplyError,
    ThrottledError,
    UnreachableError,
)
from ewval.core.eyewire.throttle import Pace, Strain

log = logging.getLogger(__name__)

TRIES = 8
TRIES_BEFORE_FIRST_ANSWER = 4
TRIES_AT_BAD_CONTENT = 6
WAIT_INITIAL_S, WAIT_MAX_S, WAIT_JITTER_S, PATIENCE_S = 0.25, 20.0, 0.25, 900.0
LONGEST_RETRY_AFTER_S = 300.0
"""A server that asks for a longer wait is left alone: the same command continues later."""
LOST_BEFORE_DOWN = 5
"""Requests given up in a row after which a host counts as down."""
BAD_BEFORE_DOWN = 20
"""Replies in a row that were no good, after which a host counts as down."""
REDIRECTS = 5
TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=15, sock_read=30)
CHUNK_BYTES = 1 << 16
RETRIED = (UnreachableError, ThrottledError, ReplyError, DamagedError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How a host is asked.

    Args:
        name: What progress notes call it.
        rate: Requests per second at most, retries included.
        connections: Connections at most.
        user_agent: Says who asks.
        secret: Sent as `access_token` with each request, to this origin alone.
        origin: The one origin that requests may go to; None allows any.
    """

    name: str
    rate: float
    connections: int
    user_agent: str
    secret: str | None = None
    origin: str | None = None


class Host:
    """Fetches from one host while its `async with` block runs.

    Attributes:
        requests: Requests sent, retries included.
        received: Bytes of the bodies that came.
        has_succeeded: Whether at least one good answer came.
        down: The error after which nothing more is asked, None while all is well.
    """

    def __init__(self, options: HostOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.options = options
        self.requests = self.received = 0
        self.down: EwvalError | None = None
        self._clock = clock
        self._pace, self._strain = Pace(options.rate, clock=clock), Strain(clock=clock)
        self._slots = asyncio.Semaphore(options.connections)
        self._has_answered = self.has_succeeded = False
        self._lost = self._bad = self._throttles = 0

    async def __aenter__(self) -> "Host":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.options.connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.options.user_agent},
            timeout=TIMEOUT,
            trust_env=not _is_loopback(self.options.origin),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(
        self,
        url: str,
        *,
        limit: int,
        use: Callable[[bytes], Awaitable[T]],
        seen: Callable[[], None] = lambda: None,
        query: Mapping[str, str] | None = None,
    ) -> T:
        """Return what `use` makes of the body at `url`; where it raises DamagedError or ReplyError, ask again.

        Args:
            url: Where, without a token.
            limit: Bytes after which a body is cut off.
            use: Called with the whole body, outside the pace and the connections.
            seen: Called when the server begins to send the body.
            query: Query parameters.

        Raises:
            MissingError: 404 or 410.
            RefusedError: Another answer that asking again would not change, or a body beyond `limit`.
            ServerError: No good answer after all tries.
            DamagedError: As `use` raised it last.
        """

        async def once() -> T:
            return await use(await self._body(url, query=query or {}, limit=limit, seen=seen))

        try:
            result = await self._patiently(once)
        except MissingError:
            self._count_answer()
            raise
        except RETRIED as error:
            self._give_up(error)
            raise
        self._count_answer()
        return result

    async def _patiently(self, once: Callable[[], Awaitable[T]]) -> T:
        """Try until it works or patience ends."""
        patience = _Patience(self)
        try:
            return await once()  # nearly always all it takes; the machinery of retries would cost as much again
        except RETRIED as error:
            if not patience(error):
                raise
        await asyncio.sleep(WAIT_INITIAL_S * random.random() if self._pace.paused_s == 0 else 0)
        async for attempt in stamina.retry_context(
            on=patience,
            attempts=TRIES - 1,
            timeout=PATIENCE_S,
            wait_initial=WAIT_INITIAL_S,
            wait_max=WAIT_MAX_S,
            wait_jitter=WAIT_JITTER_S,
        ):
            with attempt:
                result = await once()
        return result

    def note(self) -> str:
        """Return why this host is asked more slowly than allowed, empty where it is not."""
        if (wait := self._pace.paused_s) >= 1:
            return f"{self.options.name} waits {wait:.0f} s, as the server asked"
        if self._strain.share < 1 and self._strain.baseline_s is not None:
            return (
                f"{self.options.name} slowed to {self._pace.rate:,.1f}/s: replies take {self._strain.latency_s:.2g} s,"
                f" not {self._strain.baseline_s:.2g} s"
            )
        return ""

    async def _body(self, url: str, *, query: Mapping[str, str], limit: int, seen: Callable[[], None]) -> bytes:
        async with self._slots:
            for _ in range(REDIRECTS + 1):
                if self.down is not None:
                    raise self.down
                await self._pace.turn()
                answer = await self._ask(url, query=query, limit=limit, seen=seen)
                if isinstance(answer, bytes):
                    return answer
                url, query = self._follow(url, answer), query if self.options.origin else {}
        raise RefusedError(url, "it redirects without end")

    async def _ask(
        self, url: str, *, query: Mapping[str, str], limit: int, seen: Callable[[], None]
    ) -> "bytes | _Elsewhere":
        self._check_origin(url)
        shown, began = _without_query(url), self._clock()
        self.requests += 1
        try:
            async with self._session.get(url, params=self._signed(query), allow_redirects=False) as reply:
                latency_s = self._clock() - began
                log.debug("GET %s: %d in %.0f ms", shown, reply.status, 1000 * latency_s)
                self._has_answered = True
                if reply.status in (301, 302, 303, 307, 308):
                    return _Elsewhere(reply.headers.get("Location", ""))
                self._check_status(reply, shown)
                self._throttles = 0
                self._pace.rate = self.options.rate * self._strain.observe(latency_s)
                seen()
                return await self._read(reply, url=shown, limit=limit)
        except TimeoutError as error:
            raise UnreachableError(shown, "no answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnreachableError(shown, self._reason(error)) from self._harmless(error)

    async def _read(self, reply: aiohttp.ClientResponse, *, url: str, limit: int) -> bytes:
        if (reply.content_length or 0) > limit:
            raise RefusedError(url, f"the reply is longer than {limit} bytes")
        body = bytearray()
        async for chunk in reply.content.iter_chunked(CHUNK_BYTES):
            body += chunk
            if len(body) > limit:
                raise RefusedError(url, f"the reply is longer than {limit} bytes")
        self.received += len(body)
        content = bytes(body)
        _check_hash(content, reply.headers, url=url)
        return content

    def _check_status(self, reply: aiohttp.ClientResponse, url: str) -> None:
        status = reply.status
        if status == 200:
            return
        if status in (404, 410):
            raise MissingError(url)
        if status in (429, 503):
            self._throttle(reply.headers.get("Retry-After"), url=url)
            raise ThrottledError(url)
        if status >= 500 or status in (408, 425):
            raise UnreachableError(url, f"status {status}")
        raise RefusedError(url, f"status {status}", status)

    def _throttle(self, retry_after: str | None, *, url: str) -> None:
        """Pause the whole host for as long as it asks, or for longer each time where it does not say."""
        wait_s = _retry_after_s(retry_after)
        if wait_s is None:
            if self._pace.paused_s > 0:  # this reply left before the pause began
                return
            wait_s = min(2.0**self._throttles, WAIT_MAX_S)
            self._throttles += 1
        if wait_s > LONGEST_RETRY_AFTER_S:
            self.down = ThrottledError(url)
            raise self.down
        self._pace.pause(wait_s)

    def _follow(self, url: str, answer: "_Elsewhere") -> str:
        """Return where a redirect leads; a server that repeats our query in it must not add to it."""
        target = urljoin(url, answer.location)
        return _without_query(target) if self.options.origin else target

    def _check_origin(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            fit = parts.scheme in ("http", "https") and parts.hostname is not None
        except ValueError:
            fit = False
        if not fit:
            raise RefusedError(_without_query(url), "it is not an http(s) URL")
        if self.options.origin is not None and not _is_same_host(url, self.options.origin):
            raise RefusedError(self.options.origin, f"it redirects to another host, {parts.hostname}")

    def _signed(self, query: Mapping[str, str]) -> dict[str, str]:
        return dict(query) | ({"access_token": self.options.secret} if self.options.secret else {})

    def _count_answer(self) -> None:
        self._lost = self._bad = 0
        self.has_succeeded = True

    def _give_up(self, error: EwvalError) -> None:
        if isinstance(error, UnreachableError | ThrottledError):
            self._lost += 1
        else:
            self._bad += 1
        if self._lost >= LOST_BEFORE_DOWN or self._bad >= BAD_BEFORE_DOWN:
            self.down = error

    def _harmless(self, error: BaseException) -> BaseException | None:
        return None if self._redact(repr(error)) != repr(error) else error

    def _reason(self, error: BaseException) -> str:
        if isinstance(error, aiohttp.ClientConnectorError):
            is_refused = isinstance(error.os_error, ConnectionRefusedError)
            text = "connection refused" if is_refused else error.os_error.strerror or str(error.os_error)
        else:
            text = str(error)
        return self._redact(text) or type(error).__name__

    def _redact(self, text: str) -> str:
        secret = self.options.secret
        for form in {secret, quote(secret, safe="")} if secret else ():
            text = text.replace(form, "***")
        return text


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    location: str


class _Patience:
    """Decides for one request whether to try again; a host that has asked us to wait is waited for in its pace."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._tries = self._bad = 0

    def __call__(self, error: Exception) -> bool | float:
        self._tries += 1
        self._bad += isinstance(error, ReplyError | DamagedError)
        if self._host.down is not None or not isinstance(error, RETRIED) or self._bad >= TRIES_AT_BAD_CONTENT:
            return False
        if not self._host._has_answered and self._tries >= TRIES_BEFORE_FIRST_ANSWER:
            return False
        log.debug("again after: %s", error)
        return 0.01 if isinstance(error, ThrottledError) else True


def user_agent(version: str, contact: str | None = None) -> str:
    """Return who asks: the program, where to read about it, and whom to write to."""
    told = "".join(
        letter for letter in contact or "" if letter.isascii() and letter.isprintable() and letter not in "()"
    )
    return f"ewval/{version} (+https://github.com/ewval/ewval{f'; {told.strip()}' if told.strip() else ''})"


def _retry_after_s(text: str | None) -> float | None:
    """Return the seconds in a Retry-After header, which holds a number or a date; None where it holds neither."""
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _check_hash(content: bytes, headers: Mapping[str, str], *, url: str) -> None:
    """Compare with the checksum that the bucket states of the file as stored.

    Source: https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash
    """
    if "Content-Encoding" in headers:
        return
    for part in headers.get("x-goog-hash", "").split(","):
        name, _, value = part.strip().partition("=")
        if name == "md5" and value != base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode():
            raise DamagedError(url, "its checksum is not what the server states")


def _is_same_host(url: str, origin: str) -> bool:
    """Whether `url` is on the host of `origin`; the change from http to https is allowed, the way back is not."""
    there, here = urlsplit(url), urlsplit(origin)
    if there.hostname != here.hostname:
        return False
    return there[:2] == here[:2] or (here.scheme == "http" and there.scheme == "https")


def _is_loopback(origin: str | None) -> bool:
    host = urlsplit(origin).hostname if origin else None
    try:
        return host == "localhost" or (host is not None and ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def _without_query(url: str) -> str:
    return url.partition("?")[0].partition("#")[0]
