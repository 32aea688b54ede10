"""From labelled cubes to a segment head whose every setting was chosen on cells it had not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ewval.core.boosting import Forest
from ewval.core.growth import grow
from ewval.core.objects import Surroundings, survey
from ewval.core.progress import SILENT, Progress
from ewval.nn.head_states import draw_seed
from ewval.nn.head_tuning import Trial, Tuned, tune
from ewval.nn.labelled import LabelledVolume
from ewval.nn.learn_head import Keep, LearnConfig, PairJudgement, fit_anew, learn_candidates, learn_pairs
from ewval.nn.segment_head import SegmentHead

__all__ = ["FittedHead", "fit_head", "steps_of"]

DRAWN_SEEDS = 2
"""Seeds drawn for each cell in validation, beside those of its tasks: 36 cells have too few tasks to choose by."""


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A head, how it was tuned, and what it says of the pairs of its own cubes without having seen them."""

    head: SegmentHead
    tuned: Tuned
    judgement: PairJudgement


def fit_head(
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    *,
    config: LearnConfig | None = None,
    keep: Keep = fit_anew,
    progress: Progress = SILENT,
) -> FittedHead:
    """Learn a segment head.

    Contacts are judged by one forest for each part of the cells, learned from the other parts; the candidates' forest
    learns from judgements of contacts that were not learned from. Two further forests, each from half of the parts,
    grow the tasks of the other half: by these the settings are chosen.

    Args:
        volumes: With known cells.
        parts: From each cell to learn from to its part, at least two; all other cells are held out.
        config: How to learn.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced `steps_of(parts)` times.

    Raises:
        ValueError: There are fewer than two parts.
    """
    config = LearnConfig() if config is None else config
    if len(set(parts.values())) < 2:
        raise ValueError("cells must be in at least two parts")
    judgement = learn_pairs(volumes, parts, config=config, keep=keep, progress=progress)
    candidates = learn_candidates(
        volumes, sorted(parts), log_odds=judgement.log_odds, config=config, keep=keep, progress=progress
    )
    trials = _validate(volumes, parts, judgement, config=config, keep=keep, progress=progress)
    tuned = tune(trials)
    return FittedHead(SegmentHead(judgement.forest, candidates, tuned.settings), tuned, judgement)


def steps_of(parts: Mapping[int, int], config: LearnConfig) -> int:
    """Return how often `fit_head` advances its progress."""
    return len(set(parts.values())) + config.rounds + 2


def _validate(
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    judgement: PairJudgement,
    *,
    config: LearnConfig,
    keep: Keep,
    progress: Progress,
) -> list[Trial]:
    numbers = sorted(set(parts.values()))
    half = set(numbers[: len(numbers) // 2])
    once = LearnConfig(config.pairs, config.candidates, config.sampling, rounds=1, seed=config.seed)
    around = {v.name: survey(v.graph, judgement.log_odds[v.name]) for v in volumes}
    trials: list[Trial] = []
    for name, is_first in (("first-half", True), ("second-half", False)):
        learned = sorted(cell for cell, part in parts.items() if (part in half) == is_first)
        others = sorted(cell for cell, part in parts.items() if (part in half) != is_first)
        forest = learn_candidates(
            volumes, learned, log_odds=judgement.log_odds, config=once, name=name, keep=keep, progress=progress
        )
        for volume in (v for v in volumes if v.validates):
            trials += _try(volume, around[volume.name], others, forest=forest, seed=config.seed)
    return trials


def _try(
    volume: LabelledVolume, around: Surroundings, cells: Sequence[int], *, forest: Forest, seed: int
) -> list[Trial]:
    """Grow the cells' tasks, and from further seeds drawn as in training."""
    random = np.random.default_rng(seed)
    voxels = volume.graph.voxels.astype(np.float64)
    trials = []
    for cell in sorted(set(cells) & set(volume.cells)):
        drawn = [draw_seed(volume, around, cell, random) for _ in range(DRAWN_SEEDS)]
        for rows in [*volume.seeds.get(cell, ()), *[d for d in drawn if len(d) < len(volume.cells[cell])]]:
            target = np.zeros(len(voxels), dtype=bool)
            target[volume.cells[cell]] = True
            target[rows] = False
            growth = grow(around, rows, judge=forest.log_odds)
            trials.append(Trial(volume.dataset, growth, voxels, target))
    return trials
