"""The ledger read in bulk: millions of rows into columns, without an object a row."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ewval.core.errors import DamagedError
from ewval.core.folder import DataFolder

NONE = -1
UNKNOWN = int(np.iinfo(np.int32).min)
ROWS_A_CHUNK = 100_000

Int64s = npt.NDArray[np.int64]
Corners = npt.NDArray[np.int32]


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger for reading.

    Raises:
        DamagedError: It is not a ledger.
    """
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA query_only = 1")
            yield connection
    except sqlite3.DatabaseError as error:
        raise DamagedError(str(path), str(error)) from error


def read_places(folder: DataFolder, *, tasks: Int64s, volumes: Int64s) -> tuple[Int64s, Corners]:
    """Return the cell (-1 unknown) of each task and the corner of its volume, z y x (`UNKNOWN` where unknown).

    A task's own bounds come first, then those of its volume or of any task in it. Without a ledger all is unknown.
    """
    if not folder.ledger.is_file():
        return np.full(len(tasks), NONE, dtype=np.int64), np.full((len(tasks), 3), UNKNOWN, dtype=np.int32)
    with reading(folder.ledger) as connection:
        known = _columns(connection, "SELECT id, cell, volume, zmin, ymin, xmin FROM tasks ORDER BY id", count=6)
        places = _columns(connection, "SELECT id, zmin, ymin, xmin FROM volumes ORDER BY id", count=4)
    own = _lookup(tasks, known[:, 0], known[:, 1:])
    corner = own[:, 2:]
    cell = np.where(own[:, 0] > 0, own[:, 0], NONE)
    for ids, corners in ((places[:, 0], places[:, 1:]), _corners_by_volume(known)):
        corner = np.where((corner == UNKNOWN).any(axis=1)[:, None], _lookup(volumes, ids, corners), corner)
    return cell, np.where((corner == UNKNOWN).any(axis=1)[:, None], UNKNOWN, corner).astype(np.int32)


def _corners_by_volume(known: Int64s) -> tuple[Int64s, Int64s]:
    placed = known[(known[:, 3:] != UNKNOWN).all(axis=1) & (known[:, 2] != UNKNOWN)]
    volumes, first = np.unique(placed[:, 2], return_index=True)
    return volumes, placed[first, 3:]


def _columns(connection: sqlite3.Connection, query: str, *, count: int) -> Int64s:
    cursor = connection.execute(query)
    chunks = [np.empty((0, count), dtype=np.int64)]
    while rows := cursor.fetchmany(ROWS_A_CHUNK):
        filled = [UNKNOWN if value is None else value for row in rows for value in row]
        chunks.append(np.array(filled, dtype=np.int64).reshape(-1, count))
    return np.concatenate(chunks)


def _lookup(wanted: Int64s, ids: Int64s, values: Int64s) -> Int64s:
    if not len(ids):
        return np.full((len(wanted), values.shape[1]), UNKNOWN, dtype=np.int64)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where((ids[at] == wanted)[:, None], values[at], UNKNOWN)
