"""The tasks that can be reviewed, as they stand in a data folder; nothing is fetched."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ewval.core.errors import EwvalError, MissingError
from ewval.core.fetch.on_disk import LocalData
from ewval.core.folder import DataFolder
from ewval.core.index.source import read_source
from ewval.core.review.scene import TaskFacts
from ewval.core.tasks.consensus import ConsensusRule
from ewval.core.tasks.table import NONE, TaskTable

__all__ = ["Listing", "among", "facts_of", "list_tasks", "parents_of"]


@dataclass(frozen=True, slots=True)
class Listing:
    """Tasks in the order asked for, and what cannot be had: tasks or cells by name, each with the reason."""

    tasks: tuple[TaskFacts, ...]
    failed: dict[int, EwvalError]


def list_tasks(folder: DataFolder, *, tasks: Sequence[int] = (), cells: Sequence[int] = ()) -> Listing:
    """Return `tasks`, then the tasks of `cells`; all that were asked for in `folder` where neither is given.

    Raises:
        MissingError: The folder holds no tasks.
        DamagedError: The ledger or the task files cannot be read.
    """
    failed: dict[int, EwvalError] = {}
    by_id = LocalData(folder, context=0).table(tasks)
    found = {task: facts_of(by_id, task) for task in tasks if by_id.has(task)}
    for task in tasks:
        if task not in found:
            failed[task] = MissingError(f"task {task}", hint=f"`ewval fetch {task}` brings it")
    if cells or not tasks:
        source = read_source(folder, rule=ConsensusRule())
        table = source.table
        is_asked = source.facts.wanted & np.isin(table.cell, cells) if cells else source.facts.wanted
        found |= {task: facts_of(table, task) for task in table.ids[is_asked].tolist() if task not in found}
        for cell in set(cells) - set(table.cell[is_asked].tolist()):
            failed[cell] = MissingError(f"cell {cell}", hint=f"`ewval fetch --cell {cell}` brings its tasks")
    return Listing(tuple(found.values()), failed)


def among(folder: DataFolder, known: Iterable[int], *, tasks: Sequence[int], cells: Sequence[int]) -> set[int]:
    """Return those of the tasks `known` that are named in `tasks` or belong to one of `cells`."""
    known = set(known)
    found = known.intersection(tasks)
    if cells:
        table = LocalData(folder, context=0).table(known)
        found |= known.intersection(table.ids[np.isin(table.cell, cells)].tolist())
    return found


def facts_of(table: TaskTable, task: int) -> TaskFacts:
    """Return what a table says of one of its tasks."""
    row = table.row(task)
    cell = int(table.cell[row])
    return TaskFacts(
        task=task,
        volume=int(table.volume[row]),
        cell=None if cell == NONE else cell,
        seed=tuple(table.seed(row).tolist()),
        consensus=tuple(table.aggregate(row).tolist()) if table.has_aggregate(row) else None,
    )


def parents_of(folder: DataFolder, tasks: Iterable[int]) -> dict[int, int | None]:
    """Return the parent of each task that is known, None where it has none."""
    table = LocalData(folder, context=0).table(tasks)
    known = [(task, int(table.parent[table.row(task)])) for task in tasks if table.has(task)]
    return {task: None if parent == NONE else parent for task, parent in known}
