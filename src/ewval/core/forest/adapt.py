"""Adapting a model to new cells: blended with what these teach, or left as it is.

Which of the two it is to be is decided on cells that forests had not seen: a start from another tissue is blended by
weights that may leave nothing of it; where few cells surely make a good start worse, it stays.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ewval.core.forest.away import try_forests
from ewval.core.forest.familiarity import some_of
from ewval.core.forest.fit import FittedHead, Start, count_forests, fit_head
from ewval.core.forest.labelled import LabelledVolume, cells_of, validating
from ewval.core.forest.learn import Keep, LearnConfig, fit_anew
from ewval.core.forest.tune import Trial, is_surely_better, score_of
from ewval.core.progress import SILENT, Progress

__all__ = ["Adapted", "adapt_head", "count_adapting_forests", "score_on", "settled"]

Kind = Literal["blended", "own", "start"]
FEW_CELLS, DRAWS_OF_FEW, PARTS_OF_FEW = 60, 3, 10
"""Up to so many cells all is learned at least so often, each time with other parts, of which there are so many: it
takes seconds, and a forest that answers for one cell of ten has learned from nine."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """A head, and what it was made of.

    Args:
        fitted: The head, and how it was tuned.
        kind: `blended` of start and own cells, learned from `own` cells where there was no start, or the `start` as it
            is.
        scores: Of the blend and the start, where there was one.
    """

    fitted: FittedHead
    kind: Kind
    scores: Mapping[str, float]


def adapt_head(
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    *,
    config: LearnConfig,
    start: Start | None = None,
    keep: Keep = fit_anew,
    progress: Progress = SILENT,
) -> Adapted:
    """Learn a head and, where there is a start, decide what is to become of it.

    Args:
        volumes: With known cells.
        parts: From each cell to learn from to its part.
        config: How to learn.
        start: A model that knows none of these cells.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced once for each forest.

    Raises:
        ValueError: As `fit_head`.
    """
    if start is None:
        return Adapted(fit_head(volumes, parts, config=config, keep=keep, progress=progress), "own", {})
    own, start = cells_of(volumes), settled(start, volumes)
    config, parts = _steadied(config, len(own)), _dealt(parts, own, seed=config.seed)
    blended = fit_head(volumes, parts, config=config, start=start, keep=keep, progress=progress)
    trials = _try(volumes, start, config=config)
    as_it_is = score_of(trials, start.head.settings)
    scores = {"blended": blended.tuned.score, "start": as_it_is}
    if not is_surely_better(trials, start.head.settings, blended.trials, blended.head.settings):
        return Adapted(blended, "blended", scores)
    head = replace(start.head, familiarity=blended.head.familiarity)
    tuned = replace(blended.tuned, settings=head.settings, thresholds=start.thresholds, score=as_it_is)
    return Adapted(FittedHead(head, tuned, ()), "start", scores)


def settled(model: Start, volumes: Sequence[LabelledVolume]) -> Start:
    """Return the model as it is to be asked in tissue of one look, that of the real ones among `volumes`."""
    some = some_of(validating(volumes))
    return replace(model, head=model.head.without_specialist(volume.graph.evidence for volume in some))


def count_adapting_forests(
    volumes: Sequence[LabelledVolume], *, cells: int, parts: int, config: LearnConfig, has_start: bool
) -> int:
    """Return how many forests `adapt_head` fits."""
    if not has_start:
        return count_forests(volumes, parts=parts, config=config)
    parts = min(PARTS_OF_FEW, cells) if cells <= FEW_CELLS else parts
    return count_forests(volumes, parts=parts, config=_steadied(config, cells))


def score_on(volumes: Sequence[LabelledVolume], model: Start, *, config: LearnConfig) -> float:
    """Return the score of a model on cells that it has not seen."""
    return score_of(_try(volumes, model, config=config), model.head.settings)


def _try(volumes: Sequence[LabelledVolume], model: Start, *, config: LearnConfig) -> list[Trial]:
    head = settled(model, volumes).head
    return try_forests(volumes, head.pairs, head.candidates, config=config)


def _steadied(config: LearnConfig, cells: int) -> LearnConfig:
    return replace(config, draws=max(config.draws, DRAWS_OF_FEW)) if cells <= FEW_CELLS else config


def _dealt(parts: Mapping[int, int], own: Collection[int], *, seed: int) -> Mapping[int, int]:
    """Return more parts for the cells where there are few `own` ones; generated cells share theirs."""
    if len(own) > FEW_CELLS:
        return parts
    count, random = min(PARTS_OF_FEW, len(own)), np.random.default_rng([seed, len(own)])
    drawn = [random.permutation(sorted(cells)).tolist() for cells in (own, parts.keys() - set(own))]
    return {cell: place % count for cells in drawn for place, cell in enumerate(cells)}
