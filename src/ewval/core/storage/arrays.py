"""Named arrays in one file (.npz), whole or not there, and never more than arrays: nothing in it is executed."""

import errno
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import DamagedError, UnreadableError
from ewval.core.storage.files import replacing

__all__ = ["read_arrays", "write_arrays"]

UNREADABLE = (AttributeError, BadZipFile, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError, zlib.error)
"""What numpy raises over files that are no archives of arrays, or damaged ones."""
Arrays = Mapping[str, NDArray[Any]]


def write_arrays(path: Path, arrays: Arrays, *, compressed: bool = False) -> None:
    """Write `arrays` by name to `path`."""
    save: Any = np.savez_compressed if compressed else np.savez
    with replacing(path) as temporary, temporary.open("wb") as file:
        save(file, **arrays)


@contextmanager
def _as_told(path: Path) -> Iterator[None]:
    """Let the system's own errors pass as such; numpy and zipfile raise others of their type over damage."""
    try:
        yield
    except OSError as error:
        if error.errno in (None, errno.ENOENT, errno.EINVAL):
            raise
        raise UnreadableError(str(path), error.strerror or str(error)) from error


def read_arrays(path: Path, *, only: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return what `write_arrays` wrote.

    Args:
        path: The file.
        only: Names of those that are wanted, None for all.

    Raises:
        UnreadableError: It is there and cannot be read.
        DamagedError: It is not there, or is something else.
    """
    try:
        with _as_told(path), path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in (stored.files if only is None else only)}
    except UNREADABLE as error:
        raise DamagedError(str(path), f"not a file of arrays: {error}") from error
    # What the archive holds beside arrays comes back as bytes.
    if strange := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise DamagedError(str(path), f"not a file of arrays: {strange[0]} is none")
    return arrays
