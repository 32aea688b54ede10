"""The scores of one answerer over all tasks, summed as they stream by: what every figure and picture is made from."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ewval.core.evaluation.bootstrap import ClusterSums
from ewval.core.evaluation.gathered import Gathered
from ewval.core.evaluation.metrics import Floats
from ewval.core.evaluation.parts import Part
from ewval.core.evaluation.report.pictures import Pictures
from ewval.core.evaluation.scoring import COLUMN, COLUMNS

KEPT = (
    "extend",
    "volume_f1",
    "wrong_voxels",
    "review_priority",
    "trace_priority",
    "faulty_trace_priority",
    "familiarity",
)
"""Columns that are kept task by task, because ranking needs them: 56 bytes a task."""


@dataclass(slots=True)
class Totals:
    """Sums over tasks, by cell, and the few columns that ranking needs.

    Args:
        gathered: What is summed beside the rows.
        pictures: Histograms of the rows.
    """

    gathered: Gathered = field(default_factory=Gathered)
    pictures: Pictures = field(default_factory=Pictures)
    _tasks: list[NDArray[np.int64]] = field(default_factory=list)
    _kept: list[Floats] = field(default_factory=list)
    _sums: dict[int, Floats] = field(default_factory=dict)

    def add(self, part: Part, name: str) -> None:
        """Take in the scores of answerer `name` in one part."""
        rows = part.rows[name]
        self.gathered.merge(part.gathered[name])
        self.pictures.add(rows)
        self._tasks.append(part.tasks)
        self._kept.append(rows[:, [COLUMN[column] for column in KEPT]])
        extend = rows[:, COLUMN["extend"]] > 0
        for group in np.unique(part.groups):
            of_group = part.groups == group
            sums = np.stack([_sums(rows[of_group]), _sums(rows[of_group & extend])])
            self._sums[int(group)] = self._sums.get(int(group), 0.0) + sums

    def merge(self, other: "Totals") -> None:
        """Take in the scores of the same answerer on other tasks."""
        self.gathered.merge(other.gathered)
        self.pictures.merge(other.pictures)
        self._tasks += other._tasks
        self._kept += other._kept
        for group, sums in other._sums.items():
            self._sums[group] = self._sums.get(group, 0.0) + sums

    @property
    def tasks(self) -> NDArray[np.int64]:
        """Ids, int64 [n], in the order of the evaluation."""
        return np.concatenate(self._tasks) if self._tasks else np.zeros(0, np.int64)

    def column(self, name: str) -> Floats:
        """Return one of the `KEPT` columns, float64 [n]."""
        return np.concatenate(self._kept)[:, KEPT.index(name)] if self._kept else np.zeros(0)

    @property
    def has_probabilities(self) -> bool:
        """Whether the answers came with probabilities."""
        return self.gathered.interior.total + self.gathered.boundary.total > 0

    def clusters(self, *, extend_only: bool = False) -> ClusterSums:
        """Return the sums by cell over all tasks, or over those with something to add; columns as in `COLUMNS`."""
        table = np.stack([sums[int(extend_only)] for sums in self._sums.values()])
        table = table[table[:, 0] > 0]
        return ClusterSums(table[:, 0].astype(np.int64), table[:, 1:])


def _sums(rows: Floats) -> Floats:
    """Return how many rows there are, and the sum of each column; nan counts as nothing."""
    return np.concatenate([[len(rows)], np.nansum(rows, axis=0)]) if len(rows) else np.zeros(1 + len(COLUMNS))
