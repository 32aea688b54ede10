"""Named arrays in one file that is memory-mapped, so that every process shares the same pages.

Form: the magic line, one line of JSON (`stamp`, and per column its dtype, shape and place), then the arrays, each
aligned to 64 bytes. A cache and nothing more: what cannot be read whole counts as not there.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ewval.core.storage.files import replacing
from ewval.core.storage.reading import reading

MAGIC = b"ewval columns 1\n"
ALIGNMENT = 64
STAMP_BYTES = 65_536

Columns = Mapping[str, npt.NDArray[Any]]


def write_columns(path: Path, columns: Columns, *, stamp: object) -> None:
    """Write `columns` to `path`, whole or not at all.

    Raises:
        WriteError: The folder cannot be written.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in columns.items()}
    header = _header(arrays, stamp=stamp)
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(header)
        for array in arrays.values():
            stream.write(bytes(-stream.tell() % ALIGNMENT))
            stream.write(array.data if array.size else b"")


def _header(arrays: Columns, *, stamp: object) -> bytes:
    places, position = {}, 0
    for name, array in arrays.items():
        position += -position % ALIGNMENT
        places[name] = {"dtype": array.dtype.str, "shape": array.shape, "at": position}
        position += array.nbytes
    line = json.dumps({"stamp": stamp, "bytes": position, "columns": places}, allow_nan=False).encode()
    # Padded, so that the first array is aligned in the file too; JSON ignores the blanks.
    return MAGIC + line + b" " * (-(len(MAGIC) + len(line) + 1) % ALIGNMENT) + b"\n"


def map_columns(path: Path, *, stamp: object = None) -> Columns | None:
    """Return the columns at `path`, read-only and mapped; None where they are absent, damaged or of another stamp.

    Args:
        path: The file.
        stamp: What the file must have been written for; None takes any.
    """
    try:
        with path.open("rb") as stream:
            if stream.readline() != MAGIC:
                return None
            header = json.loads(stream.readline())
            start, size = stream.tell(), path.stat().st_size
        if size != start + header["bytes"] or stamp not in (None, header["stamp"]):
            return None
        # A plain view: slicing numpy's memmap class costs microseconds at every one of millions of look-ups.
        whole = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {name: _view(whole, start, **place) for name, place in header["columns"].items()}


def _view(whole: npt.NDArray[np.uint8], start: int, *, dtype: str, shape: list[int], at: int) -> npt.NDArray[Any]:
    kind = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    return whole[start + at : start + at + count * kind.itemsize].view(kind).reshape(shape)


def file_stamp(path: Path) -> list[int] | None:
    """Return what changes when the file changes: its size, its time, a checksum of both ends; None where it is absent.

    The checksum notices a rewrite within the resolution of the file system's clock.
    """
    try:
        status = path.stat()
        with reading(path), path.open("rb") as stream:
            ends = stream.read(STAMP_BYTES)
            stream.seek(max(0, status.st_size - STAMP_BYTES))
            ends += stream.read(STAMP_BYTES)
    except FileNotFoundError:
        return None
    return [status.st_size, status.st_mtime_ns, zlib.crc32(ends)]
