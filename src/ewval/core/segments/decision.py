"""A task as it is put to whoever decides, and what comes back: every segment scored, a verdict for each candidate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.segments.doubts import BLACK_VALUE
from ewval.core.segments.verdicts import DECIMALS, SegmentScore, SegmentTable, Thresholds, Verdict
from ewval.core.segments.views import GraphView, Resolution, VolumeView
from ewval.core.tasks.samples import Sample

__all__ = ["AS_CARDS_SAY", "Candidates", "Decision", "Looks", "Question", "ask", "decide_candidates", "rounded"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: everything that an answer may rest on, and nothing of what is right.

    Args:
        sample: The task's sample, its target removed.
        seed: Ids of the segments that were given, ascending.
        view: The segments of the volume, at full resolution where that is at hand.
    """

    sample: Sample
    seed: tuple[int, ...]
    view: VolumeView

    def __post_init__(self) -> None:
        if self.sample.target is not None:
            raise ValueError(f"task {self.sample.task}: the question holds its answer")

    @property
    def dark(self) -> NDArray[np.float64]:
        """Share of each segment's voxels where the image is black, by position in the view."""
        return self.view.pooling.share(self.sample.image <= BLACK_VALUE)


def ask(sample: Sample, seed: Sequence[int], view: VolumeView) -> Question:
    """Return the question of a sample, whose target is left out."""
    return Question(replace(sample, target=None), tuple(sorted(int(i) for i in seed)), view)


@dataclass(frozen=True, slots=True)
class Looks:
    """How networks look at a question; whoever decides without a network ignores it.

    Args:
        loops: Runs over their own answers; None: as their cards say.
        tta: Average over the eight mirrorings of the cube.
        batch_size: Questions at once, where the device gains by it.
    """

    loops: int | None = None
    tta: bool = False
    batch_size: int = 8


AS_CARDS_SAY = Looks()
"""Looks that leave everything to the models."""


@dataclass(frozen=True, slots=True)
class Decision:
    """All scored segments, the candidates with their verdicts, and what that means voxel by voxel.

    Args:
        table: All scored segments.
        segments: The candidates, most probable first.
        resolution: That segments were seen at.
        thresholds: Between the verdicts.
        probability: float32 64^3, that a voxel belongs to the neuron.
        sigma: float32 64^3, uncertainty that a network states for itself, at least 1; ones where there is none.
        voxels: bool 64^3, the voxels that are said to belong to the neuron.
        is_painted: Whether voxels only repeat what was said of their segments.
        familiarity: Of the volume, in [0, 1]: 1 where its contacts look like those that were learned from, 0 where
            nothing like them was; None from who cannot tell.
    """

    table: SegmentTable
    segments: tuple[SegmentScore, ...]
    resolution: Resolution
    thresholds: Thresholds
    probability: NDArray[np.float32]
    sigma: NDArray[np.float32]
    voxels: NDArray[np.bool_]
    is_painted: bool = False
    familiarity: float | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """What was thought of each segment that touched the growing object, whether it joined or not.

    Args:
        ids: int64[k].
        probability: float64[k], of belonging to the neuron.
        joined: bool[k], whether it is part of the answer.
        spread: float64[k], deviation of the probability between looks; or zero for all.
    """

    ids: NDArray[np.int64]
    probability: NDArray[np.float64]
    joined: NDArray[np.bool_]
    spread: NDArray[np.float64] | float = 0.0


def decide_candidates(found: Candidates, question: Question, graph: GraphView, thresholds: Thresholds) -> Decision:
    """Return the decision of one that grows an object over the segment graph and says itself what joins it.

    Black image is looked for in the packed cube, so that the answer is the same whether raw files are at hand or not.
    """
    seed, ids = list(question.seed), graph.graph.ids
    chance = _by_id(found.ids, found.probability)
    chance[seed] = 1.0
    inside = _by_id(found.ids, found.joined)
    inside[seed] = 1.0
    table = SegmentTable(
        ids=ids,
        voxels=graph.voxels,
        probability=rounded(chance[ids]),
        spread=_by_id(found.ids, found.spread)[ids].round(DECIMALS),
        inside=inside[ids],
        dark=graph.dark(question.sample.image, question.sample.labels)[ids],
    )
    verdicts = _verdicts(table, set(found.ids.tolist()) - set(seed), joined=inside > 0, thresholds=thresholds)
    return painted(table, table.scores(verdicts), graph.resolution, thresholds, question)


def painted(
    table: SegmentTable,
    segments: tuple[SegmentScore, ...],
    resolution: Resolution,
    thresholds: Thresholds,
    question: Question,
) -> Decision:
    """Return a decision over segments whose voxels say what their segments say."""
    labels, pooling = question.sample.labels, question.view.pooling
    dense = table.dense(table.probability)
    probability = pooling.paint(dense[pooling.ids], size=labels.size).reshape(labels.shape)
    named = np.zeros(SEGMENT_ID_COUNT, dtype=bool)
    named[[*(s.id for s in segments if s.verdict == "add"), *question.seed]] = True
    named[0] = False
    ones = np.ones(labels.shape, dtype=np.float32)
    return Decision(table, segments, resolution, thresholds, probability, ones, named[labels], is_painted=True)


def rounded(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities as they are compared and shown, see `ewval.core.segments.verdicts.DECIMALS`."""
    return np.asarray(np.clip(probability, 0.0, 1.0).round(DECIMALS))


def _verdicts(
    table: SegmentTable, candidates: set[int], *, joined: NDArray[np.bool_], thresholds: Thresholds
) -> dict[int, Verdict]:
    is_unsure = table.dense(table.probability) >= thresholds.maybe
    return {i: "add" if joined[i] else "maybe" if is_unsure[i] else "reject" for i in sorted(candidates)}


def _by_id(ids: NDArray[np.int64], column: NDArray[np.generic] | float) -> NDArray[np.float64]:
    values = np.zeros(SEGMENT_ID_COUNT)
    values[ids] = column
    return values
