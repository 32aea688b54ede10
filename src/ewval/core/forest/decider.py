"""The default way of deciding: forests over the supervoxel graph, and the file that they are kept in."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import DamagedError
from ewval.core.forest.candidates import CANDIDATE_NAMES
from ewval.core.forest.model import SegmentHead, Specialist
from ewval.core.graph.graph import GRAPH_FORM
from ewval.core.graph.names import CONTACT_NAMES, SEGMENT_NAMES
from ewval.core.models.card import ModelCard, decisive
from ewval.core.models.decider import Decider, VoxelOutputs
from ewval.core.models.files import write_weights
from ewval.core.segments.decision import Candidates, Decision, Looks, Question, decide_candidates
from ewval.core.segments.verdicts import Thresholds
from ewval.core.segments.views import ViewSource

__all__ = ["ARCH", "ForestDecider", "decider_from", "reads", "save_forest"]

ARCH = "graph"
LEAST_CHANCE = 1e-6
"""Voxels are not taken to be surer than this when their probability is turned into log-odds."""


@dataclass(frozen=True, slots=True)
class ForestDecider:
    """Decides with forests; sees a task's segment graph and nothing else."""

    card: ModelCard
    head: SegmentHead

    @property
    def name(self) -> str:
        """Its card's name."""
        return self.card.name

    @property
    def cards(self) -> Sequence[ModelCard]:
        """Its card."""
        return [self.card]

    @property
    def identity(self) -> Mapping[str, Any]:
        """A checksum of its arrays, and what of its card decides."""
        digest = hashlib.sha256()
        for key, array in sorted(self.head.arrays().items()):
            digest.update(key.encode() + np.ascontiguousarray(array).tobytes())
        return {"weights": digest.hexdigest(), **decisive(self.card)}

    @property
    def reads_graph(self) -> bool:
        """It does."""
        return True

    @property
    def needs_labels(self) -> bool:
        """It knows nothing but segments."""
        return True

    @property
    def context(self) -> int:
        """It looks at no ancestors."""
        return 0

    @property
    def loops(self) -> None:
        """It has none."""
        return

    @property
    def compared_loops(self) -> tuple[int, ...]:
        """It has none."""
        return ()

    def decide(self, questions: Sequence[Question], *, sources: ViewSource, looks: Looks) -> list[Decision]:
        """Return the decision on each question."""
        del looks
        return [self._decide(question, sources) for question in questions]

    def voxels(self, question: Question, *, sources: ViewSource, looks: Looks) -> VoxelOutputs:
        """Return the log-odds of each voxel's segments, and ones for the uncertainty, which it does not state."""
        del looks
        decision = self._decide(question, sources)
        chance = np.clip(decision.probability.astype(np.float64), LEAST_CHANCE, 1 - LEAST_CHANCE)
        return np.log(chance / (1 - chance)).astype(np.float32), decision.sigma

    def pooled_with(self, others: Sequence[Decider]) -> Decider | None:
        """Return None: forests are asked one by one."""
        del others
        return None

    def _decide(self, question: Question, sources: ViewSource) -> Decision:
        sample, card = question.sample, self.card
        graph = sources.graph(sample.volume, sample.image, sample.labels)
        answer = self.head.score(graph.graph, question.seed, kept=graph.judged)
        found = Candidates(answer.ids, answer.probability, answer.chosen)
        thresholds = Thresholds(card.add_threshold, card.maybe_threshold)
        decision = decide_candidates(found, question, graph, thresholds)
        return replace(decision, familiarity=answer.familiarity)


def reads() -> dict[str, Any]:
    """Return the names of all numbers that forests ask about today, as their cards keep them."""
    return {
        "graph_form": GRAPH_FORM,
        "contact_numbers": list(CONTACT_NAMES),
        "segment_numbers": list(SEGMENT_NAMES),
        "candidate_numbers": list(CANDIDATE_NAMES),
    }


def save_forest(path: Path, card: ModelCard, head: SegmentHead) -> ModelCard:
    """Write forests to `path` (.safetensors) and their card beside it; return the card with the sha256."""
    return write_weights(path, card, head.arrays())


def decider_from(card: ModelCard, arrays: Mapping[str, NDArray[Any]], *, device: str, what: str) -> ForestDecider:
    """Return the decider that was written as `card` and `arrays`; `device` is of no concern to a forest.

    Raises:
        DamagedError: They are not those of forests that read graphs of today's form; `what` names the file.
    """
    del device
    _check_numbers(arrays, what=what)
    for key, names in reads().items():
        if card.config.get(key) != names:
            raise DamagedError(what, f"it was learned from graphs of another form than this version measures ({key})")
    head = SegmentHead.from_arrays(arrays, what=what)
    for part in (head, head.specialist):
        if part is not None:
            _check_names(part, card, what=what)
    return ForestDecider(card, head)


def _check_names(part: SegmentHead | Specialist, card: ModelCard, *, what: str) -> None:
    """Refuse forests that ask about more numbers than the card names."""
    for forest, names in ((part.pairs, "contact_numbers"), (part.candidates, "candidate_numbers")):
        if forest.column.max(initial=-1) >= len(card.config[names]) or forest.column.min(initial=0) < 0:
            raise DamagedError(what, f"its trees ask about more {names.replace('_', ' ')} than its card names")
    known = part.familiarity
    if known is not None and len(known.spread) != len(card.config["contact_numbers"]):
        raise DamagedError(what, "it remembers other numbers of contacts than its card names")


def _check_numbers(arrays: Mapping[str, NDArray[Any]], *, what: str) -> None:
    """Refuse weights that hold NaN; a bound may be infinite where a decision sends everything one way."""
    for key, array in arrays.items():
        if np.isnan(array).any() or (np.isinf(array).any() and not key.endswith(".bound")):
            raise DamagedError(what, f"its weights are not numbers ({key} holds NaN or infinity)")
