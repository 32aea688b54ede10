"""Growing an object from its seed, and deciding where to stop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.boosting import Forest
from ewval.core.forest.candidates import Surroundings
from ewval.core.forest.compiled import CompiledObject
from ewval.core.kernels.library import kernels

__all__ = ["NEXT_TO_NOTHING", "GrowingObject", "Growth", "PlainObject", "begin", "best_cut", "grow"]

Judge = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""From the numbers of candidates to the log-odds that they belong to the object."""

UNASKED = Forest(np.zeros((1, 1), np.int16), np.full((1, 1), np.inf, np.float32), np.zeros((1, 2), np.float32), 0.0)
"""The judge of an object whose candidates are only described."""
CERTAIN = 1.5
"""Candidates of at least these log-odds join at once: what they would change in each other is small."""
LEAST = -3.0
"""Growth ends where the best candidate has less than 5 %."""
NOBODY = np.zeros(0, dtype=np.int64)
MOST_SEGMENTS = 400
"""Growth ends there: no answer in the developer sample holds more than 181 segments."""
NEXT_TO_NOTHING = 500.0
"""Voxels over which the weight of adding nothing fades."""
LEAST_WEIGHT = 1e-6
"""Of adding nothing: at 0 every case would weigh nothing."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What joined an object, in order.

    Args:
        rows: int64[k], segments in the order of joining.
        log_odds: float64[k], never rising: what led here was no more certain than its least certain step.
        refused: int64[r], candidates that did not join, ascending.
        refused_log_odds: float64[r], no more than the last of `log_odds`.
    """

    rows: NDArray[np.int64]
    log_odds: NDArray[np.float64]
    refused: NDArray[np.int64]
    refused_log_odds: NDArray[np.float64]


class GrowingObject(Protocol):
    """Something that grows."""

    def described(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the segments that touch it, ascending, and float32[k, numbers] that describe each."""

    def candidates(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the segments that touch it, ascending, and their log-odds of belonging to it."""

    def join(self, rows: NDArray[np.int64]) -> None:
        """Let candidates join."""


class PlainObject:
    """An object whose candidates are all described and judged anew whenever it has grown."""

    def __init__(self, around: Surroundings, seed: NDArray[np.int64], *, judge: Judge) -> None:
        self._around, self._judge = around, judge
        self._inside = np.zeros(len(around.voxels), dtype=bool)
        self._inside[seed] = True
        self._seed_voxels = float(around.voxels[self._inside].sum())

    def described(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the segments that touch it, ascending, and float32[k, numbers] that describe each."""
        return self._around.candidates(self._inside, seed_voxels=self._seed_voxels)

    def candidates(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the segments that touch it, ascending, and their log-odds of belonging to it."""
        rows, numbers = self.described()
        return rows, self._judge(numbers) if len(rows) else np.zeros(0)

    def join(self, rows: NDArray[np.int64]) -> None:
        """Let candidates join."""
        self._inside[rows] = True


def grow(
    around: Surroundings,
    seed: NDArray[np.int64],
    *,
    judge: Forest | Judge,
    excluded: NDArray[np.int64] = NOBODY,
) -> Growth:
    """Grow an object from the segments `seed` (rows of the graph), most certain candidate first.

    Args:
        around: Where.
        seed: int64, rows of the graph.
        judge: What tells how likely candidates belong to the object; a forest does so by the compiled kernels, where
            these were built, with the same bits.
        excluded: int64, rows that never join and are not among the refused: somebody has settled that. They are
            described and judged with the rest, as the numbers of the others depend on them.
    """
    allowed = np.ones(len(around.voxels), dtype=bool)
    allowed[excluded] = False
    return _run(begin(around, seed, judge), allowed)


def begin(around: Surroundings, seed: NDArray[np.int64], judge: Forest | Judge = UNASKED) -> GrowingObject:
    """Return an object that is to grow from the segments `seed`; without a judge for who decides otherwise what joins.

    It serves until the next one with the same judge is begun in `around`.
    """
    if not isinstance(judge, Forest):
        return PlainObject(around, seed, judge=judge)
    if kernels() is None or not len(around.graph.pairs):
        return PlainObject(around, seed, judge=judge.log_odds)
    return CompiledObject(around, seed, forest=judge)


def _run(growing: GrowingObject, allowed: NDArray[np.bool_]) -> Growth:
    """Let `growing` grow by what is allowed, all candidates judged again whenever it has grown."""
    rows: list[int] = []
    odds: list[float] = []
    bound = np.inf
    while True:
        candidates, scores = growing.candidates()
        candidates, scores = candidates[allowed[candidates]], scores[allowed[candidates]]
        if not len(candidates) or scores.max() < LEAST or len(rows) >= MOST_SEGMENTS:
            return Growth(np.array(rows, np.int64), np.array(odds), candidates, np.minimum(scores, bound))
        # Whatever is as certain as the object itself changes nothing by waiting.
        joins = np.flatnonzero(scores >= min(bound, CERTAIN))
        joins = joins[np.argsort(-scores[joins], kind="stable")] if len(joins) else np.array([scores.argmax()])
        for i in joins:
            bound = min(bound, float(scores[i]))
            rows.append(int(candidates[i]))
            odds.append(bound)
        growing.join(candidates[joins])


def best_cut(voxels: NDArray[np.float64], probability: NDArray[np.float64], *, nothing: float) -> int:
    """Return how many segments of a growth to answer with: the prefix with the greatest expected F1 by volume.

    The truth is taken to be one of the prefixes: with never-rising probabilities p, it ends after segment k with
    probability p[k] - p[k + 1]. Under this the expected F1 of every answer is a weighted mean, and a large uncertain
    segment is weighed against what is certain so far, which no fixed threshold does.

    Args:
        voxels: float64[k], of the segments in order of joining.
        probability: float64[k], never rising.
        nothing: Weight of the case that there is nothing to add, as a multiple of its probability. That there is next
            to nothing to add weighs between this and 1: neurites end after some hundred voxels about as seldom.
    """
    if not len(voxels):
        return 0
    ends = np.concatenate([[1.0], probability]) - np.concatenate([probability, [0.0]])
    total = np.concatenate([[0.0], np.cumsum(voxels)])
    ends *= max(nothing, LEAST_WEIGHT) ** np.exp(-total / NEXT_TO_NOTHING)
    both = total[:, None] + total
    f1 = np.where(both > 0, 2 * np.minimum(total[:, None], total) / np.maximum(both, 1), 1.0)
    return int((f1 @ ends).argmax())
