"""One fetch at a time in a data folder."""

import errno
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path

from ewval.core.errors import UsageError
from ewval.core.storage.files import make_folder, share, writing

if os.name == "posix":
    import fcntl

LOCK = ".fetch.lock"
REFUSED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems without locks answer."""
POLL_S = 0.2

_log = logging.getLogger(__name__)


@contextmanager
def exclusive(root: Path, *, waits: bool = False, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Keep other fetches out of the data folder at `root` while the block runs; the system frees it after a crash.

    Where the file system knows no locks, that is said and nobody is kept out.

    Args:
        root: The data folder, made where there is none.
        waits: Wait for another fetch to end; that is said, too.
        sleep: Waits that many seconds.

    Raises:
        UsageError: Another fetch is at work there, and `waits` is not set.
        WriteError: The folder cannot be written.
    """
    path = root / LOCK
    with writing(path):
        make_folder(root)
        is_new = not path.exists()
        stream = path.open("ab")
    if is_new:
        share(path)
    with stream:
        if os.name == "posix":
            _lock(stream, root, waits=waits, sleep=sleep)
        yield


def _lock(stream: BufferedWriter, root: Path, *, waits: bool, sleep: Callable[[float], None]) -> None:
    is_told = False
    while not _try_to_lock(stream, root):
        if not waits:
            raise UsageError(f"another fetch is at work in {root}; wait for it, or choose another data folder")
        if not is_told:
            _log.warning("another fetch is at work in %s; waiting for it", root)
            is_told = True
        sleep(POLL_S)


def _try_to_lock(stream: BufferedWriter, root: Path) -> bool:
    """Return whether the lock is ours now, or there can be none."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
            return False
        if error.errno not in REFUSED:
            raise
        _log.warning("%s cannot be locked (%s); see that no other fetch works in it", root, error.strerror)
    return True
