"""A host is asked again where that helps, spared where it asks for it, and told no more than it should know."""

import asyncio
import base64
import gzip
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDict

from ewval.core.errors import (
    DamagedError,
    EwvalError,
    MissingError,
    RefusedError,
    ReplyError,
    ThrottledError,
    UnreachableError,
)
from ewval.core.eyewire.host import Host, HostOptions, user_agent
from ewval.core.eyewire.limits import Limits

TOKEN = "s3ntinel/token+x"
FAST = Limits(wait_initial_s=0.001, wait_max_s=0.002, wait_jitter_s=0.0)


async def take(body: bytes) -> bytes:
    return body


def options(**fields: Any) -> HostOptions:
    return HostOptions(
        **({"name": "API", "rate": 2000.0, "connections": 4, "user_agent": "ewval/0", "limits": FAST} | fields)
    )


def get(*urls: str, use: Callable[[bytes], Awaitable[bytes]] = take, limit: int = 1000, **fields: Any) -> list[Any]:
    """Ask for all at once; return bodies and errors."""

    async def run() -> list[Any]:
        async with Host(options(**fields)) as host:
            return await asyncio.gather(*(host.get(url, limit=limit, use=use) for url in urls), return_exceptions=True)

    return asyncio.run(run())


def reply(status: int = 200, **fields: Any) -> Callable[[], web.Response]:
    return lambda: web.Response(status=status, **({"body": b"fine"} | fields))


def elsewhere(location: str) -> Callable[[], web.Response]:
    return reply(302, headers={"Location": location})


@pytest.mark.parametrize("status", [500, 502, 504, 408, 425])
def test_what_may_pass_is_asked_again(in_turn: Any, status: int) -> None:
    server = in_turn(reply(status), reply(status), reply())
    assert get(server.url + "/a") == [b"fine"]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "kind"), [(400, RefusedError), (403, RefusedError), (404, MissingError), (410, MissingError)]
)
def test_what_will_not_pass_is_asked_once(in_turn: Any, status: int, kind: type[EwvalError]) -> None:
    server = in_turn(reply(status), reply())
    (error,) = get(server.url + "/a?x=1")
    assert isinstance(error, kind)
    assert len(server.asked) == 1


def test_tries_are_limited(in_turn: Any) -> None:
    server = in_turn(reply(500))
    (error,) = get(server.url + "/a")
    assert isinstance(error, UnreachableError)
    assert str(error) == f"cannot reach {server.url}/a: status 500"
    assert len(server.asked) == FAST.tries


def test_a_host_that_never_answered_is_given_up_sooner() -> None:
    (error,) = get("http://127.0.0.1:9/a")
    assert str(error) == "cannot reach http://127.0.0.1:9/a: connection refused"


def test_content_that_is_no_good_is_asked_for_again(in_turn: Any) -> None:
    server = in_turn(reply(body=b"bad"), reply(body=b"bad"), reply())

    async def check(body: bytes) -> bytes:
        if body == b"bad":
            raise DamagedError("tile", "bad")
        return body

    assert get(server.url + "/a", use=check) == [b"fine"]
    (error,) = get(in_turn(reply(body=b"bad")).url + "/a", use=check)
    assert isinstance(error, DamagedError)


def test_a_host_that_asks_for_a_wait_gets_it_from_every_request(in_turn: Any) -> None:
    server = in_turn(reply(429, headers={"Retry-After": "1"}), reply())
    assert get(*[f"{server.url}/{i}" for i in range(6)], connections=1) == [b"fine"] * 6
    first, second = server.asked[0][0], server.asked[1][0]
    assert 0.95 <= second - first < 3


def test_a_wait_may_be_a_date(in_turn: Any) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    server = in_turn(reply(503, headers={"Retry-After": soon}), reply())
    assert get(server.url + "/a") == [b"fine"]
    assert server.asked[1][0] - server.asked[0][0] >= 0.9


def test_a_date_is_read_by_the_clock_of_the_server_that_wrote_it(in_turn: Any) -> None:
    its_clock = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    dates = {
        "Date": format_datetime(its_clock, usegmt=True),
        "Retry-After": format_datetime(its_clock + timedelta(seconds=2), usegmt=True),
    }
    server = in_turn(reply(503, headers=dates), reply())
    assert get(server.url + "/a") == [b"fine"]
    assert 1.9 <= server.asked[1][0] - server.asked[0][0] < 4


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "", "soon", "Mon, 99 Foo 2001"])
def test_a_wait_that_is_no_number_and_no_date_counts_as_none_stated(in_turn: Any, text: str) -> None:
    server = in_turn(reply(503, headers={"Retry-After": text}), reply())
    assert get(server.url + "/a", limits=replace(FAST, wait_max_s=0.05)) == [b"fine"]
    assert len(server.asked) == 2


def test_a_host_that_throttles_without_a_word_is_paused_too(in_turn: Any) -> None:
    server = in_turn(reply(429, headers={"Retry-After": "soon"}), reply(429), reply())
    assert get(server.url + "/a") == [b"fine"]
    assert len(server.asked) == 3


