"""URLs that come from outside: which of them are fit to be asked."""

import re
from urllib.parse import unquote, urlsplit

from ewval.core.errors import UsageError

UNFIT = re.compile(r"[\s\\\x00-\x1f\x7f]")


def web_address(text: str) -> str:
    """Return the base URL of an API without its trailing slash.

    Raises:
        UsageError: It is not a plain http(s) URL.
    """
    if flaw(text) is not None:
        raise UsageError("--api should be a URL such as https://eyewire.org")
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
