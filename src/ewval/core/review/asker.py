"""What `ewval review` asks of a model: the answer to a task, given what a person has settled of it."""

import hashlib
import json
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import UsageError
from ewval.core.forest.decider import ForestDecider
from ewval.core.models.decider import Decider
from ewval.core.segments.decision import rounded
from ewval.core.segments.verdicts import Thresholds
from ewval.core.segments.views import GraphView

__all__ = ["Asker", "ForestAsker", "Opinion", "asker_of"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a model says of one task's segments.

    Args:
        ids: int64[k], the candidates.
        probability: float64[k] in [0, 1], rounded, that each belongs to the neuron.
        added: bool[k], whether it is part of the model's answer.
        familiarity: Of the volume, in [0, 1]; None where the model cannot say.
    """

    ids: NDArray[np.int64]
    probability: NDArray[np.float64]
    added: NDArray[np.bool_]
    familiarity: float | None = None

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
    """Asks forests over the segment graph; safe to use from many threads, one question at a time."""

    def __init__(self, decider: ForestDecider) -> None:
        card = decider.card
        self.name, self.thresholds = decider.name, Thresholds(card.add_threshold, card.maybe_threshold)
        identity = json.dumps(decider.identity, sort_keys=True, allow_nan=False)
        self.identity = hashlib.sha256(identity.encode()).hexdigest()
        self._head, self._lock = decider.head, threading.Lock()

    def ask(self, view: GraphView, seed: Collection[int], *, excluded: Collection[int] = ()) -> Opinion:
        """Return the opinion on the object that grows from `seed` and has none of `excluded` in it."""
        with self._lock:
            answer = self._head.score(view.graph, sorted(seed), kept=view.judged, excluded_ids=excluded)
        return Opinion(answer.ids, rounded(answer.probability), answer.chosen, answer.familiarity)


def asker_of(decider: Decider) -> Asker:
    """Return what asks `decider`.

    Raises:
        UsageError: It does not decide over the segment graph, so that it cannot be told what a person settled.
    """
    if not isinstance(decider, ForestDecider):
        raise UsageError(
            f"model {decider.name} does not decide over the segment graph; `ewval review` needs one that does"
        )
    return ForestAsker(decider)
