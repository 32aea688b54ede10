"""Whether probabilities mean what they say, and whether doubt points at the errors.

`nll`, `brier`, `ece` and `risk_coverage` are exact and take whole arrays. `Calibration` gathers the same from a stream
in fixed memory: its NLL, Brier score and ECE are exact too, its risk-coverage curve is that of probabilities rounded to
1/3000.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.evaluation.metrics import Floats, Mask, cross_entropy

Probabilities = NDArray[np.floating[Any]]
Counts = NDArray[np.int64]

ECE_BINS = 15
"""Equal-width bins of the expected calibration error (Guo et al. 2017, arXiv 1706.04599)."""
FINE_BINS = 3_000
"""Bins of the streaming risk-coverage curve; a multiple of `ECE_BINS`, and even, so that 0.5 is an edge."""


def nll(probability: Probabilities, truth: Mask) -> float:
    """Return the mean negative log likelihood in nats."""
    return float(cross_entropy(probability, truth).mean())


def brier(probability: Probabilities, truth: Mask) -> float:
    """Return the mean squared distance of the probability from 0 or 1."""
    return float(np.square(probability.astype(np.float64) - truth).mean())


def ece(probability: Probabilities, truth: Mask, *, bins: int = ECE_BINS) -> float:
    """Return the expected calibration error: |mean probability - share true| over equal-width bins, weighted by size.

    A value on an edge belongs to the lower bin. Source: Guo et al. 2017, arXiv 1706.04599, in its binary form.
    """
    index = bin_index(probability, bins=bins)
    count = np.bincount(index, minlength=bins)
    said = np.bincount(index, weights=probability, minlength=bins)
    true = np.bincount(index, weights=truth, minlength=bins)
    return float(np.abs(said - true).sum() / count.sum())


def bin_index(values: Probabilities, *, bins: int) -> NDArray[np.int64]:
    """Return the bin of each value in [0, 1]; bins are equal and closed above, 0 belongs to the first."""
    return np.clip(np.ceil(values.astype(np.float64) * bins).astype(np.int64) - 1, 0, bins - 1)


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """What remains undetected when only the most confident share of the answers is accepted.

    Args:
        coverage: float64 [n + 1], share accepted, from 0 to 1; answers of one confidence enter together.
        risk: float64 [n + 1], mean loss over all answers where only the accepted ones can lose (generalized risk).
    """

    coverage: Floats
    risk: Floats

    @property
    def area(self) -> float:
        """AUGRC: the mean risk of undetected failures over all coverages; 0 is perfect, half the mean loss is chance.

        Source: Traub et al. 2024, arXiv 2407.01032.
        """
        return float(np.trapezoid(self.risk, self.coverage))


def risk_coverage(confidence: Probabilities, loss: NDArray[Any]) -> RiskCoverage:
    """Return the curve of answers sorted by confidence, highest first.

    Args:
        confidence: float [n], any scale.
        loss: [n], what each answer loses; 0 or 1 for right or wrong.
    """
    _, level = np.unique(-confidence, return_inverse=True)
    return _curve(np.bincount(level).astype(np.float64), np.bincount(level, weights=loss).astype(np.float64))


def _curve(count: Floats, loss: Floats) -> RiskCoverage:
    total = max(count.sum(), 1.0)
    return RiskCoverage(
        np.concatenate([[0.0], np.cumsum(count)]) / total, np.concatenate([[0.0], np.cumsum(loss)]) / total
    )


@dataclass(slots=True)
class Calibration:
    """Calibration of a stream of binary probabilities, in fixed memory; add as many as you like, merge, then read.

    Args:
        count: int64 [3000], answers in each fine bin of probability.
        true: int64 [3000], those of them that were true.
        said: float64 [15], sum of the probabilities in each bin of the ECE.
        nll_sum: Sum of negative log likelihoods, nats.
        brier_sum: Sum of squared errors.
    """

    count: Counts = field(default_factory=lambda: np.zeros(FINE_BINS, np.int64))
    true: Counts = field(default_factory=lambda: np.zeros(FINE_BINS, np.int64))
    said: Floats = field(default_factory=lambda: np.zeros(ECE_BINS))
    nll_sum: float = 0.0
    brier_sum: float = 0.0

    def add(self, probability: Probabilities, truth: Mask) -> None:
        """Take in answers: probability of being true, and whether it was; both of one shape."""
        probability, truth = probability.ravel(), truth.ravel()
        fine = bin_index(probability, bins=FINE_BINS)
        self.count += np.bincount(fine, minlength=FINE_BINS)
        self.true += np.bincount(fine[truth], minlength=FINE_BINS)
        coarse = fine // (FINE_BINS // ECE_BINS)
        self.said += np.bincount(coarse, weights=probability, minlength=ECE_BINS)
        self.nll_sum += float(cross_entropy(probability, truth).sum())
        self.brier_sum += float(np.square(probability.astype(np.float64) - truth).sum())

    def merge(self, other: "Calibration") -> None:
        """Take in what `other` gathered."""
        self.count += other.count
        self.true += other.true
        self.said += other.said
        self.nll_sum += other.nll_sum
        self.brier_sum += other.brier_sum

    @property
    def total(self) -> int:
        """How many answers were taken in."""
        return int(self.count.sum())

    @property
    def nll(self) -> float:
        """Mean negative log likelihood in nats; 0 where nothing was taken in."""
        return self.nll_sum / max(self.total, 1)

    @property
    def brier(self) -> float:
        """Mean squared error; 0 where nothing was taken in."""
        return self.brier_sum / max(self.total, 1)

    @property
    def ece(self) -> float:
        """Expected calibration error over 15 bins; 0 where nothing was taken in."""
        return float(np.abs(self.said - self.true.reshape(ECE_BINS, -1).sum(axis=1)).sum() / max(self.total, 1))

    def risk_coverage(self) -> RiskCoverage:
        """Return the curve of errors at probability 1/2, the most confident answers first."""
        half = FINE_BINS // 2
        errors = np.concatenate([self.true[:half], (self.count - self.true)[half:]])
        # Probabilities p and 1 - p are equally confident: the outermost pair of bins comes first.
        folded_count = (self.count + self.count[::-1])[:half]
        folded_errors = (errors + errors[::-1])[:half]
        used = folded_count > 0
        return _curve(folded_count[used].astype(np.float64), folded_errors[used].astype(np.float64))

    def reliability(self) -> tuple[Floats, Floats, Counts]:
        """Return mean probability, share true and count of each of the 15 bins; nan where a bin is empty."""
        count = self.count.reshape(ECE_BINS, -1).sum(axis=1)
        true = self.true.reshape(ECE_BINS, -1).sum(axis=1)
        divisor = np.where(count, count, np.nan)
        return self.said / divisor, true / divisor, count

    def summary(self) -> dict[str, float]:
        """Return `nll`, `brier`, `ece` and `augrc`."""
        return {"nll": self.nll, "brier": self.brier, "ece": self.ece, "augrc": self.risk_coverage().area}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything gathered, for saving."""
        sums = np.array([self.nll_sum, self.brier_sum])
        return {"count": self.count, "true": self.true, "said": self.said, "sums": sums}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Calibration":
        """Return what `arrays` saved."""
        nll_sum, brier_sum = arrays["sums"].tolist()
        return cls(arrays["count"].copy(), arrays["true"].copy(), arrays["said"].copy(), nll_sum, brier_sum)
