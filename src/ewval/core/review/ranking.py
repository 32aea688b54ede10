"""What speaks for asking a person about one task before another."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.ledger.reviews import Rank, Settled
from ewval.core.review.asker import Opinion
from ewval.core.review.scene import TaskFacts, answer_of
from ewval.core.segments.verdicts import REVIEW_HALF_VOXELS
from ewval.core.segments.views import GraphView

__all__ = ["rank_of", "to_learn_from"]


SAME_KIND = 0.25
"""What a task whose doubtful contacts were all met before is worth beside one whose contacts differ by their spread."""


def rank_of(facts: TaskFacts, opinion: Opinion, view: GraphView) -> Rank:
    """Return the rank of a task that nothing is settled of.

    Args:
        facts: Of the task.
        opinion: Of the model.
        view: The segment graph of its volume.
    """
    chance, voxels = np.zeros(SEGMENT_ID_COUNT), np.zeros(SEGMENT_ID_COUNT, dtype=np.int64)
    chance[opinion.ids] = opinion.probability
    voxels[view.graph.ids] = view.voxels
    answer = answer_of(facts, opinion, Settled())
    trace = answer if facts.consensus is None else list(facts.consensus)
    wrong, doubt = (_expected_wrong(chance, voxels, given, seed=facts.seed) for given in (trace, answer))
    inside = np.isin(view.graph.ids, answer)
    return Rank(
        priority=round(wrong / (wrong + REVIEW_HALF_VOXELS), 6),
        doubt=round(doubt, 1),
        contacts=int(inside[view.graph.pairs].any(axis=1).sum()),
        familiarity=1.0 if opinion.familiarity is None else round(opinion.familiarity, 4),
        kind=_kind(view, chance, inside),
    )


def _expected_wrong(
    chance: NDArray[np.float64], voxels: NDArray[np.int64], answer: Collection[int], *, seed: Collection[int]
) -> float:
    chosen = np.zeros(SEGMENT_ID_COUNT, dtype=bool)
    chosen[[segment for segment in answer if segment < SEGMENT_ID_COUNT]] = True
    wrong = np.where(chosen, 1 - chance, chance) * voxels
    wrong[list(seed)] = 0
    return float(wrong.sum())


def _kind(view: GraphView, chance: NDArray[np.float64], inside: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return the mean evidence of the object's contacts, by how unsure the model is of what lies behind each."""
    graph = view.graph
    ends = inside[graph.pairs]
    border = np.flatnonzero(ends[:, 0] != ends[:, 1])
    outer = graph.pairs[border, np.where(ends[border, 0], 1, 0)]
    unsure = chance[graph.ids[outer]]
    weight = unsure * (1 - unsure) * np.sqrt(graph.voxels[outer])
    if not weight.sum() > 0:
        return ()
    kind = (weight[:, None] * graph.evidence[border]).sum(axis=0) / weight.sum()
    return tuple(float(f"{value:.4g}") for value in kind)


def to_learn_from(
    tasks: Sequence[TaskFacts], ranks: Mapping[int, Rank], *, settled: Collection[TaskFacts], count: int | None = None
) -> list[int]:
    """Return ranked tasks in the order in which a model would learn most from their answers.

    Each next one is that of the greatest product of five: how many contacts its answer tells something about; doubt;
    how unlike the tissue is to what the model learned from; how far its doubtful contacts are from those of all tasks
    before; and a share that halves with every task of the same cell before.

    Args:
        tasks: That are open; those without a rank are left out.
        ranks: By task.
        settled: Tasks that were answered before.
        count: How many are wanted; None for all.
    """
    open_tasks = [facts for facts in tasks if facts.task in ranks]
    kinds = _standardised([ranks[facts.task] for facts in [*open_tasks, *(f for f in settled if f.task in ranks)]])
    known = kinds[len(open_tasks) :]
    distance = np.full(len(open_tasks), np.inf)
    for kind in known:
        distance = np.minimum(distance, _distance(kinds[: len(open_tasks)], kind))
    worth = np.array([_worth(ranks[facts.task]) for facts in open_tasks])
    cells, cell = Counter(_cell(facts) for facts in settled), [_cell(facts) for facts in open_tasks]
    left, found = list(range(len(open_tasks))), list[int]()
    while left and (count is None or len(found) < count):
        novelty = np.where(np.isfinite(distance), distance + SAME_KIND, 1.0)
        best = max(left, key=lambda i: (worth[i] * novelty[i] * 0.5 ** cells[cell[i]], -open_tasks[i].task))
        left.remove(best)
        found.append(open_tasks[best].task)
        cells[cell[best]] += 1
        distance = np.minimum(distance, _distance(kinds[: len(open_tasks)], kinds[best]))
    return found


def _worth(rank: Rank) -> float:
    """Return what a task teaches by itself: answers that tell of many contacts teach most, by far (docs/review.md)."""
    return rank.contacts * float(np.log1p(rank.doubt)) * (2 - rank.familiarity)


def _cell(facts: TaskFacts) -> int:
    return -facts.task if facts.cell is None else facts.cell


def _standardised(ranks: Sequence[Rank]) -> NDArray[np.float64]:
    """Return the kinds as rows in units of their spread; a task without doubtful contacts stands in the middle."""
    width = max((len(rank.kind) for rank in ranks), default=0)
    rows = np.array([rank.kind if len(rank.kind) == width else (np.nan,) * width for rank in ranks])
    rows = rows.reshape(len(ranks), width)
    known = ~np.isnan(rows).any(axis=1)
    if not known.any() or not width:
        return np.zeros((len(ranks), 1))
    spread = rows[known].std(axis=0)
    scaled = (rows - rows[known].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.where(known[:, None], scaled, 0.0).clip(-4, 4)


def _distance(kinds: NDArray[np.float64], kind: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(((kinds - kind) ** 2).mean(axis=1)))
