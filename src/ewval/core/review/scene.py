"""Everything that the page shows of one task, made before the person sees it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import CUBE_EDGE, PACKED_EDGE, SEGMENT_ID_COUNT
from ewval.core.ledger.reviews import Settled
from ewval.core.review.asker import Opinion
from ewval.core.segments.verdicts import Thresholds
from ewval.core.segments.views import GraphView
from ewval.core.show.meshes import Mesh, surface
from ewval.core.volumes.pooling import Pooling

__all__ = ["LISTED", "Places", "Question", "Scene", "TaskFacts", "answer_of", "questions_of"]

LISTED = 300
"""Questions that a page lists: thousands of segments touch an object in dense tissue, and nobody reads as many."""
LEAST = 0.01
"""Candidates below this probability are no questions."""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """A task as it stands in the data folder.

    Args:
        task: Its id.
        volume: The volume it lies in.
        cell: Its cell; None where unknown.
        seed: Segments that are given, ascending.
        consensus: What the players agreed on, seed included, ascending; None without an aggregate.
    """

    task: int
    volume: int
    cell: int | None
    seed: tuple[int, ...]
    consensus: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A segment that is not settled.

    Args:
        id: Of the segment.
        probability: That it belongs to the neuron, as the model says.
        worth: Full-resolution voxels that the present answer is expected to be wrong by for it.
    """

    id: int
    probability: float
    worth: float


