"""Logistic regression on a handful of columns."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit_logistic"]

STEPS = 30
RIDGE = 1e-3
"""Pull of each number towards where it starts; it matters only where there is next to nothing to learn from."""
LONGEST_STEP = 5.0


def fit_logistic(
    columns: Sequence[NDArray[np.float64]],
    truth: NDArray[np.bool_],
    *,
    weight: NDArray[np.float64],
    toward: Sequence[float],
) -> list[float]:
    """Return the numbers by which the weighted sum of `columns` is the log-odds of `truth`, by Newton's method.

    Args:
        columns: float64[n] each.
        truth: bool[n].
        weight: float64[n], how much each row counts, in units in which `RIDGE` is little.
        toward: One number a column, kept where the rows say nothing.
    """
    rows, kept = np.stack(list(columns), axis=1), np.array(toward, dtype=np.float64)
    numbers = kept.copy()
    for _ in range(STEPS):
        chance = 0.5 * (1 + np.tanh(0.5 * rows @ numbers))
        slope = rows.T @ (weight * (truth - chance)) - RIDGE * (numbers - kept)
        curve = (rows * (weight * chance * (1 - chance))[:, None]).T @ rows + RIDGE * np.eye(len(kept))
        step = np.linalg.solve(curve, slope)
        numbers = numbers + step / max(1.0, float(np.abs(step).max()) / LONGEST_STEP)
    return [float(number) for number in numbers]
