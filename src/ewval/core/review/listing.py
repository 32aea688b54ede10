"""The tasks that can be reviewed, as they stand in a data folder; nothing is fetched."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from ewval.core.errors import EwvalError, MissingError
from ewval.core.fetch.on_disk import LocalData
from ewval.core.folder import DataFolder
from ewval.core.ledger.ledger import Ledger
from ewval.core.review.scene import TaskFacts
from ewval.core.tasks.table import NONE, TaskTable

__all__ = ["Listing", "facts_of", "list_tasks", "parents_of"]


@dataclass(frozen=True, slots=True)
class Listing:
    """Tasks in the order asked for, and what cannot be had: tasks or cells by name, each with the reason."""

    tasks: tuple[TaskFacts, ...]
    failed: dict[int, EwvalError]


def list_tasks(folder: DataFolder, *, tasks: Sequence[int] = (), cells: Sequence[int] = ()) -> Listing:
    """Return `tasks` and the tasks of `cells`; all that were asked for in `folder` where neither is given.

    Raises:
        DamagedError: The ledger or the task files cannot be read.
    """
    local, failed = LocalData(folder, context=0), dict[int, EwvalError]()
    wanted = dict.fromkeys(tasks)
    for cell in cells:
        found = local.tasks_of_cell(cell)
        if found is None:
            failed[cell] = MissingError(f"cell {cell}", hint=f"`ewval fetch --cell {cell}` brings its tasks")
        wanted |= dict.fromkeys(found or ())
    if not tasks and not cells:
        wanted = dict.fromkeys(_all_tasks(folder))
    table = local.table(wanted)
    for task in wanted:
        if not table.has(task):
            failed[task] = MissingError(f"task {task}", hint=f"`ewval fetch {task}` brings it")
    return Listing(tuple(facts_of(table, task) for task in wanted if table.has(task)), failed)


def _all_tasks(folder: DataFolder) -> list[int]:
    known: set[int] = set()
    if folder.ledger.is_file():
        with closing(Ledger.open_existing(folder.ledger)) as ledger:
            known |= {
                row[0] for row in ledger.connection.execute("SELECT id FROM tasks WHERE wanted AND state = 'done'")
            }
    if folder.task_vol.is_file():
        known |= set(TaskTable.load(folder).ids.tolist())
    return sorted(known)


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
