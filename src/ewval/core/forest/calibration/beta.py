"""Log-odds made to mean what they say: beta calibration (Kull, Silva Filho and Flach 2017, AISTATS)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.calibration.logistic import RIDGE, chance_of, fit_logistic

__all__ = ["BetaCalibration"]


@dataclass(frozen=True, slots=True)
class BetaCalibration:
    """A rising map of log-odds: `low * ln p - high * ln(1 - p) + shift`, where p is what they say uncalibrated.

    A temperature is the case `low == high`, `shift == 0`. Scores that are too sure where they say yes and too unsure
    where they say no, as those of trees taught with few of the plain negatives are, need both slopes.

    Args:
        low: Slope far below even odds, at least 0.
        high: Slope far above even odds, at least 0.
        shift: Added to both.
    """

    low: float = 1.0
    high: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        if not (self.low >= 0 and self.high >= 0 and np.isfinite([self.low, self.high, self.shift]).all()):
            raise ValueError(f"a calibration must rise: {self}")

    def probability(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the calibrated probabilities of log-odds, any shape."""
        yes, no = _logarithms(log_odds)
        return chance_of(self.low * yes - self.high * no + self.shift)

    @classmethod
    def fit(
        cls,
        log_odds: NDArray[np.float64],
        truth: NDArray[np.bool_],
        *,
        weight: NDArray[np.float64],
        toward: "BetaCalibration | None" = None,
        ridge: float = RIDGE,
    ) -> "BetaCalibration":
        """Return the calibration of least cross-entropy.

        Args:
            log_odds: float64[n].
            truth: bool[n], what came true.
            weight: float64[n], how much each counts; about 1 in all.
            toward: Kept to where the rows say nothing; None for log-odds as they are.
            ridge: Pull towards that.
        """
        first = cls() if toward is None else toward
        yes, no = _logarithms(log_odds)
        one = np.ones(len(log_odds))

        def fitted(columns: list[NDArray[np.float64]], *kept: float) -> list[float]:
            return fit_logistic(columns, truth, weight=weight, toward=kept, ridge=ridge)

        low, high, shift = fitted([yes, -no, one], first.low, first.high, first.shift)
        # A slope that would fall is left out, as its authors do, and the rest is fitted anew.
        if low < 0:
            low, (high, shift) = 0.0, fitted([-no, one], first.high, first.shift)
        elif high < 0:
            high, (low, shift) = 0.0, fitted([yes, one], first.low, first.shift)
        if min(low, high) < 0:
            low, high, (shift,) = 0.0, 0.0, fitted([one], 0)
        return cls(low, high, shift)


def _logarithms(log_odds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ln p and ln(1 - p)."""
    return -np.logaddexp(0, -log_odds), -np.logaddexp(0, log_odds)
