"""One host that is asked with care: evenly paced, few connections, patient, and never told another host's secrets."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from ewval.core.errors import (
    DamagedError,
    EwvalError,
    MissingError,
    ProxyError,
    RefusedError,
    ReplyError,
    ThrottledError,
    UnreachableError,
)
from ewval.core.eyewire.checksums import is_as_stated
from ewval.core.eyewire.limits import Limits
from ewval.core.eyewire.patience import Patience, retry_after_s
from ewval.core.eyewire.proxies import Proxies, Proxy, through
from ewval.core.eyewire.throttle import Pace, Strain
from ewval.core.eyewire.urls import follow, is_same_host, on_the_wire, without_login, without_query

log = logging.getLogger(__name__)

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
        limits: Bounds on tries, waits and sizes.
    """

    name: str
    rate: float
    connections: int
    user_agent: str
    secret: str | None = field(default=None, repr=False)
    origin: str | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(slots=True)
class _Sent:
    """A request on its way: its URL without the query, and when its turn came."""

    url: str
    at_s: float = 0.0


_SENT: ContextVar[_Sent] = ContextVar("sent")


class _PacedConnector(aiohttp.TCPConnector):
    """Hands a connection out once it is its request's turn."""

    def __init__(self, take_turn: Callable[[], Awaitable[None]], *, limit: int) -> None:
        super().__init__(limit=limit)
        self._take_turn = take_turn

    async def connect(self, *request: Any, **details: Any) -> Connection:
        """Return a connection that may be used at once."""
        connection = await super().connect(*request, **details)
        try:
            await self._take_turn()
        except BaseException:
            connection.close()
            raise
        return connection


