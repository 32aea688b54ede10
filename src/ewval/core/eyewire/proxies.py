"""Which proxy a request goes through: what the environment says, and never for this machine itself.

Source: the forms of NO_PROXY that curl, Go and Python's requests agree on, networks such as 10.0.0.0/8 included.
"""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy; `url` is without its login, which is sent to the proxy and shown nowhere."""

    url: str
    login: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def is_usable(self) -> bool:
        """Whether it is of a kind that we can speak to."""
        return self.url.partition(":")[0] in ("http", "https")


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of an environment.

    Args:
        by_scheme: URL by scheme, `all` for any, as `urllib.request.getproxies` returns them; `no` lists exceptions.
    """

    by_scheme: Mapping[str, str]

    @classmethod
    def of_environment(cls) -> "Proxies":
        """Return what HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, or the system's settings, say now."""
        return cls(getproxies())

    def of(self, url: str) -> Proxy | None:
        """Return the proxy for `url`, None where it is asked directly."""
        parts = urlsplit(url)
        text = self.by_scheme.get(parts.scheme) or self.by_scheme.get("all")
        host = (parts.hostname or "").rstrip(".")
        if not text or is_loopback(host) or self._is_exempt(host, parts.port):
            return None
        return _proxy(text)

    def _is_exempt(self, host: str, port: int | None) -> bool:
        entries = self.by_scheme.get("no", "").replace(",", " ").lower().split()
        return any(_matches(entry, host=host, port=port) for entry in entries)


def is_loopback(host: str | None) -> bool:
    """Whether `host` is this machine: localhost, a name below it, 127.0.0.0/8 or ::1."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _proxy(text: str) -> Proxy:
    parts = urlsplit(text if "://" in text else f"http://{text}")
    login = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return Proxy(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", login)


def _matches(entry: str, *, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    name, _, its_port = entry.rpartition(":")
    if name and its_port.isdigit() and _network(entry) is None:  # an IPv6 address has colons of its own
        if int(its_port) != port:
            return False
        entry = name
    if (network := _network(entry.strip("[]"))) is not None:
        address = _address(host)
        return address is not None and address.version == network.version and address in network
    name = entry.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def through(proxy: Proxy | None, url: str) -> dict[str, Any]:
    """Return the arguments that send a request for `url` through `proxy`.

    The login goes to the proxy alone: with the request that it reads itself, or with the one for a tunnel.
    """
    if proxy is None:
        return {}
    if proxy.login is None:
        return {"proxy": proxy.url}
    told = {"Proxy-Authorization": f"Basic {base64.b64encode(':'.join(proxy.login).encode()).decode()}"}
    return {"proxy": proxy.url, "proxy_headers" if urlsplit(url).scheme == "https" else "headers": told}
