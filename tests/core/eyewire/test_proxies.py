"""A proxy is used where the environment names one, never for this machine, and is named when it cannot be had."""

import asyncio
import base64
from typing import Any

import pytest
from aiohttp import web

from ewval.core.errors import ProxyError, UnreachableError
from ewval.core.eyewire.host import Host, HostOptions
from ewval.core.eyewire.limits import Limits
from ewval.core.eyewire.proxies import Proxies, Proxy

FAST = Limits(tries=2, tries_before_first_answer=1, wait_initial_s=0.001, wait_jitter_s=0.0)
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_proxy_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def get(url: str) -> Any:
    async def take(body: bytes) -> bytes:
        return body

    async def run() -> Any:
        async with Host(HostOptions("bucket", 1000.0, 2, "ewval/0", limits=FAST)) as host:
            return (await asyncio.gather(host.get(url, limit=100, use=take), return_exceptions=True))[0]

    return asyncio.run(run())


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "localhost.", "127.0.0.1", "127.9.9.9", "[::1]"])
@pytest.mark.parametrize("variable", ["http", "all"])
def test_this_machine_is_asked_directly(host: str, variable: str) -> None:
    assert Proxies({variable: NOBODY}).of(f"http://{host}:80/x") is None


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_server_on_this_machine_answers_whatever_proxy_is_set(
    in_turn: Any, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, NOBODY)
    assert get(in_turn(lambda: web.Response(body=b"fine")).url + "/a") == b"fine"


def test_a_redirect_to_this_machine_needs_no_proxy(in_turn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = in_turn(lambda: web.Response(body=b"fine")).url
    proxy = in_turn(lambda: web.Response(status=302, headers={"Location": f"{here}/a"}))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert get("http://bucket.invalid/a") == b"fine"
    assert len(proxy.asked) == 1


@pytest.mark.parametrize(
    ("listed", "url", "is_direct"),
    [
        ("10.0.0.0/8", "http://10.1.2.3/x", True),
        ("10.0.0.0/8", "http://11.1.2.3/x", False),
        ("192.168.1.7/24", "http://192.168.1.200:8080/x", True),
        ("fd00::/8", "http://[fd12::1]/x", True),
        ("10.0.0.0/8", "http://[::ffff:10.0.0.1]/x", True),
        ("10.0.0.5", "http://10.0.0.5/x", True),
        ("[fd12::1]:8080", "http://[fd12::1]:8080/x", True),
        ("eyewire.org", "http://eyewire.org/x", True),
        ("eyewire.org", "http://api.eyewire.org/x", True),
        (".eyewire.org", "http://api.eyewire.org/x", True),
        ("*.eyewire.org", "http://api.eyewire.org/x", True),
        ("eyewire.org", "http://noteyewire.org/x", False),
        ("EyeWire.ORG", "http://eyewire.org/x", True),
        ("eyewire.org:8080", "http://eyewire.org:8080/x", True),
        ("eyewire.org:8080", "http://eyewire.org/x", False),
        ("a.example, eyewire.org", "http://eyewire.org/x", True),
        ("a.example eyewire.org", "http://eyewire.org/x", True),
        ("*", "http://anything.example/x", True),
        ("", "http://eyewire.org/x", False),
        (",,", "http://eyewire.org/x", False),
    ],
)
def test_no_proxy_lists_names_addresses_and_networks(listed: str, url: str, is_direct: bool) -> None:
    assert (Proxies({"http": NOBODY, "no": listed}).of(url) is None) == is_direct


def test_a_proxy_stands_for_its_scheme_and_may_have_a_login() -> None:
    proxies = Proxies({"https": "me:p%40ss@proxy.example:3128"})
    assert proxies.of("http://eyewire.org/") is None
    assert proxies.of("https://eyewire.org/") == Proxy("http://proxy.example:3128", ("me", "p@ss"))
    assert "p@ss" not in repr(proxies.of("https://eyewire.org/"))


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        (NOBODY, "connection refused"),
        ("socks5://127.0.0.1:9", "only HTTP proxies can be used"),
        ("http://me:s3cret@127.0.0.1:9", "connection refused"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_be_had_is_named(
    monkeypatch: pytest.MonkeyPatch, proxy: str, why: str, scheme: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    error = get(f"{scheme}://bucket.invalid/a")
    assert isinstance(error, ProxyError)
    shown = proxy.replace("me:s3cret@", "")
    assert str(error) == f"cannot reach {scheme}://bucket.invalid/a through the proxy {shown}: {why}"
    assert "s3cret" not in repr(error)


def test_a_login_goes_to_the_proxy_alone(in_turn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = in_turn(lambda: web.Response(body=b"fine"))
    proxy = in_turn(lambda: web.Response(status=302, headers={"Location": f"{here.url}/a"}))
    monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("http://", "http://me:p%40ss@"))
    assert get("http://bucket.invalid/a") == b"fine"
    assert proxy.asked[0][2]["Proxy-Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert "Proxy-Authorization" not in here.asked[0][2]


def test_a_proxy_that_wants_a_login_is_named(in_turn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = in_turn(lambda: web.Response(status=407)).url
    monkeypatch.setenv("HTTP_PROXY", proxy)
    error = get("http://bucket.invalid/a")
    assert str(error) == f"cannot reach http://bucket.invalid/a through the proxy {proxy}: it wants a login"


def test_a_host_that_cannot_be_had_without_a_proxy_is_named_itself() -> None:
    error = get(f"{NOBODY}/a")
    assert type(error) is UnreachableError
