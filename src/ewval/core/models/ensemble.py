"""Several deciders asked at once: the mean of their probabilities, and the majority of their votes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.models.card import ModelCard
from ewval.core.models.decider import Decider, VoxelOutputs
from ewval.core.segments.decision import Decision, Looks, Question, painted, rounded
from ewval.core.segments.verdicts import DECIMALS, SegmentTable, Thresholds, Verdict
from ewval.core.segments.views import ViewSource


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Deciders of any kinds, of which more than half must add a segment."""

    members: tuple[Decider, ...]

    @property
    def name(self) -> str:
        """The members' names."""
        return "+".join(member.name for member in self.members)

    @property
    def cards(self) -> Sequence[ModelCard]:
        """The members' cards."""
        return [card for member in self.members for card in member.cards]

    @property
    def identity(self) -> Mapping[str, Any]:
        """That of all members."""
        return {"members": [dict(member.identity) for member in self.members]}

    @property
    def reads_graph(self) -> bool:
        """Whether one of them does."""
        return any(member.reads_graph for member in self.members)

    @property
    def needs_labels(self) -> bool:
        """Whether one of them does."""
        return any(member.needs_labels for member in self.members)

    @property
    def context(self) -> int:
        """What the hungriest wants."""
        return max(member.context for member in self.members)

    @property
    def loops(self) -> int | None:
        """Those of the first member that has loops."""
        return next((member.loops for member in self.members if member.loops is not None), None)

    @property
    def compared_loops(self) -> tuple[int, ...]:
        """Those of the first member that has loops."""
        return next((member.compared_loops for member in self.members if member.compared_loops), ())

    def decide(self, questions: Sequence[Question], *, sources: ViewSource, looks: Looks) -> list[Decision]:
        """Return what the members come to together."""
        of_members = [member.decide(questions, sources=sources, looks=looks) for member in self.members]
        return [_vote(question, each) for question, *each in zip(questions, *of_members, strict=True)]

    def voxels(self, question: Question, *, sources: ViewSource, looks: Looks) -> VoxelOutputs:
        """Return the mean of what the members say."""
        said = [member.voxels(question, sources=sources, looks=looks) for member in self.members]
        logits, sigma = (np.mean([outputs[part] for outputs in said], axis=0) for part in (0, 1))
        return logits, sigma

    def pooled_with(self, others: Sequence[Decider]) -> Decider | None:
        """Return one ensemble of all."""
        return Ensemble((*self.members, *others))


def _vote(question: Question, decisions: Sequence[Decision]) -> Decision:
    # The table that knows most segments leads: that of a graph, which sees the smallest ones.
    lead = max((decision for decision in decisions), key=lambda decision: len(decision.table.ids))
    ids, thresholds = lead.table.ids, _mean_thresholds(decisions)
    chance = np.stack([d.table.dense(d.table.probability)[ids] for d in decisions])
    variance = np.stack([d.table.dense(d.table.spread)[ids] ** 2 for d in decisions]).mean(axis=0)
    votes, is_candidate = np.zeros(SEGMENT_ID_COUNT), np.zeros(SEGMENT_ID_COUNT, dtype=bool)
    for decision in decisions:
        is_candidate[[score.id for score in decision.segments]] = True
        votes[[*(s.id for s in decision.segments if s.verdict == "add"), *question.seed]] += 1 / len(decisions)
    table = SegmentTable(
        ids=ids,
        voxels=lead.table.voxels,
        probability=rounded(chance.mean(axis=0)),
        spread=np.sqrt(variance + chance.var(axis=0)).round(DECIMALS),
        inside=votes[ids],
        dark=lead.table.dark,
    )
    dense = table.dense(table.probability)
    verdicts: dict[int, Verdict] = {
        int(i): "add" if votes[i] > 0.5 else "maybe" if dense[i] >= thresholds.maybe else "reject"
        for i in np.flatnonzero(is_candidate)
    }
    decision = painted(table, table.scores(verdicts), lead.resolution, thresholds, question)
    return replace(decision, sigma=np.mean([d.sigma for d in decisions], axis=0, dtype=np.float32))


def _mean_thresholds(decisions: Sequence[Decision]) -> Thresholds:
    """Return the mean of the members' thresholds, since their probabilities are averaged, too."""
    return Thresholds(
        add=float(np.mean([d.thresholds.add for d in decisions])),
        maybe=float(np.mean([d.thresholds.maybe for d in decisions])),
    )
