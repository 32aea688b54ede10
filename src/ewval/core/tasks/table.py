"""The task table: what is known of every task, as columns.

    task_vol.json, task_data.json ──read──▶ TaskTable ◀──mapped── task_table.cache
    eyewire.sqlite ──cells, places───────────▲

The cache lies beside the two JSON files and counts only while both are as they were when it was written. It is
memory-mapped: worker processes share its pages, and a table is pickled as the path of its cache.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ewval.core.errors import DamagedError, MissingError, WriteError
from ewval.core.eyewire.records import AggregateRecord, TaskRecord
from ewval.core.folder import DataFolder
from ewval.core.storage.columns import Columns, file_stamp, map_columns, write_columns
from ewval.core.storage.ragged import Ids, Ragged, chain, from_lists, union
from ewval.core.tasks.consensus import Rule, consensus
from ewval.core.tasks.from_ledger import read_places
from ewval.core.tasks.seed_files import TaskFiles, read_task_files

_LOG = logging.getLogger(__name__)

NONE = -1
"""Stands for "no parent" and "cell unknown" in the id columns."""
UNKNOWN = np.iinfo(np.int32).min
"""Stands for "unknown" in each coordinate of a corner."""
UNANSWERED, EMPTY, ANSWERED = 0, 1, 2
"""No aggregate was fetched; it holds no segment after the consensus rule; it holds some."""

PLAIN_COLUMNS = ("ids", "volume", "cell", "parent", "corner", "answer")
"""Those of one entry a task."""

Int64s = npt.NDArray[np.int64]
Stamp = list[list[int] | None]
"""What `file_stamp` says of the two JSON files."""


@dataclass(frozen=True, eq=False)
class TaskTable:
    """Every task of a data folder, ids ascending; dropped ones too, since they serve as ancestors.

    Args:
        ids: int64 [n], task ids.
        volume: int64 [n].
        cell: int64 [n], -1 where unknown.
        parent: int64 [n], task ids, -1 where there is none; the parent need not be in the table.
        corner: int32 [n, 3], z y x of the first voxel of the task's volume in the data set, `UNKNOWN` where unknown.
        seeds: Seed segments of each task.
        aggregates: Segments of each answer, the seed included.
        answer: uint8 [n], UNANSWERED, EMPTY or ANSWERED.
        mapped: The cache file that the columns lie in and its stamp; None where they lie in memory.
    """

    ids: Int64s
    volume: Int64s
    cell: Int64s
    parent: Int64s
    corner: npt.NDArray[np.int32]
    seeds: Ragged
    aggregates: Ragged
    answer: npt.NDArray[np.uint8]
    mapped: tuple[Path, Stamp] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.mapped is not None:
            return _reopen, self.mapped
        return _from_columns, (_to_columns(self), None)

    @classmethod
    def load(cls, folder: DataFolder) -> "TaskTable":
        """Return the table of a data folder, one of the seed system too.

        Raises:
            MissingError: `task_vol.json` or `task_data.json` is not there.
            DamagedError: One of them is not in the form it should be.
        """
        path, stamp = cache_path(folder), _stamp(folder)
        columns = map_columns(path, stamp=stamp)
        if columns is None:
            files = read_task_files(folder)
            table = table_of(files, places=read_places(folder, tasks=files.ids, volumes=files.volume))
            return store_table(table, folder)
        return _from_columns(columns, (path, stamp))

    @classmethod
    def from_records(
        cls, records: Iterable[tuple[TaskRecord, AggregateRecord | None]], *, rule: Rule = "rule"
    ) -> "TaskTable":
        """Return the table of tasks that stand in no file yet.

        Args:
            records: Tasks, ancestors included, each with its aggregate or None; of a repeated task the last counts.
            rule: The consensus rule.
        """
        rows = sorted({task.id: (task, aggregate) for task, aggregate in records}.items())
        tasks = [task for _, (task, _) in rows]
        answers = [
            None if aggregate is None else consensus(aggregate, task, rule=rule) for _, (task, aggregate) in rows
        ]
        files = TaskFiles(
            ids=np.array([task.id for task in tasks], dtype=np.int64),
            volume=np.array([task.volume for task in tasks], dtype=np.int64),
            parent=np.array([NONE if task.parent is None else task.parent for task in tasks], dtype=np.int64),
            seeds=from_lists(task.seed for task in tasks),
            aggregates=from_lists(answer or () for answer in answers),
            answered=np.array([answer is not None for answer in answers], dtype=bool),
        )
        corners = [(UNKNOWN,) * 3 if task.bounds is None else task.bounds.minimum for task in tasks]
        cells = [NONE if task.cell is None else task.cell for task in tasks]
        return table_of(
            files,
            places=(np.array(cells, dtype=np.int64), np.array(corners, dtype=np.int32).reshape(-1, 3)),
        )

    def has(self, task: int) -> bool:
        """Whether `task` stands in the table."""
        return self.find(task) is not None

    def find(self, task: int) -> int | None:
        """Return the row of `task`, None where it is not in the table."""
        row = int(np.searchsorted(self.ids, task))
        return row if row < len(self.ids) and self.ids[row] == task else None

    def row(self, task: int) -> int:
        """Return the row of `task`.

        Raises:
            MissingError: It is not in the table.
        """
        row = self.find(task)
        if row is None:
            raise MissingError(f"task {task}", hint="`ewval fetch` and `ewval index` add it")
        return row

    def rows(self, tasks: Iterable[int] | Int64s) -> Int64s:
        """Return the rows of `tasks`, int64, in their order.

        Raises:
            MissingError: One is not in the table.
        """
        wanted = np.fromiter(tasks, dtype=np.int64)
        rows = np.searchsorted(self.ids, wanted)
        for task in wanted[~self._stands_at(rows, wanted)][:1]:
            self.row(int(task))
        return rows.astype(np.int64)

    def by_volume(self, tasks: Int64s) -> Int64s:
        """Return `tasks` with those of one volume together: by ascending volume, then by ascending id.

        Raises:
            MissingError: One is not in the table.
        """
        return np.asarray(tasks[np.lexsort((tasks, self.volume[self.rows(tasks)]))])

    def _stands_at(self, rows: Int64s, tasks: Int64s) -> npt.NDArray[np.bool_]:
        if not len(self.ids):
            return np.zeros(len(tasks), dtype=bool)
        return np.asarray(self.ids[np.minimum(rows, len(self.ids) - 1)] == tasks)

    def seed(self, row: int) -> Ids:
        """Return the seed segments, uint32, ascending."""
        return self.seeds[row]

    def aggregate(self, row: int) -> Ids:
        """Return the segments of the answer after the consensus rule, seed included, uint32, ascending.

        Only the seed where there is no answer.
        """
        return self.aggregates[row]

    def has_aggregate(self, row: int) -> bool:
        """Whether an answer was fetched, be it empty."""
        return bool(self.answer[row] != UNANSWERED)

    def origin(self, row: int) -> tuple[int, int, int] | None:
        """Return the minimum corner of the task's volume, z y x in raw voxels; None where unknown."""
        z, y, x = self.corner[row].tolist()
        return None if z == UNKNOWN else (z, y, x)

    @property
    def extends(self) -> npt.NDArray[np.bool_]:
        """Which tasks have an answer that adds something to the seed, bool [n]."""
        return np.asarray(self.aggregates.lengths > self.seeds.lengths)

    @cached_property
    def parent_row(self) -> Int64s:
        """Row of each task's parent, int64 [n]; -1 where it has none, is its own, or the parent is not here."""
        rows = np.searchsorted(self.ids, self.parent).astype(np.int64)
        here = self._stands_at(rows, self.parent) & (self.parent != self.ids)
        return np.where(here, rows, NONE)

    @cached_property
    def group(self) -> Int64s:
        """The cell of each task, int64 [n]; where it is unknown, minus the id of the root of its tree of parents."""
        if (self.cell != NONE).all():
            return self.cell
        from ewval.core.tasks.trees import roots

        root = roots(self.parent_row)
        inherited = self.cell[root]
        stand_in = np.where(inherited != NONE, inherited, -self.ids[root])
        return np.where(self.cell != NONE, self.cell, stand_in)

    def in_cells(self, cells: Iterable[int]) -> npt.NDArray[np.bool_]:
        """Return which tasks belong to `cells`, bool [n]; where cells are unknown, a root's id names its tree.

        Raises:
            MissingError: A cell has no task here.
        """
        chosen = np.zeros(len(self), dtype=bool)
        for cell in cells:
            mine = (self.group == cell) | (self.group == -cell)
            if not mine.any():
                raise MissingError(f"cell {cell}", hint="`ewval fetch` gets its tasks")
            chosen |= mine
        return chosen

    def with_answers(self, answers: Mapping[int, Iterable[int]]) -> "TaskTable":
        """Return a copy in which the named tasks have other answers; for checks that no answer reaches an input."""
        rows, order = self.rows(list(answers)), np.arange(len(self))
        state = self.answer.copy()
        state[rows] = ANSWERED
        order[rows] = len(self) + np.arange(len(rows))
        aggregates = chain([self.aggregates, from_lists(answers.values())]).take(order)
        return replace(self, aggregates=aggregates, answer=state, mapped=None)


