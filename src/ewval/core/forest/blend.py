"""A model that is there already and one learned from new cells, weighed by what each says of cells it had not seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.boosting import Forest, sum_forests
from ewval.core.forest.calibration.logistic import fit_logistic

__all__ = ["Blend"]

RIDGE = 0.05
"""Pull towards the start alone, in units of one cell's evidence."""


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights of the log-odds of both, and what is added.

    Args:
        start: Of the model that was there, at least 0.
        own: Of the one learned from new cells, at least 0.
        shift: Added.
    """

    start: float = 1.0
    own: float = 0.0
    shift: float = 0.0

    @classmethod
    def fit(
        cls,
        start: NDArray[np.float64],
        own: NDArray[np.float64],
        truth: NDArray[np.bool_],
        *,
        weight: NDArray[np.float64],
        cells: int,
    ) -> "Blend":
        """Return the likeliest blend, none of whose weights is negative.

        Args:
            start: float64[n], log-odds by the model that was there.
            own: float64[n], log-odds by forests that had not seen the row's cells.
            truth: bool[n].
            weight: float64[n]; only ratios matter.
            cells: That the rows come from: with few of them the start is kept to.
        """
        weight, one = weight / weight.sum() * cells, np.ones(len(truth))
        of_start, of_own, shift = _fit([start, own, one], truth, weight, toward=(1, 0, 0))
        if of_start < 0:
            of_start, (of_own, shift) = 0.0, _fit([own, one], truth, weight, toward=(1, 0))
        elif of_own < 0:
            of_own, (of_start, shift) = 0.0, _fit([start, one], truth, weight, toward=(1, 0))
        return cls(max(of_start, 0.0), max(of_own, 0.0), shift)

    def log_odds(self, start: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the blend of log-odds."""
        return self.start * start + self.own * own + self.shift

    def forest(self, start: Forest, own: Forest) -> Forest:
        """Return the forest that answers with the blend of two."""
        return sum_forests(start, own, weights=(self.start, self.own), shift=self.shift)


def _fit(
    columns: list[NDArray[np.float64]],
    truth: NDArray[np.bool_],
    weight: NDArray[np.float64],
    *,
    toward: tuple[float, ...],
) -> list[float]:
    return fit_logistic(columns, truth, weight=weight, toward=toward, ridge=RIDGE)
