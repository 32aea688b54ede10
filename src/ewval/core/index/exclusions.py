"""Tasks that are not learnt from, and why."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ewval.core.constants import (
    STATUS_DUPLICATE,
    STATUS_FROZEN,
    STATUS_HIDDEN,
    STATUS_TUTORIAL,
    ZEBRAFISH_DATASET,
)
from ewval.core.tasks.table import EMPTY, UNANSWERED, TaskTable
from ewval.core.volumes.presence import Presence

Flags = npt.NDArray[np.bool_]

UNFIT_STATUSES = (STATUS_TUTORIAL, STATUS_HIDDEN, STATUS_FROZEN, STATUS_DUPLICATE)
"""A duplicate is another cell's task under a second id: with it one answer would stand on two sides of a split."""


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What decides whether a task is learnt from, beside what the table says; one entry a task.

    Args:
        status: int64 [n], Eyewire's task states.
        dataset: int64 [n], -1 where unknown.
        wanted: bool [n], asked for, not only fetched as an ancestor.
        weight: float64 [n], weight of the votes, NaN where unknown.
    """

    status: npt.NDArray[np.int64]
    dataset: npt.NDArray[np.int64]
    wanted: Flags
    weight: npt.NDArray[np.float64]


def reasons_before_decoding(table: TaskTable, facts: Facts, *, min_weight: float | None) -> dict[str, Flags]:
    """Return, by reason, the tasks that it applies to; a task counts under the first that does."""
    reasons = {
        "context_only": ~facts.wanted,
        "status": np.isin(facts.status, UNFIT_STATUSES),
        "zebrafish": facts.dataset == ZEBRAFISH_DATASET,
        "no_aggregate": table.answer == UNANSWERED,
        "empty_aggregate": table.answer == EMPTY,
    }
    if min_weight is not None:
        reasons["low_weight"] = ~(facts.weight >= min_weight)
    return reasons


def reasons_of_volumes(table: TaskTable, presence: Presence) -> dict[str, Flags]:
    """Return, by reason, the tasks whose packed volume lacks something."""
    packed = presence.packed(table.volume)
    damaged = np.isin(table.volume, np.array(list(presence.damaged()), dtype=np.int64))
    shown = presence.shows_seed(table.volume, table.seeds)
    return {"missing_volume": ~packed & ~damaged, "damaged_volume": damaged, "empty_seed": packed & ~shown}


def count_first(reasons: dict[str, Flags]) -> tuple[Flags, dict[str, int]]:
    """Return which tasks are dropped, and how many for each reason that dropped any."""
    dropped = np.zeros(len(next(iter(reasons.values()))), dtype=bool)
    counts = {}
    for name, applies in reasons.items():
        if fresh := int((applies & ~dropped).sum()):
            counts[name] = fresh
        dropped |= applies
    return dropped, counts
