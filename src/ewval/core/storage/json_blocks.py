"""A large JSON object read a block at a time, so that its Python objects never stand in memory all at once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson

from ewval.core.errors import DamagedError, MissingError
from ewval.core.storage.reading import read_bytes
from ewval.core.storage.text import parse_json

Parsed = TypeVar("Parsed")

BLOCK_BYTES = 4 << 20


def map_blocks(path: Path, parse: Callable[[dict[str, Any]], Parsed], *, entry_end: bytes) -> list[Parsed]:
    """Return what `parse` makes of each part of the object in a file; at least one part, be it empty.

    Args:
        path: A file with one JSON object.
        parse: Called with an object that holds some of the entries.
        entry_end: What ends an entry, the comma included, such as `},`. Where it ends something else as well the file
            is read in one piece, more slowly.

    Raises:
        MissingError: The file is not there.
        UnreadableError: It cannot be read.
        DamagedError: It holds no JSON object.
    """
    try:
        content = read_bytes(path).strip()
    except FileNotFoundError as error:
        raise MissingError(str(path), hint="`ewval index` makes it") from error
    try:
        return [parse(block) for block in _blocks(content, entry_end=entry_end)]
    except orjson.JSONDecodeError:
        return [parse(_whole(content, path))]


def _blocks(content: bytes, *, entry_end: bytes) -> Iterator[dict[str, Any]]:
    if content[:1] + content[-1:] != b"{}":
        raise orjson.JSONDecodeError("not an object", content[:1].decode("latin-1"), 0)
    start, last = 1, len(content) - 1
    while True:
        # A cut inside an entry leaves its braces unbalanced, so a block is either right or not JSON.
        cut = content.find(entry_end, start + BLOCK_BYTES, last)
        end = last if cut < 0 else cut + len(entry_end) - 1
        yield orjson.loads(b"{" + content[start:end] + b"}")
        if cut < 0:
            return
        start = end + 1


def _whole(content: bytes, path: Path) -> dict[str, Any]:
    try:
        document = parse_json(content)
    except ValueError as error:
        raise DamagedError(str(path), str(error)) from error
    if not isinstance(document, dict):
        raise DamagedError(str(path), "not a JSON object")
    return document
