"""Growing an object from its seed, and deciding where to stop."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.candidates import Surroundings

__all__ = ["Cut", "Growth", "best_cut", "grow"]

Judge = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""From the numbers of candidates to the log-odds that they belong to the object."""

CERTAIN = 1.5
"""Candidates of at least these log-odds join at once: what they would change in each other is small."""
LEAST = -3.0
"""Growth ends where the best candidate has less than 5 %."""
MOST_SEGMENTS = 400
"""Growth ends there: no answer in the developer sample holds more than 181 segments."""


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


@dataclass(frozen=True, slots=True)
class Cut:
    """How many of the segments that joined to answer with, and the volume F1 to expect from that."""

    count: int
    expected_f1: float


def grow(around: Surroundings, seed: NDArray[np.int64], *, judge: Judge) -> Growth:
    """Grow an object from the segments `seed` (rows of the graph), most certain candidate first.

    All candidates are judged again whenever the object has grown.
    """
    inside = np.zeros(len(around.voxels), dtype=bool)
    inside[seed] = True
    seed_voxels = float(around.voxels[seed].sum())
    rows: list[int] = []
    odds: list[float] = []
    bound = np.inf
    while True:
        candidates, numbers = around.candidates(inside, seed_voxels=seed_voxels)
        scores = judge(numbers) if len(candidates) else np.zeros(0)
        if not len(candidates) or scores.max() < LEAST or len(rows) >= MOST_SEGMENTS:
            return Growth(np.array(rows, np.int64), np.array(odds), candidates, np.minimum(scores, bound))
        # Whatever is as certain as the object itself changes nothing by waiting.
        joins = np.flatnonzero(scores >= min(bound, CERTAIN))
        joins = joins[np.argsort(-scores[joins], kind="stable")] if len(joins) else np.array([scores.argmax()])
        for i in joins:
            bound = min(bound, float(scores[i]))
            rows.append(int(candidates[i]))
            odds.append(bound)
        inside[candidates[joins]] = True


def best_cut(voxels: NDArray[np.float64], probability: NDArray[np.float64], *, nothing: float) -> Cut:
    """Return the prefix of a growth with the greatest expected F1 by volume.

    The truth is taken to be one of the prefixes: with never-rising probabilities p, it ends after segment k with
    probability p[k] - p[k + 1]. Under this the expected F1 of every answer is a weighted mean, and a large uncertain
    segment is weighed against what is certain so far, which no fixed threshold does.

    Args:
        voxels: float64[k], of the segments in order of joining.
        probability: float64[k], never rising.
        nothing: Weight of the case that there is nothing to add, as a multiple of its probability.
    """
    if not len(voxels):
        return Cut(0, 1.0)
    ends = np.concatenate([[1.0], probability]) - np.concatenate([probability, [0.0]])
    ends[0] *= nothing
    total = np.concatenate([[0.0], np.cumsum(voxels)])
    both = total[:, None] + total
    f1 = np.where(both > 0, 2 * np.minimum(total[:, None], total) / np.maximum(both, 1), 1.0)
    expected = f1 @ (ends / ends.sum())
    best = int(expected.argmax())
    return Cut(best, float(expected[best]))
