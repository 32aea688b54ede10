"""From samples to segments: what evaluation and `ewval predict` both use, so that they can never disagree."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import DamagedError
from ewval.core.models.decider import Decider
from ewval.core.segments.decision import AS_CARDS_SAY, Decision, Looks, Question, ask
from ewval.core.segments.verdicts import SegmentScore, SegmentTable, Thresholds, review_priority
from ewval.core.segments.views import Resolution, ViewSource
from ewval.core.tasks.samples import Sample

__all__ = ["SeedLookup", "TaskPrediction", "check_numbers", "predict_questions", "predict_samples"]

SeedLookup = Callable[[int], Iterable[int]]
"""From a task to its seed segments."""


@dataclass(frozen=True, slots=True)
class TaskPrediction:
    """The answer to one task.

    Args:
        task: Its id.
        volume: The volume it lies in.
        cell: Its cell; None where unknown.
        model: Name of the model; the names joined by + for an ensemble.
        loops: Runs of the network over its own answer; None where there is no network.
        seed: Segments that were given, ascending.
        decision: What was decided.
    """

    task: int
    volume: int
    cell: int | None
    model: str
    loops: int | None
    seed: tuple[int, ...]
    decision: Decision

    @property
    def probability(self) -> NDArray[np.float32]:
        """That a voxel belongs to the neuron, float32 64^3."""
        return self.decision.probability

    @property
    def sigma(self) -> NDArray[np.float32]:
        """The network's own uncertainty of each voxel, float32 64^3, at least 1."""
        return self.decision.sigma

    @property
    def table(self) -> SegmentTable:
        """All scored segments of the volume."""
        return self.decision.table

    @property
    def segments(self) -> tuple[SegmentScore, ...]:
        """The candidates, most probable first."""
        return self.decision.segments

    @property
    def resolution(self) -> Resolution:
        """Whether segments were scored at full resolution or in the packed cube."""
        return self.decision.resolution

    @property
    def thresholds(self) -> Thresholds:
        """Between the verdicts."""
        return self.decision.thresholds

    @property
    def familiarity(self) -> float | None:
        """How much the volume looks like what the model learned from, in [0, 1]; None where it cannot tell."""
        return self.decision.familiarity

    @property
    def add(self) -> tuple[int, ...]:
        """The answer: ids that the model would colour, ascending."""
        return tuple(sorted(s.id for s in self.segments if s.verdict == "add"))

    @property
    def maybe(self) -> tuple[int, ...]:
        """Ids that a person should look at, ascending."""
        return tuple(sorted(s.id for s in self.segments if s.verdict == "maybe"))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Full-resolution voxels by segment id, int64[65536]."""
        return self.table.dense(self.table.voxels).astype(np.int64)

    @property
    def review_priority(self) -> float:
        """How much a person's look at the model's own answer is worth, in [0, 1)."""
        return review_priority(self.add, self.segments)


def predict_samples(
    decider: Decider,
    samples: Iterable[Sample],
    *,
    sources: ViewSource,
    seeds: SeedLookup | None = None,
    looks: Looks = AS_CARDS_SAY,
) -> Iterator[TaskPrediction]:
    """Yield the answer to each sample, in order; the same whatever the batch size and whatever else is asked.

    Args:
        decider: Who decides.
        samples: From `ewval.core.tasks.samples.SampleBuilder`; those of one volume in a row are the fastest.
        sources: Where the full-resolution segmentations are.
        seeds: From a task to its seed segments; without it, those that the seed mask shows at 64^3.
        looks: How networks look.

    Raises:
        DamagedError: A segmentation in `raw/` does not hold what it should, or the model computes no numbers.
    """
    stream = iter(samples)
    while group := list(islice(stream, looks.batch_size)):
        questions = [
            ask(
                sample,
                tuple(_seed_shown(sample) if seeds is None else seeds(sample.task)),
                sources.view(sample.volume, sample.labels),
            )
            for sample in group
        ]
        yield from map(check_numbers, predict_questions(decider, questions, sources=sources, looks=looks))


def predict_questions(
    decider: Decider, questions: Sequence[Question], *, sources: ViewSource, looks: Looks
) -> list[TaskPrediction]:
    """Return the answer to each question, in order; `check_numbers` of each is up to the caller."""
    decisions = decider.decide(questions, sources=sources, looks=looks)
    loops = None if decider.loops is None else looks.loops or decider.loops
    return [
        TaskPrediction(
            task=question.sample.task,
            volume=question.sample.volume,
            cell=question.sample.cell if question.sample.cell >= 0 else None,
            model=decider.name,
            loops=loops,
            seed=question.seed,
            decision=decision,
        )
        for question, decision in zip(questions, decisions, strict=True)
    ]


def check_numbers(prediction: TaskPrediction) -> TaskPrediction:
    """Return `prediction` if it is made of numbers.

    Raises:
        DamagedError: The model computed NaN or infinity, which no comparison with a threshold would show.
    """
    decision = prediction.decision
    said = (decision.probability, decision.sigma, decision.table.probability, decision.table.spread)
    if not all(np.isfinite(array).all() for array in said):
        raise DamagedError(f"model {prediction.model}", f"what it says of task {prediction.task} is not a number (NaN)")
    return prediction


def _seed_shown(sample: Sample) -> list[int]:
    ids = np.unique(sample.labels[sample.seed])
    return [int(i) for i in ids if i]
