"""What has been fetched: cells, tasks with their aggregates, and volumes, in one SQLite file.

Readers may use SQL on the tables of `SCHEMA`; lists of segment ids are blobs of little-endian uint32 in ascending
order. A row says `done` only when what it stands for is complete on disk.
"""

import errno
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ewval.core.errors import DamagedError, MissingError, UsageError, WriteError
from ewval.core.eyewire.records import AggregateRecord, Bounds, TaskRecord
from ewval.core.ledger.connection import connect, connect_read_only
from ewval.core.ledger.rows import box, read_aggregate, read_bounds, read_task, task_row
from ewval.core.ledger.schema import (
    AGGREGATE_COLUMNS,
    BOX,
    FORMAT,
    SAVE_TASK,
    SCHEMA,
    TASK_COLUMNS,
    WANT_VOLUME,
)
from ewval.core.storage.files import make_folder, share, write_error, writing

UNWRITABLE = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_TRUNCATE)

State = Literal["new", "done", "absent", "failed"]


@dataclass(frozen=True, slots=True)
class VolumeRow:
    """What the ledger knows of a volume."""

    id: int
    path: str
    bounds: Bounds | None
    wanted: bool
    state: State
    reason: str | None


class Ledger:
    """The ledger at `path`, made where there is none.

    Every method that writes is one transaction. It may be used from any thread, one at a time.

    Raises:
        DamagedError: The file is not a ledger.
        UsageError: It cannot be opened.
        WriteError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            make_folder(path.parent)
            if not path.exists():  # the side files of the log take its permissions
                path.touch()
                share(path)
        with _translated(path):
            self.connection = connect(path)
            self._check_format()
            self.connection.executescript(SCHEMA)
            self.connection.execute(f"PRAGMA user_version = {FORMAT}")

    @classmethod
    def open_existing(cls, path: Path) -> "Ledger":
        """Open a ledger for reading only.

        Raises:
            MissingError: There is none.
            DamagedError: The file is not a ledger.
        """
        if not path.is_file():
            raise MissingError(f"ledger {path}", hint="`ewval fetch` makes one")
        ledger = cls.__new__(cls)
        ledger.path = path
        with _translated(path):
            ledger.connection = connect_read_only(path)
            ledger._check_format()
            ledger.connection.execute("SELECT count(*) FROM cells").fetchone()
        return ledger

    @classmethod
    @contextmanager
    def scratch(cls, path: Path) -> Iterator["Ledger"]:
        """Open a copy of the ledger at `path`, empty where there is none, that is thrown away afterwards.

        Raises:
            DamagedError: The file is not a ledger.
        """
        with tempfile.TemporaryDirectory(prefix="ewval-") as place, closing(cls(Path(place) / path.name)) as copy:
            if path.is_file():
                with closing(cls.open_existing(path)) as original, _translated(path):
                    original.connection.backup(copy.connection)
            yield copy

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self.connection.close()

    def task(self, task: int) -> TaskRecord | None:
        """Return a task, None where it has not been fetched."""
        row = self._row(f"SELECT {TASK_COLUMNS} FROM tasks WHERE id = ? AND state = 'done'", task)
        return read_task(row) if row else None

    def aggregate(self, task: int) -> AggregateRecord | None:
        """Return what the players of a task chose, None where that is not known."""
        row = self._row(f"SELECT {AGGREGATE_COLUMNS} FROM tasks WHERE id = ?", task)
        return read_aggregate(row) if row else None

    def records(self, *, wanted: bool = True) -> Iterator[tuple[TaskRecord, AggregateRecord | None]]:
        """Yield the tasks that have been fetched in ascending order, `wanted` ones alone or ancestors too."""
        query = (
            f"SELECT {TASK_COLUMNS}, {AGGREGATE_COLUMNS} FROM tasks WHERE state = 'done' AND wanted >= ? ORDER BY id"
        )
        for row in self.connection.execute(query, (int(wanted),)):
            yield read_task(row[:15]), read_aggregate(row[15:])

    def task_state(self, task: int) -> tuple[State, str | None] | None:
        """Return state and reason of a task, None where it is unknown."""
        row = self._row("SELECT state, reason FROM tasks WHERE id = ?", task)
        return (row[0], row[1]) if row else None

    def count_tasks(self) -> dict[State, int]:
        """Return how many tasks are in each state that occurs."""
        with _translated(self.path):
            return dict(self.connection.execute("SELECT state, count(*) FROM tasks GROUP BY state ORDER BY state"))

    def task_bounds(self, task: int) -> Bounds | None:
        """Return the bounds of a task from its own row or from its volume's."""
        own = ", ".join(BOX)
        volume = ", ".join(f"v.{name}" for name in BOX)
        for query in (
            f"SELECT {own} FROM tasks WHERE id = ?",
            f"SELECT {volume} FROM tasks t JOIN volumes v ON v.id = t.volume WHERE t.id = ?",
        ):
            row = self._row(query, task)
            if row and (bounds := read_bounds(row)):
                return bounds
        return None

    def volume(self, volume: int) -> VolumeRow | None:
        """Return a volume, None where it is unknown."""
        row = self._row(f"SELECT id, path, {', '.join(BOX)}, wanted, state, reason FROM volumes WHERE id = ?", volume)
        return VolumeRow(row[0], row[1], read_bounds(row[2:8]), bool(row[8]), row[9], row[10]) if row else None

    def volume_stamps(self) -> list[tuple[int, int | None]]:
        """Return the volumes that are done, each with its stamp."""
        query = "SELECT id, stamp FROM volumes WHERE state = 'done'"
        return [(row[0], row[1]) for row in self.connection.execute(query)]

    def reopen_volumes(self, volumes: Iterable[int]) -> None:
        """Say that volumes are not there any more."""
        with self.transaction() as connection:
            query = "UPDATE volumes SET state = 'new', reason = 'its files were deleted' WHERE id = ?"
            connection.executemany(query, ((volume,) for volume in volumes))

    def cell_state(self, cell: int) -> str | None:
        """Return the state of a cell, None where it is unknown."""
        row = self._row("SELECT state FROM cells WHERE id = ?", cell)
        return str(row[0]) if row else None

    def cell_reason(self, cell: int) -> str | None:
        """Return why a cell could not be had, None where it could or was never asked for."""
        row = self._row("SELECT reason FROM cells WHERE id = ?", cell)
        return row[0] if row else None

    def add_tasks(self, records: Iterable[tuple[TaskRecord, AggregateRecord | None]], *, wanted: bool = True) -> None:
        """Save tasks with their aggregates as done; what was known of them stays where the new record is silent."""
        with self.transaction() as connection:
            rows = (task_row(task, aggregate, wanted=wanted) for task, aggregate in records)
            connection.executemany(SAVE_TASK, rows)

    def save_task(self, task: TaskRecord, aggregate: AggregateRecord | None) -> bool:
        """Save one task as done; return whether it was asked for."""
        self.add_tasks([(task, aggregate)], wanted=False)
        return self._row("SELECT 1 FROM tasks WHERE id = ? AND wanted = 1", task.id) is not None

    def mark_missing(self, task: int, *, reason: str) -> bool:
        """Say that there is no such task: absent where it is only an ancestor, else failed; return which."""
        is_asked = self._row("SELECT 1 FROM tasks WHERE id = ? AND wanted = 1", task) is not None
        self.mark_task(task, "failed" if is_asked else "absent", reason=reason, wanted=is_asked)
        return not is_asked

    def mark_task(self, task: int, state: State, *, reason: str, wanted: bool) -> None:
        """Say that a task is absent or has failed."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO tasks(id, wanted, state, reason) VALUES (?, ?, ?, ?) ON CONFLICT(id) DO UPDATE"
                " SET state = excluded.state, reason = excluded.reason, wanted = max(wanted, excluded.wanted)",
                (task, int(wanted), state, reason),
            )

    def settle(self, task: int, *, context: int) -> None:
        """Say that the lineage of a task is known `context` ancestors up, and that the volumes it needs are listed."""
        with self.transaction() as connection:
            connection.execute("UPDATE tasks SET context = ? WHERE id = ?", (context, task))

    def mark_cell(self, cell: int, state: str, *, reason: str | None = None) -> None:
        """Set the state of a cell."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO cells(id, state, reason) VALUES (?, ?, ?)"
                " ON CONFLICT(id) DO UPDATE SET state = excluded.state, reason = excluded.reason",
                (cell, state, reason),
            )

    def add_cell(
        self, cell: int, rows: Sequence[tuple[int, int, Bounds | None]], *, wanted: bool, name: str | None = None
    ) -> None:
        """Save the task list of a cell, (id, status, bounds) a row; with `wanted` all of its tasks are asked for."""
        with self.transaction() as connection:
            connection.executemany(
                f"INSERT INTO tasks(id, cell, status, {', '.join(BOX)}, wanted, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'new') ON CONFLICT(id) DO UPDATE SET cell = excluded.cell, "
                + ", ".join(f"{name} = coalesce({name}, excluded.{name})" for name in BOX)
                + ", wanted = max(wanted, excluded.wanted)",
                ((task, cell, status, *box(bounds), int(wanted)) for task, status, bounds in rows),
            )
            connection.execute(
                "INSERT INTO cells(id, name, state) VALUES (?, ?, ?) ON CONFLICT(id) DO UPDATE SET"
                " name = coalesce(excluded.name, name), state = excluded.state, reason = NULL",
                (cell, name, "done" if wanted else "listed"),
            )

    def datasets(self, cells: Iterable[int]) -> dict[int, int]:
        """Return the data set of those cells of which it is known."""
        asked = set(cells)
        query = "SELECT id, dataset FROM cells WHERE dataset IS NOT NULL"
        return {cell: dataset for cell, dataset in self.connection.execute(query) if cell in asked}

    def set_datasets(self, datasets: Mapping[int, int]) -> None:
        """Remember the data sets of cells."""
        with self.transaction() as connection:
            connection.executemany(
                "INSERT INTO cells(id, dataset, state) VALUES (?, ?, 'new')"
                " ON CONFLICT(id) DO UPDATE SET dataset = excluded.dataset",
                datasets.items(),
            )

    def want_cell(self, cell: int) -> None:
        """Ask for all tasks of a cell whose list is known."""
        with self.transaction() as connection:
            connection.execute("UPDATE tasks SET wanted = 1 WHERE cell = ? AND wanted = 0", (cell,))
            connection.execute("UPDATE cells SET state = 'done' WHERE id = ?", (cell,))

    def want_volume(self, volume: int, path: str, *, bounds: Bounds | None, wanted: bool) -> None:
        """List a volume as needed, by a task that was asked for (`wanted`) or by an ancestor."""
        with self.transaction() as connection:
            connection.execute(WANT_VOLUME, (volume, path, *box(bounds), int(wanted)))

    def finish_volume(self, volume: int, *, bounds: Bounds | None, bytes_: int, stamp: int) -> None:
        """Say that all files of a volume are complete on disk; its tasks learn its bounds where theirs are unknown."""
        sets = ", ".join(f"{name} = coalesce(?, {name})" for name in BOX)
        with self.transaction() as connection:
            connection.execute(
                f"UPDATE volumes SET state = 'done', reason = NULL, bytes = ?, stamp = ?, {sets} WHERE id = ?",
                (bytes_, stamp, *box(bounds), volume),
            )
            if bounds is not None:
                sets = ", ".join(f"{name} = ?" for name in BOX)
                connection.execute(f"UPDATE tasks SET {sets} WHERE volume = ? AND zmin IS NULL", (*box(bounds), volume))

    def mark_volume(self, volume: int, state: State, *, reason: str | None, bounds: Bounds | None = None) -> None:
        """Set the state of a volume."""
        sets = ", ".join(f"{name} = coalesce(?, {name})" for name in BOX)
        with self.transaction() as connection:
            connection.execute(
                f"UPDATE volumes SET state = ?, reason = ?, {sets} WHERE id = ?", (state, reason, *box(bounds), volume)
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing of what the block writes.

        Raises:
            WriteError: The file cannot be written.
        """
        with _translated(self.path), self.connection as connection:
            yield connection

    def _row(self, query: str, key: int) -> tuple[Any, ...] | None:
        with _translated(self.path):
            row: tuple[Any, ...] | None = self.connection.execute(query, (key,)).fetchone()
        return row

    def _check_format(self) -> None:
        (found,) = self.connection.execute("PRAGMA user_version").fetchone()
        if found > FORMAT:
            raise DamagedError(str(self.path), f"it was written by a newer ewval (format {found})")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # locked, full, read-only: the file itself may be fine
        kind = error.sqlite_errorcode & 0xFF
        # A disk may be full before the shared memory of the log has its size.
        if kind == sqlite3.SQLITE_FULL or error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHMSIZE:
            raise write_error(path, OSError(errno.ENOSPC, str(error))) from error
        if kind == sqlite3.SQLITE_READONLY or error.sqlite_errorcode in UNWRITABLE:
            raise WriteError(str(path), str(error)) from error
        raise UsageError(f"cannot use {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise DamagedError(str(path), str(error)) from error
