"""Logistic regression on a handful of columns."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["RIDGE", "chance_of", "fit_logistic"]

STEPS = 60
RIDGE = 1e-3
"""Pull of each number towards where it starts; it matters only where there is next to nothing to learn from."""
SHORTEST_STEP = 2.0**-20
"""Of Newton's: where even this gains nothing, nothing is left to gain."""


def chance_of(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities that log-odds of any size and shape stand for."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * log_odds)))


def fit_logistic(
    columns: Sequence[NDArray[np.float64]],
    truth: NDArray[np.bool_],
    *,
    weight: NDArray[np.float64],
    toward: Sequence[float],
    ridge: float = RIDGE,
) -> list[float]:
    """Return the numbers by which the weighted sum of `columns` is the log-odds of `truth`, by Newton's method.

    Args:
        columns: float64[n] each.
        truth: bool[n].
        weight: float64[n], how much each row counts, in units in which `ridge` is little.
        toward: One number a column, kept where the rows say nothing.
        ridge: Pull of each number towards that.
    """
    rows, kept = np.stack(list(columns), axis=1), np.array(toward, dtype=np.float64)
    sign = np.where(truth, 1.0, -1.0)

    def loss(numbers: NDArray[np.float64]) -> float:
        surprise = float(weight @ np.logaddexp(0, -sign * (rows @ numbers)))
        return surprise + ridge / 2 * float(np.square(numbers - kept).sum())

    numbers = kept.copy()
    for _ in range(STEPS):
        chance = chance_of(rows @ numbers)
        slope = rows.T @ (weight * (truth - chance)) - ridge * (numbers - kept)
        curve = (rows * (weight * chance * (1 - chance))[:, None]).T @ rows + ridge * np.eye(len(kept))
        step, share = np.linalg.solve(curve, slope), 1.0
        # A whole step may overshoot where the scores are far too sure, and then come back for ever.
        while loss(numbers + share * step) > loss(numbers) and share > SHORTEST_STEP:
            share /= 2
        if share <= SHORTEST_STEP:
            break
        numbers = numbers + share * step
    return [float(number) for number in numbers]