class Places:
    """Where each segment of a volume lies, in packed voxels.

    Args:
        pooling: Of the volume.
    """

    def __init__(self, pooling: Pooling) -> None:
        order = np.argsort(pooling.index, kind="stable")
        self._block, self._count = pooling.block[order].astype(np.int32), pooling.count[order].astype(np.float32)
        self._starts = np.searchsorted(pooling.index[order], np.arange(len(pooling.ids) + 1))
        self._row = np.full(SEGMENT_ID_COUNT, -1, dtype=np.int32)
        self._row[pooling.ids] = np.arange(len(pooling.ids))
        self._whole = max(float(pooling.count.max(initial=1.0)), 1.0)
        self.voxels = np.zeros(SEGMENT_ID_COUNT, dtype=np.int64)
        self.voxels[pooling.ids] = pooling.voxels

    def has(self, segment: int) -> bool:
        """Whether the volume has such a segment."""
        return 0 < segment < SEGMENT_ID_COUNT and bool(self._row[segment] >= 0)

    def blocks(self, segments: Iterable[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the packed voxels of segments (int64[n, 3], z y x) and which share of each they fill."""
        rows = [int(self._row[segment]) for segment in segments if self.has(segment)]
        parts = [slice(self._starts[row], self._starts[row + 1]) for row in rows]
        block = np.concatenate([np.zeros(0, np.int32), *(self._block[part] for part in parts)])
        count = np.concatenate([np.zeros(0, np.float32), *(self._count[part] for part in parts)])
        return np.stack(np.unravel_index(block, (PACKED_EDGE,) * 3), axis=1), np.asarray(
            count / self._whole, dtype=np.float32
        )

    def mesh(self, segments: Iterable[int]) -> Mesh:
        """Return the surface of segments as one body."""
        where, share = self.blocks(segments)
        if not len(where):
            return surface(np.zeros((1, 1, 1), np.float32))
        low, high = where.min(axis=0), where.max(axis=0) + 1
        body = np.zeros(high - low, dtype=np.float32)
        np.add.at(body, tuple((where - low).T), share)
        return surface(body, corner=low.tolist(), edge=PACKED_EDGE)

    def middle(self, segments: Iterable[int]) -> list[int]:
        """Return the full-resolution voxel (z y x) in the middle of segments; of the cube where there are none."""
        where, _ = self.blocks(segments)
        return _middle(where)

    def meeting(self, segment: int, around: NDArray[np.bool_]) -> list[int]:
        """Return a full-resolution voxel (z y x) of a segment, where it meets `around` if it does.

        Args:
            segment: Its id.
            around: bool, packed, of an object and what lies next to it.
        """
        where, _ = self.blocks([segment])
        meets = around[tuple(where.T)]
        return _middle(where[meets] if meets.any() else where)

    def near(self, segments: Iterable[int]) -> NDArray[np.bool_]:
        """Return which packed voxels hold segments or lie next to one that does, bool z y x."""
        where, _ = self.blocks(segments)
        mask = np.zeros((PACKED_EDGE + 2,) * 3, dtype=bool)
        for shift in ((0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)):
            mask[tuple((where + 1 + np.array(shift)).T)] = True
        return mask[1:-1, 1:-1, 1:-1]


@dataclass(frozen=True, slots=True)
class Scene:
    """A task ready to be shown.

    Args:
        facts: Of the task.
        view: The segment graph of its volume.
        places: Where the segments of its volume lie.
    """

    facts: TaskFacts
    view: GraphView
    places: Places

    def document(
        self,
        opinion: Opinion,
        settled: Settled,
        *,
        thresholds: Thresholds,
        segments: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        """Return what the page is told of the task as it stands.

        Args:
            opinion: Of the model, given what is settled.
            settled: By the person.
            thresholds: Between the verdicts.
            segments: The answer of a task that is final or skipped; None for what follows from the two.
        """
        facts = self.facts
        answer = set(answer_of(facts, opinion, settled) if segments is None else segments)
        questions = questions_of(facts, opinion, settled, answer=answer, voxels=self.places.voxels)
        around = self.places.near(answer)
        chance = dict(zip(opinion.ids.tolist(), opinion.probability.tolist(), strict=True))
        shown = {*(q.id for q in questions[:LISTED]), *answer, *settled.yes, *settled.no, *(facts.consensus or ())}
        shown = {segment for segment in shown - set(facts.seed) if self.places.has(segment)}
        return {
            "task": facts.task,
            "volume": facts.volume,
            "cell": facts.cell,
            "resolution": self.view.resolution,
            "edge": CUBE_EDGE if self.view.resolution == "full" else PACKED_EDGE,
            "seed": list(facts.seed),
            "consensus": None if facts.consensus is None else list(facts.consensus),
            "answer": sorted(answer),
            "yes": sorted(settled.yes),
            "no": sorted(settled.no),
            "thresholds": [thresholds.add, thresholds.maybe],
            "segments": [self._segment(segment, chance.get(segment), around) for segment in sorted(shown)],
            "questions": [question.id for question in questions[:LISTED]],
            "more": max(0, len(questions) - LISTED),
            "start": self.places.middle(facts.seed),
        }

    def _segment(self, segment: int, probability: float | None, around: NDArray[np.bool_]) -> dict[str, Any]:
        place = self.places.meeting(segment, around)
        size = int(self.places.voxels[segment])
        return {"id": segment, "voxels": size, "probability": probability, "place": place}


def answer_of(facts: TaskFacts, opinion: Opinion, settled: Settled) -> list[int]:
    """Return the answer, seed included, ascending: what the person settled, and what the model adds to that."""
    return sorted({*facts.seed, *settled.yes, *(opinion.add - settled.no)})


def questions_of(
    facts: TaskFacts,
    opinion: Opinion,
    settled: Settled,
    *,
    answer: Collection[int],
    voxels: NDArray[np.int64],
) -> list[Question]:
    """Return what is open, most useful first: by the voxels that the present answer is expected to be wrong by.

    Where the players answered, what they and the present answer differ in is open, however sure the model is.
    """
    closed = {*facts.seed, *settled.yes, *settled.no}
    disputed = set() if facts.consensus is None else set(facts.consensus) ^ set(answer)
    chance = dict(zip(opinion.ids.tolist(), opinion.probability.tolist(), strict=True))
    ids = ({segment for segment, p in chance.items() if p >= LEAST} | disputed | set(answer)) - closed
    found = [Question(i, p, _wrong(p, i in answer) * float(voxels[i])) for i, p in _with_chance(ids, chance).items()]
    return sorted(found, key=lambda q: (-q.worth, q.id))


def _with_chance(ids: Iterable[int], chance: Mapping[int, float]) -> dict[int, float]:
    return {segment: chance.get(segment, 0.0) for segment in ids if 0 < segment < SEGMENT_ID_COUNT}


def _wrong(probability: float, is_in: bool) -> float:
    return max(1.0 - probability if is_in else probability, LEAST)


def _middle(where: NDArray[np.int64]) -> list[int]:
    """Return the voxel of `where` (packed, z y x) that is nearest to their mean, at full resolution."""
    scale = CUBE_EDGE // PACKED_EDGE
    if not len(where):
        return [CUBE_EDGE // 2] * 3
    nearest = int(((where - where.mean(axis=0)) ** 2).sum(axis=1).argmin())
    return [int(at) * scale + scale // 2 for at in where[nearest]]
