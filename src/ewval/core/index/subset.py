"""A data folder of chosen cells, made from another one."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ewval.core.errors import DamagedError
from ewval.core.folder import DataFolder
from ewval.core.index.source import add_rows, read_source, take_rows
from ewval.core.ledger.ledger import Ledger
from ewval.core.storage.files import make_folder, replacing, writing
from ewval.core.tasks.consensus import ConsensusRule
from ewval.core.tasks.seed_files import write_task_files
from ewval.core.tasks.table import NONE, TaskTable, files_of

Int64s = npt.NDArray[np.int64]


def copy_subset(source: DataFolder, target: DataFolder, *, cells: tuple[int, ...] | None) -> None:
    """Put the tasks of `cells` (None: all), their ancestors and the volumes of both into `target`.

    Packed files, graphs and files as downloaded are hard links where the file system allows it, copies elsewhere; all
    are only ever replaced, never changed. A target that holds tasks already keeps them.

    Raises:
        MissingError: No tasks in `source`, or none of a cell.
        DamagedError: A file of `source` does not hold what it should.
    """
    table = read_source(source, rule=ConsensusRule("all")).table
    chosen = np.ones(len(table), dtype=bool) if cells is None else table.in_cells(cells)
    lineage = with_ancestors(table, chosen)
    with writing(target.root):
        make_folder(target.root)
    for volume in np.unique(table.volume[lineage]).tolist():
        for there, here in (
            (source.image, target.image),
            (source.segmentation, target.segmentation),
            (source.graph, target.graph),
        ):
            _link(there(volume), here(volume))
        _link_raw(source.raw(volume), target.raw(volume))
    if source.ledger.is_file():
        _copy_ledger(source.ledger, target.ledger, tasks=table.ids[lineage], wanted=table.ids[chosen])
    if source.task_data.is_file():
        _copy_listed(source, target, tasks=table.ids[lineage])


def with_ancestors(table: TaskTable, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return `chosen` with all ancestors of the chosen tasks, bool [n]."""
    chosen = chosen.copy()
    fresh = np.flatnonzero(chosen)
    while len(fresh):
        parents = np.unique(table.parent_row[fresh])
        parents = parents[parents != NONE]
        fresh = parents[~chosen[parents]]
        chosen[fresh] = True
    return chosen


def _link(source: Path, target: Path) -> None:
    if target.exists() or not source.is_file():
        return
    with writing(target.parent):
        make_folder(target.parent)
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or one without links
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)


def _link_raw(source: Path, target: Path) -> None:
    """Link a volume as downloaded, whole or not at all."""
    if target.exists() or not source.is_dir():
        return
    half = target.with_name(f".{target.name}.linking")
    shutil.rmtree(half, ignore_errors=True)
    for path in sorted(source.rglob("*")):
        if path.is_file():
            _link(path, half / path.relative_to(source))
    if half.is_dir():
        half.rename(target)


_COPY_LEDGER = (
    # Who was asked for into this folder before stays asked for.
    "UPDATE chosen SET wanted = 1 WHERE id IN (SELECT id FROM main.tasks WHERE wanted)",
    "INSERT OR REPLACE INTO main.tasks SELECT * FROM source.tasks WHERE id IN (SELECT id FROM chosen)",
    """UPDATE main.tasks SET wanted = min(wanted, (SELECT wanted FROM chosen WHERE chosen.id = tasks.id))
       WHERE id IN (SELECT id FROM chosen)""",
    """INSERT OR REPLACE INTO main.cells SELECT * FROM source.cells WHERE id IN
       (SELECT cell FROM source.tasks WHERE id IN (SELECT id FROM chosen))""",
    """INSERT OR REPLACE INTO main.volumes SELECT * FROM source.volumes WHERE id IN
       (SELECT volume FROM source.tasks WHERE id IN (SELECT id FROM chosen))""",
)


def _copy_ledger(source: Path, target: Path, *, tasks: Int64s, wanted: Int64s) -> None:
    """Copy the rows of `tasks` with their cells and volumes; those not in `wanted` are there as ancestors only."""
    with _attachable(source) as readable, closing(Ledger(target)) as ledger:
        try:
            ledger.connection.execute("ATTACH CAST(? AS TEXT) AS source", (os.fsencode(readable),))
            ledger.connection.execute("CREATE TEMP TABLE chosen(id INTEGER PRIMARY KEY, wanted INTEGER NOT NULL)")
            with ledger.connection:
                rows = zip(tasks.tolist(), np.isin(tasks, wanted).tolist(), strict=True)
                ledger.connection.executemany("INSERT INTO chosen VALUES (?, ?)", rows)
                for statement in _COPY_LEDGER:
                    ledger.connection.execute(statement)
        except sqlite3.DatabaseError as error:
            raise DamagedError(str(target), str(error)) from error


@contextmanager
def _attachable(ledger: Path) -> Iterator[Path]:
    """Yield the ledger, or where its folder has no room for the side files of its log, a copy for the while."""
    if os.access(ledger.parent, os.W_OK):
        yield ledger
    else:
        with Ledger.scratch(ledger) as copy:
            yield copy.path


def _copy_listed(source: DataFolder, target: DataFolder, *, tasks: Int64s) -> None:
    """Copy what the JSON files say of `tasks` to those of `target`."""
    listed = TaskTable.load(source)
    listed = take_rows(listed, np.flatnonzero(np.isin(listed.ids, tasks)))
    if target.task_data.is_file():
        listed = add_rows(listed, TaskTable.load(target))
    write_task_files(target, files_of(listed))
