"""What to do with each segment, and how that compares with what the players chose."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.segments.overlap import Overlap
from ewval.core.volumes.pooling import pool_segments

__all__ = [
    "SegmentScore",
    "SegmentTable",
    "Thresholds",
    "Verdict",
    "agreement",
    "decide",
    "expected_wrong_voxels",
    "pool_segments",
    "reachable",
    "review_priority",
    "segment_f1",
    "touching_pairs",
]

Verdict = Literal["add", "maybe", "reject"]

DECIMALS = 4
"""Probabilities are rounded before they are compared with a threshold, so that the last bits of a float, which
differ between devices, decide nothing."""
REVIEW_HALF_VOXELS = 100_000
"""Expected wrong full-resolution voxels at which review priority is 0.5: 0.6 % of a volume."""


@dataclass(frozen=True, slots=True)
class SegmentScore:
    """One candidate: `probability` and `uncertainty` in [0, 1], `voxels` at full resolution."""

    id: int
    voxels: int
    probability: float
    uncertainty: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which probability on a segment is added, and from which a person should look at it."""

    add: float
    maybe: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.maybe <= self.add <= 1.0:
            raise ValueError(f"thresholds must be 0 <= maybe <= add <= 1, not maybe {self.maybe}, add {self.add}")


@dataclass(frozen=True, slots=True)
class SegmentTable:
    """All scored segments of one task's volume, in columns, by ascending id.

    Args:
        ids: int64[n].
        voxels: int64[n], full resolution.
        probability: float64[n] in [0, 1], rounded; that of belonging to the neuron.
        spread: float64[n], standard deviation between flips or models; zeros for a single look.
        inside: float64[n] in [0, 1], share of the segment's voxels that the model takes for the neuron's.
        dark: float64[n] in [0, 1], share of the segment's voxels where the image is black.
    """

    ids: NDArray[np.int64]
    voxels: NDArray[np.int64]
    probability: NDArray[np.float64]
    spread: NDArray[np.float64]
    inside: NDArray[np.float64]
    dark: NDArray[np.float64]

    def __post_init__(self) -> None:
        columns = (self.voxels, self.probability, self.spread, self.inside, self.dark)
        if any(len(column) != len(self.ids) for column in columns):
            raise ValueError("columns of different lengths")

    def dense(self, column: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return a column indexed by segment id, 0 where an id is not scored."""
        values = np.zeros(SEGMENT_ID_COUNT, dtype=np.float64)
        values[self.ids] = column
        return values

    def scores(self, verdicts: Mapping[int, Verdict]) -> tuple[SegmentScore, ...]:
        """Return the scores of segments with the verdicts given, most probable first, ties by id.

        Segments that could not be scored are left out.
        """
        rows = np.flatnonzero(np.isin(self.ids, list(verdicts)))
        rows = rows[np.lexsort((self.ids[rows], -self.probability[rows]))]
        ids, voxels = self.ids[rows].tolist(), self.voxels[rows].tolist()
        chances = zip(self.probability[rows].tolist(), self.uncertainty[rows].tolist(), strict=True)
        return tuple(
            SegmentScore(segment, size, probability, uncertainty, verdicts[segment])
            for segment, size, (probability, uncertainty) in zip(ids, voxels, chances, strict=True)
        )

    @property
    def uncertainty(self) -> NDArray[np.float64]:
        """Twice the chance that the likelier side is wrong, widened by the spread between looks, at most 1."""
        wrong = np.minimum(self.probability, 1.0 - self.probability)
        return np.asarray(np.minimum(1.0, 2.0 * wrong + 2.0 * self.spread).round(DECIMALS))


def decide(
    table: SegmentTable, pairs: NDArray[np.int64], *, seed: Iterable[int], thresholds: Thresholds
) -> tuple[SegmentScore, ...]:
    """Return a verdict for every candidate, most probable first.

    Candidates are the segments that touch the seed or what is joined to it by segments of at least the maybe
    threshold. `add`: at least the add threshold, and joined to the seed by such segments alone. `maybe`: at least the
    maybe threshold. The rest is rejected.

    Args:
        table: All scored segments.
        pairs: int64[m, 2], ids of touching segments, each pair once.
        seed: Ids that are known to belong to the neuron; never candidates.
        thresholds: Those of the model's card.
    """
    seeds = _mask(seed)
    probability = table.dense(table.probability)
    scored = _mask(table.ids)
    added = reachable(pairs, seed=seeds, accepted=scored & (probability >= thresholds.add))
    joined = reachable(pairs, seed=seeds, accepted=scored & (probability >= thresholds.maybe))
    candidates = (joined | _neighbours(pairs, joined)) & scored & ~seeds
    verdicts: dict[int, Verdict] = {
        int(i): "add" if added[i] else "maybe" if joined[i] else "reject" for i in np.flatnonzero(candidates)
    }
    return table.scores(verdicts)


def reachable(pairs: NDArray[np.int64], *, seed: NDArray[np.bool_], accepted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return, by segment id, what is joined to the seed through accepted segments; the seed is part of it.

    Args:
        pairs: int64[m, 2], ids of touching segments.
        seed: bool by id.
        accepted: bool by id.
    """
    allowed = accepted | seed
    inner = pairs[allowed[pairs].all(axis=1)]
    reached = seed.copy()
    while True:
        touched = reached[inner]
        edge = inner[touched[:, 0] != touched[:, 1]]
        if not len(edge):
            return reached
        reached[edge] = True


def touching_pairs(labels: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return int64[m, 2]: the ids of segments that share a face between two voxels, smaller id first, ascending.

    Args:
        labels: uint16, z y x; 0 is boundary and touches nothing.
    """
    keys = []
    for axis in range(labels.ndim):
        moved = np.moveaxis(labels, axis, 0)
        here, there = moved[:-1].ravel(), moved[1:].ravel()
        differs = (here != there) & (here > 0) & (there > 0)
        low = np.minimum(here[differs], there[differs]).astype(np.int64)
        keys.append(low * SEGMENT_ID_COUNT + np.maximum(here[differs], there[differs]))
    return unpack_pairs(np.unique(np.concatenate(keys)))


def unpack_pairs(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return int64[m, 2] from pairs written as low * 65536 + high."""
    return np.stack([keys // SEGMENT_ID_COUNT, keys % SEGMENT_ID_COUNT], axis=1)


def segment_f1(chosen: Iterable[int], true: Iterable[int], seed: Iterable[int], sizes: NDArray[np.int64]) -> float:
    """Return the F1 of chosen segments by voxels, the seed left out.

    Args:
        chosen: Segments that were answered.
        true: Segments that are right.
        seed: Segments that were given, left out of both.
        sizes: int64[65536], full-resolution voxels by segment id.
    """
    given = set(seed)
    chosen, true = set(chosen) - given, set(true) - given
    return Overlap(*(int(sizes[sorted(part)].sum()) for part in (chosen, true, chosen & true))).f1


def agreement(consensus: Iterable[int], add: Iterable[int], *, seed: Iterable[int], sizes: NDArray[np.int64]) -> float:
    """Return the volume-weighted F1 of the players' consensus and the model's answer, the seed left out."""
    return segment_f1(add, consensus, seed, sizes)


def expected_wrong_voxels(answer: Iterable[int], scores: Iterable[SegmentScore]) -> float:
    """Return how many voxels of `answer` the model expects to be wrong, added or missing, over the scores given."""
    chosen = set(answer)
    return sum(s.voxels * (1.0 - s.probability if s.id in chosen else s.probability) for s in scores)


def review_priority(answer: Iterable[int], scores: Iterable[SegmentScore]) -> float:
    """Return in [0, 1) how much a person's look at `answer` is worth: rising with the wrong voxels to be expected.

    `answer` is the trace under review: the players' consensus where there is one, else the model's own answer.
    """
    wrong = expected_wrong_voxels(answer, scores)
    return round(wrong / (wrong + REVIEW_HALF_VOXELS), 6)


def _neighbours(pairs: NDArray[np.int64], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    touched = inside[pairs].any(axis=1)
    return _mask(pairs[touched].ravel())


def _mask(ids: Iterable[int]) -> NDArray[np.bool_]:
    mask = np.zeros(SEGMENT_ID_COUNT, dtype=bool)
    mask[np.fromiter(ids, dtype=np.int64)] = True
    return mask
