"""Where the tasks to index come from: the ledger, the two JSON files, or both."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ewval.core.errors import MissingError, SettingError
from ewval.core.folder import DataFolder
from ewval.core.index.exclusions import Facts
from ewval.core.storage.ragged import chain
from ewval.core.tasks.consensus import ConsensusRule
from ewval.core.tasks.from_ledger import Fetched, read_ledger
from ewval.core.tasks.table import NONE, PLAIN_COLUMNS, Int64s, TaskTable, table_of


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What a data folder holds before anything is dropped.

    Args:
        table: Every task.
        facts: What decides on its use.
        rule: The consensus rule that was applied.
        incomplete: Tasks that were asked for and are not fetched.
    """

    table: TaskTable
    facts: Facts
    rule: ConsensusRule
    incomplete: int = 0


def read_source(folder: DataFolder, *, rule: ConsensusRule) -> Source:
    """Return every task of a data folder.

    What is fetched comes first; tasks that stand only in the JSON files, as in a folder of the seed system that was
    fetched into, are kept as they are. Their confidences are gone, so every segment that is listed counts.

    Raises:
        MissingError: There are no tasks at all.
        DamagedError: A file does not hold what it should.
        UsageError: A threshold is asked for where there are no confidences.
    """
    files = [path.is_file() for path in (folder.task_vol, folder.task_data)]
    if folder.ledger.is_file():
        fetched = read_ledger(folder.ledger, rule=rule)
        if len(fetched.files.ids):
            return _source_of_fetched(fetched, TaskTable.load(folder) if all(files) else None, rule=rule)
    if not any(files):
        raise MissingError(f"any task in {folder.root}", hint="`ewval fetch` gets tasks")
    if not isinstance(rule.rule, str):
        raise SettingError(f"{rule.rule}: the JSON files hold what was chosen, no confidences", setting="consensus")
    listed = TaskTable.load(folder)
    return Source(listed, _facts_of_listed(len(listed)), ConsensusRule("all"))


def _source_of_fetched(fetched: Fetched, listed: TaskTable | None, *, rule: ConsensusRule) -> Source:
    table = table_of(fetched.files, places=(fetched.cell, fetched.corner))
    facts = Facts(fetched.status, fetched.dataset, fetched.wanted, fetched.weight)
    if listed is not None and len(listed):
        merged = add_rows(table, listed)
        table, facts = merged, _spread(facts, merged.rows(table.ids), count=len(merged))
    return Source(table, facts, rule, fetched.incomplete)


def _facts_of_listed(count: int) -> Facts:
    return Facts(
        status=np.zeros(count, dtype=np.int64),
        dataset=np.full(count, NONE, dtype=np.int64),
        wanted=np.ones(count, dtype=bool),
        weight=np.full(count, np.nan),
    )


def _spread(facts: Facts, rows: Int64s, *, count: int) -> Facts:
    """Return the facts of `count` tasks of which those at `rows` have `facts`."""
    spread = _facts_of_listed(count)
    for name in ("status", "dataset", "wanted", "weight"):
        getattr(spread, name)[rows] = getattr(facts, name)
    return spread


def add_rows(table: TaskTable, other: TaskTable) -> TaskTable:
    """Return `table` with the tasks that only `other` has."""
    extra = np.flatnonzero(~np.isin(other.ids, table.ids))
    if not len(extra):
        return table
    order = np.argsort(np.concatenate([table.ids, other.ids[extra]]), kind="stable")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(table, name), getattr(other, name)[extra]])[order] for name in PLAIN_COLUMNS
    }
    seeds = chain([table.seeds, other.seeds.take(extra)]).take(order)
    aggregates = chain([table.aggregates, other.aggregates.take(extra)]).take(order)
    return TaskTable(**columns, seeds=seeds, aggregates=aggregates)


def take_rows(table: TaskTable, rows: Int64s) -> TaskTable:
    """Return the tasks at `rows`, ascending."""
    columns: dict[str, Any] = {name: getattr(table, name)[rows] for name in PLAIN_COLUMNS}
    return TaskTable(**columns, seeds=table.seeds.take(rows), aggregates=table.aggregates.take(rows))