def test_a_host_that_asks_for_an_hour_is_left_alone(in_turn: Any) -> None:
    server = in_turn(reply(429, headers={"Retry-After": "3600"}))
    began = time.monotonic()
    errors = get(*[f"{server.url}/{i}" for i in range(8)])
    assert {type(error) for error in errors} == {ThrottledError}
    assert len(server.asked) <= 4
    assert time.monotonic() - began < 3


def test_a_host_counts_as_down_after_some_requests_given_up(in_turn: Any) -> None:
    server = in_turn(reply(500))
    errors = get(*[f"{server.url}/{i}" for i in range(40)], connections=1)
    assert {type(error) for error in errors} == {UnreachableError}
    assert len(server.asked) < 40 * FAST.tries


def cut(after: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 100
        await response.prepare(request)
        await response.write(b"x" * after)
        assert request.transport is not None
        request.transport.abort()
        return response

    return answer


def test_a_connection_lost_in_the_middle_is_tried_again(scripted: Any) -> None:
    server = scripted(cut(50))
    (error,) = get(server.url + "/a")
    assert isinstance(error, UnreachableError)
    assert len(server.asked) == FAST.tries


def test_a_body_that_never_comes_is_not_waited_for(scripted: Any) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    (error,) = get(scripted(hang).url + "/a", limits=replace(FAST, read_s=0.1))
    assert str(error).endswith("/a: no answer in time")


def test_a_body_beyond_its_bound_is_cut_off(in_turn: Any) -> None:
    server = in_turn(reply(body=b"x" * 2000))
    (error,) = get(server.url + "/a")
    assert isinstance(error, RefusedError)
    assert "longer than 1000 bytes" in str(error)
    assert len(server.asked) == 1


def test_a_small_body_that_unpacks_to_a_large_one_is_cut_off(in_turn: Any) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    (error,) = get(in_turn(reply(body=bomb, headers={"Content-Encoding": "gzip"})).url + "/a", limit=100_000)
    assert "longer than 100000 bytes" in str(error)


def test_a_compressed_body_is_unpacked(in_turn: Any) -> None:
    zipped = reply(body=gzip.compress(b"fine"), headers={"Content-Encoding": "gzip"})
    assert get(in_turn(zipped).url + "/a") == [b"fine"]


def test_a_stated_checksum_is_held_against_the_body(in_turn: Any) -> None:
    right = base64.b64encode(hashlib.md5(b"fine").digest()).decode()
    wrong = reply(body=b"fime", headers={"x-goog-hash": f"crc32c=AAAAAA==,md5={right}"})
    server = in_turn(wrong, reply(headers={"x-goog-hash": f"md5={right}"}))
    assert get(server.url + "/a") == [b"fine"]
    assert len(server.asked) == 2


def test_the_token_goes_to_its_own_host_and_the_user_agent_along(in_turn: Any) -> None:
    server = in_turn(reply())
    get(server.url + "/a", secret=TOKEN, origin=server.url)
    (_, path, headers) = server.asked[0]
    assert path == "/a?access_token=s3ntinel/token%2Bx"
    assert headers["User-Agent"] == "ewval/0"


def test_the_token_is_not_carried_to_another_host(in_turn: Any) -> None:
    other = in_turn(reply())
    server = in_turn(elsewhere(f"{other.url}/steal?access_token={TOKEN}"))
    (error,) = get(server.url + "/a", secret=TOKEN, origin=server.url)
    assert isinstance(error, RefusedError)
    assert "redirects to another host" in str(error)
    assert TOKEN not in str(error)
    assert other.asked == []


def test_a_redirect_on_the_same_host_is_followed(in_turn: Any) -> None:
    server = in_turn(elsewhere("/b?access_token=old"), reply())
    assert get(server.url + "/a", secret=TOKEN, origin=server.url) == [b"fine"]
    assert server.asked[1][1] == "/b?access_token=s3ntinel/token%2Bx"


def test_a_bucket_may_redirect_anywhere_but_not_for_ever_and_not_to_files(in_turn: Any) -> None:
    other = in_turn(reply())
    assert get(in_turn(elsewhere(f"{other.url}/b?signature=1")).url + "/a") == [b"fine"]
    assert other.asked[0][1] == "/b?signature=1"
    (error,) = get(in_turn(elsewhere("/a")).url + "/a")
    assert "redirects endlessly" in str(error)
    (error,) = get(in_turn(elsewhere("file:///etc/passwd")).url + "/a")
    assert "not an http(s) URL" in str(error)


def test_the_token_stands_in_no_log_and_no_error(in_turn: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = in_turn(reply(500), reply(400))
    (error,) = get(server.url + "/a", secret=TOKEN, origin=server.url)
    seen = repr(error) + repr(error.__cause__) + caplog.text
    assert "GET http" in seen
    assert TOKEN not in seen
    assert "s3ntinel" not in seen


def test_a_host_that_becomes_slow_is_asked_less_often(scripted: Any) -> None:
    delay_s = 0.0

    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(delay_s)
        return web.Response(body=b"fine")

    server = scripted(answer)

    async def run() -> tuple[str, str]:
        nonlocal delay_s
        async with Host(options(name="bucket", connections=20)) as host:
            for seconds in (0.0, 0.3):
                delay_s, before = seconds, host.note()
                await asyncio.gather(*(host.get(f"{server.url}/{i}", limit=10, use=take) for i in range(20)))
            return before, host.note()

    before, after = asyncio.run(run())
    assert before == ""
    assert after.startswith("bucket slowed to 1,000.0/s: replies take 0.")


def test_a_file_that_is_stored_compressed_and_served_plain_is_taken(in_turn: Any) -> None:
    of_stored = base64.b64encode(hashlib.md5(gzip.compress(b"fine", mtime=0)).digest()).decode()
    headers = {"x-goog-hash": f"md5={of_stored}", "x-goog-stored-content-encoding": "gzip"}
    assert get(in_turn(reply(headers=headers)).url + "/a") == [b"fine"]


def test_a_checksum_in_a_second_line_counts(in_turn: Any) -> None:
    headers = CIMultiDict([("x-goog-hash", "crc32c=AAAAAA=="), ("x-goog-hash", "md5=AAAA")])
    server = in_turn(reply(headers=headers), reply())
    assert get(server.url + "/a") == [b"fine"]
    assert len(server.asked) == 2


def test_a_signed_redirect_keeps_its_escapes_to_the_byte(in_turn: Any) -> None:
    signed = "/b%2Fc%7Ed~e%20f?X-Sig=a%2Bb%2fc%3D&X-Empty=&x=1+2&y='(!)*'"
    other = in_turn(reply())
    assert get(in_turn(elsewhere(other.url + signed)).url + "/a") == [b"fine"]
    assert other.asked[0][1] == signed


def test_a_head_of_many_kilobytes_is_read(in_turn: Any) -> None:
    server = in_turn(
        reply(302, headers={"Location": "/b", "X-Long": "x" * 9000}), reply(headers={"Set-Cookie": "a=" + "y" * 9000})
    )
    assert get(server.url + "/a") == [b"fine"]


def test_a_head_without_end_is_a_bad_reply_and_no_unreachable_host(in_turn: Any) -> None:
    server = in_turn(reply(headers={"X-Long": "y" * 9000}))
    (error,) = get(server.url + "/a", limits=replace(FAST, header_bytes=4096))
    assert isinstance(error, ReplyError)
    assert "no HTTP that can be read" in str(error)


def test_a_login_from_netrc_or_a_redirect_reaches_no_host(
    in_turn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login me password s3ntinel\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    other = in_turn(reply())
    with_login = other.url.replace("http://", "http://me:s3ntinel@")
    server = in_turn(elsewhere(f"{with_login}/b"))
    assert get(server.url + "/a") == [b"fine"]
    assert other.asked[0][1] == "/b"
    assert not [headers for _, _, headers in (*server.asked, *other.asked) if "Authorization" in headers]


@pytest.mark.parametrize("rate", [40.0, 100.0])
def test_retries_stand_in_the_same_line_as_first_tries(scripted: Any, rate: float) -> None:
    """Measured at the client: the HTTP library repeats a request by itself where a kept connection was closed."""
    number = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal number
        number += 1
        if number % 3 == 0:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(body=b"fine")

    server, times = scripted(answer), []

    class Record(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("GET "):
                times.append(time.monotonic())

    log, handler = logging.getLogger("ewval.core.eyewire.host"), Record()
    log.addHandler(handler)
    before = log.level
    log.setLevel(logging.DEBUG)
    try:
        bodies = get(*[f"{server.url}/{i}" for i in range(int(1.5 * rate))], rate=rate, connections=16)
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
    assert set(bodies) == {b"fine"}
    assert len(times) == len(server.asked)  # what the library sends again is counted, too
    windows = [sum(begin <= at < begin + 1 for at in times) for begin in times]
    assert max(windows) <= 1.05 * rate


def test_a_reply_that_is_no_good_many_times_in_a_row_ends_it(in_turn: Any) -> None:
    async def refuse(body: bytes) -> bytes:
        raise ReplyError("http://x", "nonsense")

    server = in_turn(reply())
    errors = get(*[f"{server.url}/{i}" for i in range(60)], use=refuse, connections=1)
    assert {type(error) for error in errors} == {ReplyError}
    assert len(server.asked) < 60 * FAST.tries_at_bad_content


def test_the_user_agent_says_who_asks_and_nothing_else() -> None:
    assert user_agent("1.2") == "ewval/1.2 (+https://github.com/ewval/ewval)"
    assert user_agent("1.2", "me@lab.org") == "ewval/1.2 (+https://github.com/ewval/ewval; me@lab.org)"
    assert "\n" not in user_agent("1.2", "a\r\nX-Evil: (1)\u00e9")