def table_of(files: TaskFiles, *, places: tuple[Int64s, npt.NDArray[np.int32]]) -> TaskTable:
    """Return the table of what the two files say and where each task lies (cells, corners)."""
    filled = files.aggregates.lengths > 0
    cell, corner = places
    return TaskTable(
        ids=files.ids,
        volume=files.volume,
        cell=cell,
        parent=files.parent,
        corner=corner,
        seeds=files.seeds,
        aggregates=union(files.seeds, files.aggregates),
        answer=np.where(files.answered, np.where(filled, ANSWERED, EMPTY), UNANSWERED).astype(np.uint8),
    )


def files_of(table: TaskTable) -> TaskFiles:
    """Return what the two files hold of `table`: an empty answer as an empty list, any other with the seed."""
    listed = table.aggregates.where((table.answer == ANSWERED)[table.aggregates.owners])
    return TaskFiles(
        ids=table.ids,
        volume=table.volume,
        parent=table.parent,
        seeds=table.seeds,
        aggregates=listed,
        answered=table.answer != UNANSWERED,
    )


def cache_path(folder: DataFolder) -> Path:
    """Return where the mapped form of a folder's table lies."""
    return folder.root / "task_table.cache"


def store_table(table: TaskTable, folder: DataFolder) -> TaskTable:
    """Write the cache that belongs to the folder's present JSON files; return the mapped table.

    The table itself comes back where the folder cannot be written: it works, but is not shared between processes.
    """
    path, stamp = cache_path(folder), _stamp(folder)
    try:
        write_columns(path, _to_columns(table), stamp=stamp)
    except WriteError as error:
        _LOG.info("no table cache in %s: %s", folder.root, error)
        return table
    columns = map_columns(path, stamp=stamp)
    return table if columns is None else _from_columns(columns, (path, stamp))


def _stamp(folder: DataFolder) -> Stamp:
    return [file_stamp(folder.task_vol), file_stamp(folder.task_data)]


def _to_columns(table: TaskTable) -> dict[str, npt.NDArray[Any]]:
    plain = {name: getattr(table, name) for name in PLAIN_COLUMNS}
    return plain | {
        "seed_values": table.seeds.values,
        "seed_offsets": table.seeds.offsets,
        "aggregate_values": table.aggregates.values,
        "aggregate_offsets": table.aggregates.offsets,
    }


def _from_columns(columns: Columns, mapped: tuple[Path, Stamp] | None) -> TaskTable:
    return TaskTable(
        **{name: columns[name] for name in PLAIN_COLUMNS},
        seeds=Ragged(columns["seed_values"], columns["seed_offsets"]),
        aggregates=Ragged(columns["aggregate_values"], columns["aggregate_offsets"]),
        mapped=mapped,
    )


def _reopen(path: Path, stamp: Stamp) -> TaskTable:
    columns = map_columns(path, stamp=stamp)
    if columns is None:
        raise DamagedError(str(path), "changed while it was in use")
    return _from_columns(columns, (path, stamp))
