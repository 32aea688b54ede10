"""Whether the tasks that ask for review are the ones that need it."""

import numpy as np
from numpy.typing import NDArray

from ewval.core.evaluation.metrics import Floats

FIRST_SHARE = 0.1
"""The part of the queue that people look at."""
DOUBTED_SHARE = 0.2
"""The part of the candidate segments that people look at."""


def found_first(priority: Floats, weight: Floats, *, share: float = FIRST_SHARE) -> float:
    """Return how much of the weight lies in the first `share` of the queue, highest priority first.

    Tasks of one priority stand in no order: each counts with the mean of them all, so chance gives `share`. 1 where
    there is no weight to be found.

    Args:
        priority: float64 [n].
        weight: float64 [n], what is wrong with each task.
        share: In [0, 1]; a border inside a task takes its part.
    """
    looked_at, found = queue(priority, weight)
    return float(np.interp(share, looked_at, found))


def queue(priority: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return share of tasks looked at and share of the weight found, from (0, 0) to (1, 1)."""
    if not weight.sum():
        return np.array([0.0, 1.0]), np.array([1.0, 1.0])
    _, level = np.unique(-priority, return_inverse=True)
    looked_at = np.cumsum(np.bincount(level)) / len(priority)
    found = np.cumsum(np.bincount(level, weights=weight)) / weight.sum()
    return np.concatenate([[0.0], looked_at]), np.concatenate([[0.0], found])


def auroc(positive: Floats, negative: Floats) -> float | None:
    """Return the chance that a positive scores above a negative, ties counted half; None where either is missing."""
    if not len(positive) or not len(negative):
        return None
    _, rank, count = np.unique(np.concatenate([positive, negative]), return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2
    ranks: NDArray[np.float64] = mean_rank[rank[: len(positive)]]
    wins = ranks.sum() - len(positive) * (len(positive) + 1) / 2
    return float(wins / (len(positive) * len(negative)))
