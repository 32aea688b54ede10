"""Whoever answers tasks: models, and the baselines that any model has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.segments.verdicts import reachable
from ewval.core.segments.views import ViewSource
from ewval.nn.evaluation.evidence import EvidenceCache
from ewval.nn.evaluation.scoring import Guess, Question, named_segments
from ewval.nn.predict import TaskPrediction, predict_samples
from ewval.nn.weights import Model

Pairs = NDArray[np.int64]


class Answerer(Protocol):
    """Answers questions."""

    def answer(self, questions: Sequence[Question]) -> list[Guess]:
        """Return an answer to each question, in order."""


@dataclass(frozen=True, slots=True)
class ModelAnswerer:
    """A model, asked in the very way `ewval predict` asks it.

    Args:
        model: The model.
        sources: Where the full-resolution segmentations are.
        loops: Runs over its own answer; None for those of its card.
        device: Where its network is.
        batch_size: Samples at once.
    """

    model: Model
    sources: ViewSource
    loops: int | None = None
    device: torch.device | str = "cpu"
    batch_size: int = 1

    def answer(self, questions: Sequence[Question]) -> list[Guess]:
        """Return the model's answers."""
        seeds = {question.sample.task: question.seed for question in questions}
        predictions = predict_samples(
            self.model,
            [question.sample for question in questions],
            sources=self.sources,
            seeds=seeds.__getitem__,
            loops=self.loops,
            device=self.device,
            batch_size=self.batch_size,
        )
        say = painted if self.model.by_segments else guess_of
        return [say(prediction, question) for prediction, question in zip(predictions, questions, strict=True)]


def guess_of(prediction: TaskPrediction, _: Question) -> Guess:
    """Return a prediction as an answer: a voxel belongs to the neuron where that is likelier than not."""
    chance = prediction.probability
    return Guess(chance > 0.5, frozenset(prediction.add), prediction, chance)


def painted(prediction: TaskPrediction, question: Question) -> Guess:
    """Return the prediction of a model that decides by segments: its voxels say what their segments say."""
    chosen = named_segments(question, prediction.add)
    chance = prediction.table.dense(prediction.table.probability)
    chance[list(question.seed)] = 1.0
    return replace(chosen, prediction=prediction, probability=chance[question.sample.labels].astype(np.float32))


class SeedAlone:
    """Adds nothing."""

    def answer(self, questions: Sequence[Question]) -> list[Guess]:
        """Return the seeds."""
        return [named_segments(question, ()) for question in questions]


class AllTouching:
    """Adds every segment that touches the seed."""

    def answer(self, questions: Sequence[Question]) -> list[Guess]:
        """Return the seeds and their neighbours."""
        return [named_segments(question, _neighbours(question)) for question in questions]


@dataclass(frozen=True, slots=True)
class Growth:
    """Grows from the seed over every boundary that does not look like a membrane.

    Args:
        threshold: Boundaries with at least this evidence are crossed.
        evidence: From a question's volume to the evidence at its boundaries.
    """

    threshold: float
    evidence: EvidenceCache

    def answer(self, questions: Sequence[Question]) -> list[Guess]:
        """Return what can be reached from each seed."""
        return [named_segments(question, self._grown(question)) for question in questions]

    def _grown(self, question: Question) -> frozenset[int]:
        evidence = self.evidence.of(question)
        crossed = evidence.pairs[evidence.score >= self.threshold]
        seed = np.zeros(SEGMENT_ID_COUNT, dtype=bool)
        seed[list(question.seed)] = True
        return frozenset(np.flatnonzero(reachable(crossed, seed=seed, accepted=np.ones_like(seed))).tolist())


def _neighbours(question: Question) -> list[int]:
    pairs = question.view.pairs
    inside = np.isin(pairs, question.seed)
    return [int(i) for i in np.unique(pairs[inside.any(axis=1)])]
