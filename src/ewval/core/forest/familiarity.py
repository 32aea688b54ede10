"""How far the contacts of a cube lie from those that a model learned from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Familiarity", "sketch_of", "some_of"]

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles by which the contacts of a cube are described, number by number."""
INNER = (0.16, 0.84)
"""Quantiles that lie two spreads apart."""
LEAST_SPREAD = 1e-3
FARTHEST = 3.0
"""Spreads beyond which a number's quantile is no further away: a few odd numbers must not decide alone."""
HALF = 0.25
"""Distance, in spreads, at which half of the familiarity is lost. In the developer sample cubes of one tissue lie .08
to .35 apart, those of different tissues .33 to .88."""
MOST_CUBES = 64
"""Cubes that are remembered, 3 kB each."""

Cube = TypeVar("Cube")


def some_of(cubes: Sequence[Cube]) -> Sequence[Cube]:
    """Return those of many cubes, evenly spread, that stand for all."""
    return cubes[:: max(1, -(-len(cubes) // MOST_CUBES))]


@dataclass(frozen=True, slots=True)
class Familiarity:
    """What the contacts of the cubes that were learned from look like.

    Args:
        sketches: float32[cubes, levels, e], quantiles of each number of their contacts.
        spread: float32[e], of each number within a cube, positive.
    """

    sketches: NDArray[np.float32]
    spread: NDArray[np.float32]

    def of(self, evidence: NDArray[np.float32]) -> float:
        """Return the familiarity of a cube in [0, 1]: 1 for one of those learned from, 0 for nothing like them.

        Args:
            evidence: float32[m, e], of `SegmentGraph`. Without contacts nothing is strange.
        """
        return self.of_sketch(sketch_of(evidence)) if len(evidence) else 1.0

    def of_sketch(self, sketch: NDArray[np.float64]) -> float:
        """Return the familiarity of a cube that was sketched."""
        return float(2.0 ** -((self.distance(sketch) / HALF) ** 2))

    def distance(self, sketch: NDArray[np.float64]) -> float:
        """Return the mean difference of quantiles to the nearest cube that was learned from, in spreads."""
        away = np.abs(sketch - self.sketches) / self.spread
        return float(np.minimum(away, FARTHEST).mean(axis=(1, 2)).min())

    @classmethod
    def learn(cls, cubes: Iterable[NDArray[np.float32]]) -> "Familiarity | None":
        """Return what cubes look like, by the evidence of their contacts; None where none has any."""
        some = [evidence for evidence in cubes if len(evidence)]
        if not some:
            return None
        inner = np.stack([np.subtract(*_quantiles(evidence, INNER)[::-1]) for evidence in some])
        spread = np.maximum(np.median(inner, axis=0) / 2, LEAST_SPREAD)
        sketches = np.stack([sketch_of(evidence) for evidence in some])
        return cls(sketches.astype(np.float32), spread.astype(np.float32))

    def beside(self, other: "Familiarity") -> "Familiarity":
        """Return what knows the cubes of both, in the spreads of this one."""
        return Familiarity(np.concatenate([self.sketches, other.sketches]), self.spread)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what it knows, for a file."""
        return {"sketches": self.sketches, "spread": self.spread}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Familiarity":
        """Return what `arrays` came from.

        Raises:
            KeyError: An array is missing.
            ValueError: They do not fit together.
        """
        sketches, spread = arrays["sketches"].astype(np.float32), arrays["spread"].astype(np.float32)
        if sketches.ndim != 3 or sketches.shape[1:] != (len(LEVELS), len(spread)) or not (spread > 0).all():
            raise ValueError("sketches of cubes and the spread of their numbers do not fit together")
        return cls(sketches, spread)


def sketch_of(evidence: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return float64[levels, e], the quantiles by which a cube with contacts is told: sorting takes time, so once."""
    return _quantiles(evidence, LEVELS)


def _quantiles(evidence: NDArray[np.float32], levels: tuple[float, ...]) -> NDArray[np.float64]:
    """Return float64[levels, e]: of every number the value at the level's place in ascending order."""
    places = [round(level * (len(evidence) - 1)) for level in levels]
    # Whole columns are sorted in less time than five of their places are found.
    return np.sort(np.ascontiguousarray(evidence.T), axis=1)[:, places].T.astype(np.float64)
