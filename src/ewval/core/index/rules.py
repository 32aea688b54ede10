"""Splits of the tasks that are learnt from, with what is worth counting about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ewval.core.constants import DEFAULT_CONTEXT
from ewval.core.errors import SettingError
from ewval.core.index import assignment
from ewval.core.index.assignment import Codes, Fractions
from ewval.core.index.duplicates import question_keys
from ewval.core.index.exclusions import Flags
from ewval.core.index.split import SIDES, Split
from ewval.core.tasks.table import NONE, UNKNOWN, TaskTable

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How tasks are told apart: `volume`, `cell`, or cells below a threshold against the others.

    Raises:
        UsageError: No such rule.
    """

    name: str

    def __post_init__(self) -> None:
        head, _, number = self.name.partition(":")
        threshold = head == "cell" and number.isascii() and number.isdigit()
        if self.name not in ("volume", "cell") and not threshold:
            raise SettingError(f"{self.name}: it is volume, cell or cell:NUMBER, such as cell:77960", setting="split")

    @property
    def threshold(self) -> int | None:
        """First cell id of the test side, None where cells are drawn."""
        number = self.name.partition(":")[2]
        return int(number) if number else None


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The tasks to be split.

    Args:
        table: Every task.
        rows: int64 [n], those that are kept.
        empty: bool [n], which of them have an empty answer, wanted on the test side only.
        dropped: The others, by reason.
        consensus: The rule behind the answers.
    """

    table: TaskTable
    rows: Int64s
    empty: Flags
    dropped: Mapping[str, int]
    consensus: str


def split_by_rule(tasks: Kept, rule: SplitRule, *, fractions: Fractions, seed: int) -> Split:
    """Return the split that `rule` asks for, or that by cell where volumes cannot be told apart.

    Raises:
        UsageError: A threshold is asked for where cells are unknown.
    """
    table, rows = tasks.table, tasks.rows
    cells = table.group[rows]
    if rule.threshold is not None:
        if (table.cell[rows] == NONE).any():
            raise SettingError(f"{rule.name}: the cells of some tasks are unknown here; use cell", setting="split")
        codes = assignment.by_threshold(cells, rule.threshold, fractions=fractions, seed=seed)
        return _describe(tasks, codes, rule=rule.name, seed=seed)
    if rule.name == "volume":
        corner = table.corner[rows]
        parted = assignment.by_volume(corner, (corner != UNKNOWN).all(axis=1), fractions=fractions, seed=seed)
        if parted is not None:
            return _describe(tasks, parted, rule=rule.name, seed=seed)
    codes = assignment.by_cell(cells, fractions=fractions, seed=seed)
    return _describe(tasks, codes, rule=rule.name, seed=seed, fallback="cell" if rule.name == "volume" else None)


def split_by_fold(tasks: Kept, folds: int, *, fractions: Fractions, seed: int) -> list[Split]:
    """Return the splits of a cross-validation by cell.

    Raises:
        UsageError: More folds than cells.
    """
    drawn = assignment.by_fold(tasks.table.group[tasks.rows], folds, fractions=fractions, seed=seed)
    return [_describe(tasks, codes, rule="cell", seed=seed) for codes in drawn]


def _describe(tasks: Kept, codes: Codes, *, rule: str, seed: int, fallback: str | None = None) -> Split:
    ids = tasks.table.ids[tasks.rows]
    unfit = tasks.empty & (codes != assignment.TEST)  # an empty answer teaches nothing; on the test side it is noise
    dropped = dict(tasks.dropped) | ({"empty_aggregate": int(unfit.sum())} if unfit.any() else {})
    parts: dict[str, Any] = {name: ids[(codes == code) & ~unfit] for code, name in enumerate(SIDES)}
    sizes: dict[str, Any] = {name: len(part) for name, part in parts.items()}
    more = {
        "dropped": dropped,
        "withheld_context": withheld_context(tasks.table, parts),
        "shared_questions": shared_questions(tasks.table, parts),
    }
    counts = {"tasks": sum(sizes.values()), **sizes, **more}
    return Split(**parts, rule=rule, seed=seed, consensus=tasks.consensus, fallback=fallback, counts=counts)


def withheld_context(table: TaskTable, parts: Mapping[str, Int64s]) -> int:
    """Return how many training tasks have an ancestor within reach whose answer is scored, and so left out."""
    scored = np.zeros(len(table), dtype=bool)
    scored[table.rows(np.concatenate([parts["test"], parts["val"]]))] = True
    row = table.rows(parts["train"])
    found = np.zeros(len(row), dtype=bool)
    for _ in range(DEFAULT_CONTEXT):
        row = np.where(row >= 0, table.parent_row[row], NONE)
        found |= (row >= 0) & scored[row]
    return int(found.sum())


def shared_questions(table: TaskTable, parts: Mapping[str, Int64s]) -> int:
    """Return how many training tasks ask what a test task asks: the same seed in the same volume.

    Eyewire marks most such duplicates, and they are dropped. What is left cannot happen with `volume`; with `cell` it
    says how much of the test is known from training.
    """
    asked = question_keys(table)
    train, test = asked[table.rows(parts["train"])], asked[table.rows(parts["test"])]
    return int(np.isin(train, test).sum())
