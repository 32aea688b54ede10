"""Text and JSON that others wrote: with a byte order mark, in UTF-16, or with a byte that is no UTF-8.

Windows tools write all of these. Whatever text ewval reads goes through this module.
"""

import codecs
import tomllib
from pathlib import Path
from typing import Any

import orjson

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the mark of UTF-16, so it is looked for first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MARK = "\ufeff"
FALLBACK = "cp1252"
"""How bytes that are no UTF-8 are read: the code page of Western Windows, which differs from Latin-1 in 27 places."""


def read_text(path: Path) -> str:
    """Return the text in a file.

    Raises:
        OSError: It cannot be read.
    """
    return to_text(path.read_bytes())


def to_text(content: bytes) -> str:
    """Return `content` as text without byte order marks, which also stand in the middle where files were joined."""
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode(FALLBACK if encoding == "utf-8" else encoding, "replace")
    return text.replace(MARK, "")


def parse_json(content: bytes) -> Any:
    """Return the document in `content`.

    Raises:
        ValueError: It is not JSON; NaN and Infinity are not either.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        text = to_text(content)
    return orjson.loads(text)


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table in `text`.

    Raises:
        ValueError: It is not TOML, nested too deeply, or holds a number of thousands of digits.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _encoding(content: bytes) -> str:
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return encoding
    # UTF-16 without its mark: what ewval reads begins with a character of ASCII.
    first = content[:2]
    if len(first) == 2 and first.count(0) == 1:
        return "utf-16-be" if first[0] == 0 else "utf-16-le"
    return "utf-8"
