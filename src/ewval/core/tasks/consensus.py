"""Which segments the players agreed on: the threshold between a confidence and a yes."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ewval.core.errors import UsageError
from ewval.core.eyewire.records import AggregateRecord, TaskRecord

Rule = Literal["rule", "all"] | float
"""`rule` = the threshold that falls with the weight, `all` = every listed segment, a number = that threshold."""


@dataclass(frozen=True, slots=True)
class ConsensusRule:
    """A checked consensus rule.

    Raises:
        UsageError: Neither `rule`, `all` nor a number from 0 up to, not including, 1.
    """

    rule: Rule = "rule"

    def __post_init__(self) -> None:
        named = isinstance(self.rule, str) and self.rule in ("rule", "all")
        numeric = isinstance(self.rule, float | int) and 0 <= self.rule < 1
        if not named and not numeric:
            raise UsageError(f"consensus {self.rule!r} is neither 'rule', 'all' nor a number in [0, 1)")

    def threshold(self, weight: float) -> float:
        """Return the confidence that a segment must exceed in a task of this weight; -inf where every one counts."""
        if self.rule == "all":
            return -math.inf
        if self.rule == "rule":
            return rule_threshold(weight)
        return float(self.rule)

    def thresholds(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return `threshold` of every weight, float64 of the same shape."""
        # Python's exp, once per distinct weight: numpy's vectorised exp differs in the last bit on some processors,
        # and a confidence may stand exactly on the threshold.
        distinct, back = np.unique(weights, return_inverse=True)
        table = np.array([self.threshold(float(weight)) for weight in distinct], dtype=np.float64)
        return table[back] if len(table) else np.empty(0)


def parse_rule(text: str) -> ConsensusRule:
    """Return the rule that a word on the command line stands for.

    Raises:
        UsageError: It is none.
    """
    try:
        return ConsensusRule(float(text))
    except ValueError:
        return ConsensusRule(text)  # type: ignore[arg-type]  # the class checks it


def rule_threshold(weight: float) -> float:
    """Return min(0.99, exp(-0.16 weight) + 0.20).

    Source: the 2013 inclusion rule of Eyewire's lab, torms3/eyewire.accuracy get_celltype_threshold.m.
    """
    if weight <= 0:
        return 0.99  # as the formula gives, without the overflow of a nonsense weight
    return min(0.99, math.exp(-0.16 * weight) + 0.20)


def task_weight(aggregate: AggregateRecord, task: TaskRecord) -> float:
    """Return the weight of the votes: the aggregate's, else the prior's, else the task's weight sum, else 0."""
    return next((w for w in (aggregate.weight, task.prior_weight, task.weightsum) if w is not None), 0.0)


def consensus(aggregate: AggregateRecord, task: TaskRecord, *, rule: Rule = "rule") -> frozenset[int]:
    """Return the segments that the players agreed on; the map also holds segments that few of them chose.

    Raises:
        UsageError: `rule` is none.
    """
    checked = ConsensusRule(rule)
    if checked.rule == "all":
        return frozenset(aggregate.segments)
    threshold = checked.threshold(task_weight(aggregate, task))
    return frozenset(
        segment for segment, value in aggregate.segments.items() if value is not None and value > threshold
    )


def chosen(
    confidences: npt.NDArray[np.float64],
    lengths: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    *,
    rule: ConsensusRule,
) -> npt.NDArray[np.bool_]:
    """Return which of the listed segments count, for many tasks at once.

    Args:
        confidences: float64 [total], the tasks' confidences one after another; NaN where the server gave null.
        lengths: int64 [tasks], how many belong to each task.
        weights: float64 [tasks], each task's weight, no NaN.
        rule: The consensus rule.

    Returns:
        bool [total].
    """
    if rule.rule == "all":
        return np.ones(len(confidences), dtype=bool)
    return np.asarray(confidences > np.repeat(rule.thresholds(weights), lengths))
