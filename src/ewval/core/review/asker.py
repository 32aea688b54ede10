"""What `ewval review` asks of a model: the answer to a task, given what a person has settled of it."""

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.model import SegmentHead
from ewval.core.segments.verdicts import DECIMALS, Thresholds
from ewval.core.segments.views import GraphView

__all__ = ["Asker", "ForestAsker", "Opinion"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a model says of one task's segments.

    Args:
        ids: int64[k], the candidates.
        probability: float64[k] in [0, 1], rounded, that each belongs to the neuron.
        added: bool[k], whether it is part of the model's answer.
    """

    ids: NDArray[np.int64]
    probability: NDArray[np.float64]
    added: NDArray[np.bool_]

    @property
    def add(self) -> frozenset[int]:
        """The segments of the model's answer."""
        return frozenset(self.ids[self.added].tolist())


class Asker(Protocol):
    """A model that can be asked again and again while a person settles segments.

    Attributes:
        name: What answers say they were made with.
        identity: Another one for every model that would answer otherwise.
        thresholds: Between the verdicts.
    """

    name: str
    identity: str
    thresholds: Thresholds

    def ask(self, view: GraphView, seed: Collection[int], *, excluded: Collection[int] = ()) -> Opinion:
        """Return the opinion on the object that grows from `seed` and has none of `excluded` in it."""


class ForestAsker:
    """Asks the default model; safe to use from many threads, one question at a time.

    Args:
        head: Of the model.
        name: Of the model.
        identity: Of the model's weights.
        thresholds: Of the model's card.
    """

    def __init__(self, head: SegmentHead, *, name: str, identity: str, thresholds: Thresholds) -> None:
        self.name, self.identity, self.thresholds = name, identity, thresholds
        self._head, self._lock = head, threading.Lock()

    def ask(self, view: GraphView, seed: Collection[int], *, excluded: Collection[int] = ()) -> Opinion:
        """Return the opinion on the object that grows from `seed` and has none of `excluded` in it."""
        with self._lock:
            answer = self._head.score(view.graph, sorted(seed), kept=view.judged, excluded_ids=excluded)
        return Opinion(answer.ids, answer.probability.round(DECIMALS), answer.chosen)
