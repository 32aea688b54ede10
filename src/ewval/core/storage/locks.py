"""One fetch at a time in a data folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ewval.core.errors import UsageError

if os.name == "posix":
    import fcntl

LOCK = ".fetch.lock"


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Keep other fetches out of the data folder at `root` while the block runs; the system frees it after a crash.

    Raises:
        UsageError: Another fetch is at work there, or the folder cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        stream = (root / LOCK).open("ab")
    except OSError as error:
        raise UsageError(f"cannot write the data folder {root}: {error.strerror or error}") from error
    with stream:
        if os.name == "posix":
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"another fetch is at work in {root}; wait for it, or choose another --data"
                ) from error
        yield