class Host:
    """Fetches from one host while its `async with` block runs.

    A request waits for its turn once its connection stands, so that the pace holds for what is sent, and for what the
    HTTP library sends again by itself as well.

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
        self._limits = options.limits
        self._clock = clock
        self._pace, self._strain = Pace(options.rate, clock=clock), Strain(clock=clock)
        self._slots = asyncio.Semaphore(options.connections)
        self._proxies = Proxies({})
        self._has_answered = self.has_succeeded = False
        self._lost = self._bad = self._throttles = 0

    async def __aenter__(self) -> "Host":
        limits = self._limits
        self._proxies = Proxies.of_environment()
        self._session = aiohttp.ClientSession(
            connector=_PacedConnector(self._take_turn, limit=self.options.connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.options.user_agent},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_s, sock_read=limits.read_s),
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            trust_env=False,  # it would send logins from ~/.netrc; proxies are looked up here
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
        patience = Patience(self._limits, began_s=self._clock())
        while True:
            try:
                return await once()
            except RETRIED as error:
                if self.down is not None or not patience.allows(
                    error, is_new=not self._has_answered, now=self._clock()
                ):
                    raise
                log.debug("again after: %s", error)
                # A host that has asked for a wait is waited for in its pace, by everybody.
                await asyncio.sleep(0 if isinstance(error, ThrottledError) else patience.wait_s())

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
            for _ in range(self._limits.redirects + 1):
                if self.down is not None:
                    raise self.down
                answer = await self._ask(url, query=query, limit=limit, seen=seen)
                if isinstance(answer, bytes):
                    return answer
                url, query = self._follow(url, answer), query if self.options.origin else {}
        raise RefusedError(without_query(url), "it redirects endlessly")

    async def _take_turn(self) -> None:
        """Wait for a turn, now that a connection stands; called before each request, first or again."""
        await self._pace.turn()
        if self.down is not None:
            raise self.down
        sent = _SENT.get()
        sent.at_s = self._clock()
        self.requests += 1
        log.debug("GET %s", sent.url)

    async def _ask(
        self, url: str, *, query: Mapping[str, str], limit: int, seen: Callable[[], None]
    ) -> "bytes | _Elsewhere":
        self._check_origin(url)
        sent = _Sent(without_query(url))
        _SENT.set(sent)
        proxy = self._proxies.of(url)
        if proxy is not None and not proxy.is_usable:
            raise ProxyError(sent.url, "only HTTP proxies can be used", proxy.url)
        try:
            async with self._session.get(
                self._target(url, query), allow_redirects=False, **through(proxy, url)
            ) as reply:
                latency_s = self._clock() - sent.at_s
                log.debug("%s: %d in %.0f ms", sent.url, reply.status, 1000 * latency_s)
                self._has_answered = True
                if reply.status in (301, 302, 303, 307, 308):
                    return _Elsewhere(reply.headers.get("Location", ""))
                self._check_status(reply, sent.url, proxy=proxy)
                self._throttles = 0
                self._pace.rate = self.options.rate * self._strain.observe(latency_s)
                seen()
                async with asyncio.timeout(self._limits.reply_s):
                    return await self._read(reply, url=sent.url, limit=limit)
        except TimeoutError as error:
            raise UnreachableError(sent.url, "no answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._foreseen(error, url=sent.url, proxy=proxy) from self._harmless(error)

    def _target(self, url: str, query: Mapping[str, str]) -> URL:
        signed = dict(query) | ({"access_token": self.options.secret} if self.options.secret else {})
        parts = f"{'&' if '?' in url else '?'}{urlencode(signed, safe='/', quote_via=quote)}" if signed else ""
        return URL(on_the_wire(url) + parts, encoded=True)

    def _foreseen(self, error: Exception, *, url: str, proxy: Proxy | None) -> EwvalError:
        """Return our name for what the HTTP library raised: the proxy, the reply, or the way there."""
        if proxy is not None and _is_about(proxy, error):
            return ProxyError(url, self._reason(error), proxy.url)
        if isinstance(error, aiohttp.ClientResponseError):
            return ReplyError(url, self._redact(f"no HTTP that can be read: {error.message}"))
        return UnreachableError(url, self._reason(error))

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
        if not is_as_stated(content, reply.headers):
            raise DamagedError(url, "its checksum is not what the server states")
        return content

    def _check_status(self, reply: aiohttp.ClientResponse, url: str, *, proxy: Proxy | None) -> None:
        status = reply.status
        if status == 200:
            return
        if status == 407 and proxy is not None:
            raise ProxyError(url, "it wants a login", proxy.url)
        if status in (404, 410):
            raise MissingError(url)
        if status in (429, 503):
            self._throttle(retry_after_s(reply.headers), url=url)
            raise ThrottledError(url)
        if status >= 500 or status in (408, 425):
            raise UnreachableError(url, f"status {status}")
        raise RefusedError(url, f"status {status}", status)

    def _throttle(self, wait_s: float | None, *, url: str) -> None:
        """Pause the whole host for as long as it asks, or for longer each time where it does not say."""
        if wait_s is None:
            if self._pace.paused_s > 0:  # this reply left before the pause began
                return
            wait_s = min(2.0**self._throttles, self._limits.wait_max_s)
            self._throttles += 1
        if wait_s > self._limits.longest_retry_after_s:
            self.down = ThrottledError(url)
            raise self.down
        self._pace.pause(wait_s)

    def _follow(self, url: str, answer: "_Elsewhere") -> str:
        """Return where a redirect leads; a server that repeats our query in it must not add to it."""
        target = without_login(follow(url, answer.location))
        return without_query(target) if self.options.origin else target

    def _check_origin(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            fit = parts.scheme in ("http", "https") and parts.hostname is not None
        except ValueError:
            fit = False
        if not fit:
            raise RefusedError(without_query(url), "it is not an http(s) URL")
        if self.options.origin is not None and not is_same_host(url, self.options.origin):
            raise RefusedError(self.options.origin, f"it redirects to another host, {parts.hostname}")

    def _count_answer(self) -> None:
        self._lost = self._bad = 0
        self.has_succeeded = True

    def _give_up(self, error: EwvalError) -> None:
        if isinstance(error, UnreachableError | ThrottledError):
            self._lost += 1
        else:
            self._bad += 1
        if self._lost >= self._limits.lost_before_down or self._bad >= self._limits.bad_before_down:
            self.down = error

    def _harmless(self, error: BaseException) -> BaseException | None:
        return None if self._redact(repr(error)) != repr(error) else error

    def _reason(self, error: BaseException) -> str:
        if isinstance(error, aiohttp.ClientConnectorError):
            is_refused = isinstance(error.os_error, ConnectionRefusedError)
            text = "connection refused" if is_refused else error.os_error.strerror or str(error.os_error)
        elif isinstance(error, aiohttp.ClientResponseError):
            text = f"status {error.status} {error.message}"
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
    """The answer that what was asked for lies at another address."""

    location: str


def user_agent(version: str, contact: str | None = None) -> str:
    """Return who asks: the program, where to read about it, and whom to write to."""
    told = "".join(
        letter for letter in contact or "" if letter.isascii() and letter.isprintable() and letter not in "()"
    )
    return f"ewval/{version} (+https://github.com/ewval/ewval{f'; {told.strip()}' if told.strip() else ''})"


def _is_about(proxy: Proxy, error: Exception) -> bool:
    """Whether it was the proxy that could not be had: its address, its kind, or its answer to our request for a way."""
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return True
    return isinstance(error, aiohttp.ClientConnectorDNSError) and error.host == urlsplit(proxy.url).hostname
