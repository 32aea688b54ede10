"""Connections to the ledger's file, on file systems of every kind."""

import logging
import os
import sqlite3
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import quote

TIMEOUT_S = 30
MAYBE_NO_SHARED_MEMORY = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
)

_log = logging.getLogger(__name__)


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that writes, with a write-ahead log where there can be one: others may read meanwhile.

    Some network and container file systems have no memory that processes share, which that log needs. There the
    connection keeps a plain journal, and only one process at a time can use the ledger.
    """
    connection = sqlite3.connect(path, check_same_thread=False, timeout=TIMEOUT_S)
    connection.execute("PRAGMA synchronous = NORMAL")
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("BEGIN IMMEDIATE")  # shared memory that cannot be written shows only here
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if not _lacks_shared_memory(error):
            raise
        mode = str(error)
    if mode == "wal":
        return connection
    connection.close()
    alone = _connect_alone(path)
    _log.warning("%s has no shared memory for a write-ahead log (%s); let one process use it at a time", path, mode)
    return alone


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Return a connection for queries alone; with write permission where there is some, to tidy up when it closes."""
    ways: tuple[tuple[dict[str, str], str], ...] = (
        ({"mode": "rw"}, "NORMAL"),
        ({"mode": "ro"}, "NORMAL"),
        ({"mode": "rw"}, "EXCLUSIVE"),  # no shared memory for the log: it is read with memory of our own
    )
    for options, locking in ways:
        with suppress(sqlite3.OperationalError), ExitStack() as stack:
            connection = stack.enter_context(closing(_open(path, **options)))
            connection.execute(f"PRAGMA locking_mode = {locking}")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("PRAGMA query_only = 1")
            stack.pop_all()  # it stays open
            return connection
    # A folder without write permission has no room for the side files of the log.
    return _open(path, immutable="1")


def _connect_alone(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=TIMEOUT_S)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # a log that is there needs no shared memory so
    connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def _lacks_shared_memory(error: sqlite3.OperationalError) -> bool:
    if error.sqlite_errorcode == sqlite3.SQLITE_IOERR_WRITE:
        return False
    return error.sqlite_errorcode & 0xFF in MAYBE_NO_SHARED_MEMORY


def _open(path: Path, **options: str) -> sqlite3.Connection:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    name = quote(os.fsencode(path.resolve()))
    return sqlite3.connect(f"file:{name}?{query}", uri=True, check_same_thread=False, timeout=TIMEOUT_S)
