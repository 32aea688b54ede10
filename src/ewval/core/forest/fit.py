"""From labelled cubes to a segment head whose every setting was chosen on cells it had not seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ewval.core.forest.boosting import Forest, merge_forests
from ewval.core.forest.candidates import Surroundings, survey
from ewval.core.forest.growth import grow
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.learn import Keep, LearnConfig, PairJudgement, fit_anew, learn_candidates, learn_pairs, leave_out
from ewval.core.forest.model import SegmentHead
from ewval.core.forest.states import draw_seed
from ewval.core.forest.tune import Trial, Tuned, tune
from ewval.core.progress import SILENT, Progress

__all__ = ["FittedHead", "fit_head"]

COURSES = 16
"""More than a head has, so that heads of different seeds share no random choice."""
DRAWN_SEEDS = 2
"""Seeds drawn for each cell in validation, beside those of its tasks: 36 cells have too few tasks to choose by."""


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A head, how it was tuned, and what it says of the pairs of its own cubes without having seen them."""

    head: SegmentHead
    tuned: Tuned
    judgement: PairJudgement


@dataclass(frozen=True, slots=True)
class _Course:
    """What one set of cubes teaches.

    Args:
        parts: From each cell to its part.
        judgement: Of contacts.
        candidates: Learned from all cells.
        without: By part, learned from the cells of the others.
    """

    parts: Mapping[int, int]
    judgement: PairJudgement
    candidates: Forest
    without: Mapping[int, Forest]


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
    learns from judgements of contacts that were not learned from. One further forest of candidates for each part,
    learned from the other parts, grows the tasks of its cells: by these the settings are chosen. All this is done
    `config.draws` times and, where some volumes do not validate, each time with and without them, always with other
    parts; the head answers with the mean. With generated volumes it is then about as good as without on tissue like
    that of the others, and far better on tissue unlike it (docs/results.md).

    Args:
        volumes: With known cells.
        parts: From each cell to learn from to its part, at least two; all other cells are held out.
        config: How to learn.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced once for each forest.

    Raises:
        ValueError: There are fewer than two parts.
    """
    config = LearnConfig() if config is None else config
    if len(set(parts.values())) < 2:
        raise ValueError("cells must be in at least two parts")
    volumes = [volume.without(volume.cells.keys() - parts.keys()) for volume in volumes]
    courses = []
    for number, taught in enumerate(_courses_of(volumes) * config.draws):
        dealt = _deal(parts, seed=number) if number else parts
        mine = {cell: dealt[cell] for volume in taught for cell in volume.cells}
        drawn = replace(config, seed=config.seed * COURSES + number)
        courses.append(_learn(f"{number}-", taught, mine, config=drawn, keep=keep, progress=progress))
    judgement = _mean_judgement([course.judgement for course in courses])
    tuned = tune(_validate(volumes, courses, judgement, seed=config.seed))
    candidates = merge_forests([course.candidates for course in courses])
    return FittedHead(SegmentHead(judgement.forest, candidates, tuned.settings), tuned, judgement)


def _deal(parts: Mapping[int, int], *, seed: int) -> dict[int, int]:
    """Return other parts of the same sizes for the cells."""
    cells = sorted(parts)
    dealt = np.random.default_rng(seed).permutation([parts[cell] for cell in cells])
    return dict(zip(cells, dealt.tolist(), strict=True))


def _courses_of(volumes: Sequence[LabelledVolume]) -> list[list[LabelledVolume]]:
    """Return the sets of volumes to learn from: those that validate, and all."""
    own = [volume for volume in volumes if volume.validates]
    return [list(volumes)] if len(own) in (0, len(volumes)) else [own, list(volumes)]


def _learn(
    name: str,
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    *,
    config: LearnConfig,
    keep: Keep,
    progress: Progress,
) -> _Course:
    def kept(forest: str, fit: Callable[[], Forest]) -> Forest:
        return keep(name + forest, fit)

    judgement = learn_pairs(volumes, parts, config=config, keep=kept, progress=progress)
    around = {v.name: survey(v.graph, judgement.log_odds[v.name]) for v in volumes}
    candidates = partial(learn_candidates, around=around, keep=kept, progress=progress)
    once = replace(config, rounds=1)
    without = {
        part: candidates(leave_out(volumes, parts, part), config=once, name=f"candidates-without-{part}")
        for part in sorted(set(parts.values()))
    }
    return _Course(parts, judgement, candidates(volumes, config=config), without)


def _mean_judgement(judgements: Sequence[PairJudgement]) -> PairJudgement:
    """Return the mean of judgements, each volume's of those that know it."""
    names = {name for judgement in judgements for name in judgement.log_odds}
    said = {name: [j.log_odds[name] for j in judgements if name in j.log_odds] for name in sorted(names)}
    forest = merge_forests([judgement.forest for judgement in judgements])
    return PairJudgement(forest, {name: np.mean(odds, axis=0) for name, odds in said.items()})


def _validate(
    volumes: Sequence[LabelledVolume], courses: Sequence[_Course], judgement: PairJudgement, *, seed: int
) -> list[Trial]:
    """Grow the tasks of each cell by forests that have not seen it."""
    trials: list[Trial] = []
    for volume in [volume for volume in volumes if volume.validates] or volumes:
        around, random = survey(volume.graph, judgement.log_odds[volume.name]), np.random.default_rng(seed)
        for cell in sorted(volume.cells):
            forest = merge_forests([course.without[course.parts[cell]] for course in courses])
            trials += _try(volume, around, cell, forest=forest, random=random)
    return trials


def _try(
    volume: LabelledVolume, around: Surroundings, cell: int, *, forest: Forest, random: np.random.Generator
) -> list[Trial]:
    """Grow the cell's tasks, and from further seeds drawn as in training."""
    voxels, members = volume.graph.voxels.astype(np.float64), volume.cells[cell]
    drawn = [draw_seed(volume, around, cell, random) for _ in range(DRAWN_SEEDS)]
    trials = []
    for rows in [*volume.seeds.get(cell, ()), *[seed for seed in drawn if len(seed) < len(members)]]:
        target = np.zeros(len(voxels), dtype=bool)
        target[members] = True
        target[rows] = False
        trials.append(Trial(volume.dataset, grow(around, rows, judge=forest.log_odds), voxels, target))
    return trials
