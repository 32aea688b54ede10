"""URLs that come from outside: which of them are fit to be asked."""

import re
from urllib.parse import quote, unquote, urljoin, urlsplit

from ewval.core.errors import SettingError

PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
UNFIT = re.compile(r"[\s\\\x00-\x1f\x7f]")


def web_address(text: str) -> str:
    """Return the base URL of an API without its trailing slash.

    Raises:
        UsageError: It is not a plain http(s) URL.
    """
    if flaw(text) is not None:
        raise SettingError("should be a URL such as https://eyewire.org", setting="api")
    return text.rstrip("/")


def flaw(text: str) -> str | None:
    """Return what is wrong with the URL of a folder, None where nothing is."""
    try:
        parts = urlsplit(text)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_web = False
    if not is_web or UNFIT.search(text):
        return "is not an http(s) URL"
    if parts.query or parts.fragment or parts.username is not None or "?" in text or "#" in text:
        return "has parts that the URL of a folder does not have"
    if ".." in unquote(unquote(parts.path)).replace("\\", "/").split("/"):
        return "leads out of its folder"
    return None


def on_the_wire(url: str) -> str:
    """Return a URL as it is asked for: what is not printable ASCII quoted, everything else as it stands.

    A signature covers the bytes of a URL, so an escape such as %2F or %7E is neither undone nor added.
    """
    return quote(url.partition("#")[0], safe=PRINTABLE)


def without_login(url: str) -> str:
    """Return `url` without user name and password: no host is told a login that the user did not give it."""
    scheme, separator, rest = url.partition("://")
    end = min(at for mark in "/?#" if (at := f"{rest}/?#".find(mark)) >= 0)
    return f"{scheme}{separator}{rest[:end].rpartition('@')[2]}{rest[end:]}"


def follow(url: str, location: str) -> str:
    """Return where a redirect from `url` leads; an absolute one is taken to the byte."""
    return location if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", location) else urljoin(url, location)


def is_same_host(url: str, origin: str) -> bool:
    """Whether `url` is on the host of `origin`; the change from http to https is allowed, the way back is not."""
    there, here = urlsplit(url), urlsplit(origin)
    if there.hostname != here.hostname:
        return False
    return there[:2] == here[:2] or (here.scheme == "http" and there.scheme == "https")


def without_query(url: str) -> str:
    """Return `url` without query and fragment, as messages name it."""
    return url.partition("?")[0].partition("#")[0]
