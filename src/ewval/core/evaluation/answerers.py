"""Whoever answers tasks: models, and the baselines that any model has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.evaluation.evidence import EvidenceCache
from ewval.core.evaluation.scoring import Guess, named_segments
from ewval.core.models.decider import Decider
from ewval.core.predict.prediction import TaskPrediction, check_numbers, predict_questions
from ewval.core.segments.decision import AS_CARDS_SAY, Looks, Question
from ewval.core.segments.verdicts import reachable
from ewval.core.segments.views import ViewSource


class Answerer(Protocol):
    """Answers questions."""

    @property
    def reads_graph(self) -> bool:
        """Whether it looks at the segment graph of a question's volume."""

    def answer(self, questions: Sequence[Question]) -> list[Guess]:
        """Return an answer to each question, in order."""


@dataclass(frozen=True, slots=True)
class ModelAnswerer:
    """A model, asked in the very way `ewval predict` asks it.

    Args:
        decider: Who decides.
        sources: Where the full-resolution segmentations are.
        looks: How its network looks, where it has one.
    """

    decider: Decider
    sources: ViewSource
    looks: Looks = AS_CARDS_SAY

    @property
    def reads_graph(self) -> bool:
        """Whether its model does."""
        return self.decider.reads_graph

    def answer(self, questions: Sequence[Question]) -> list[Guess]:
        """Return the model's answers; raises DamagedError where they are no numbers."""
        predictions = predict_questions(self.decider, questions, sources=self.sources, looks=self.looks)
        pairs = zip(predictions, questions, strict=True)
        return [guess_of(check_numbers(prediction), question) for prediction, question in pairs]


def guess_of(prediction: TaskPrediction, question: Question) -> Guess:
    """Return a prediction as an answer; where it is about segments alone, their voxels say what they say."""
    decision, chosen = prediction.decision, frozenset(prediction.add)
    if not decision.is_painted:
        return Guess(decision.voxels, chosen, prediction, decision.probability)
    chance = decision.table.dense(decision.table.probability)
    chance[list(question.seed)] = 1.0
    return Guess(decision.voxels, chosen, prediction, chance[question.sample.labels].astype(np.float32))


class SeedAlone:
    """Adds nothing."""

    reads_graph = False

    def answer(self, questions: Sequence[Question]) -> list[Guess]:
        """Return the seeds."""
        return [named_segments(question, ()) for question in questions]


class AllTouching:
    """Adds every segment that touches the seed."""

    reads_graph = False

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

    @property
    def reads_graph(self) -> bool:
        """It does, for the evidence at the contacts."""
        return True

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
