"""From labelled cubes to a segment head whose every setting was chosen on cells it had not seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ewval.core.boosting import Forest, merge_forests
from ewval.core.growth import grow
from ewval.core.objects import Surroundings, survey
from ewval.core.progress import SILENT, Progress
from ewval.nn.head_states import draw_seed
from ewval.nn.head_tuning import Trial, Tuned, tune
from ewval.nn.labelled import LabelledVolume
from ewval.nn.learn_head import Keep, LearnConfig, PairJudgement, fit_anew, learn_candidates, learn_pairs
from ewval.nn.segment_head import SegmentHead

__all__ = ["FittedHead", "fit_head", "steps_of"]

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
        judgement: Of contacts.
        candidates: Learned from all cells.
        halves: Learned from each half of the cells.
    """

    judgement: PairJudgement
    candidates: Forest
    halves: tuple[Forest, Forest]


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells to learn from: all of them with their parts, and both halves of the parts."""

    parts: Mapping[int, int]
    halves: tuple[list[int], list[int]]

    @classmethod
    def of(cls, parts: Mapping[int, int], volumes: Sequence[LabelledVolume]) -> "_Cells":
        """Return those of `parts` that are in `volumes`; the halves are the same parts whatever the volumes."""
        first = set(sorted(set(parts.values()))[: len(set(parts.values())) // 2])
        mine = {cell: parts[cell] for volume in volumes for cell in volume.cells if cell in parts}
        halves = [sorted(cell for cell, part in mine.items() if (part in first) == is_in) for is_in in (True, False)]
        return cls(mine, (halves[0], halves[1]))


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
    grow the tasks of the other half: by these the settings are chosen. All this is done `config.draws` times and, where
    some volumes do not validate, each time with and without them, always with other parts; the head answers with the
    mean. With generated volumes it is then about as good as without on tissue like that of the others, and far better
    on tissue unlike it (docs/results.md).

    Args:
        volumes: With known cells.
        parts: From each cell to learn from to its part, at least two; all other cells are held out.
        config: How to learn.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced `steps_of` times.

    Raises:
        ValueError: There are fewer than two parts.
    """
    config = LearnConfig() if config is None else config
    if len(set(parts.values())) < 2:
        raise ValueError("cells must be in at least two parts")
    courses = []
    for number, taught in enumerate(_courses_of(volumes) * config.draws):
        cells = _Cells.of(_deal(parts, seed=number) if number else parts, taught)
        drawn = replace(config, seed=config.seed * COURSES + number)
        courses.append(_learn(f"{number}-", taught, cells, config=drawn, keep=keep, progress=progress))
    judgement = _mean_judgement([course.judgement for course in courses])
    halves = [merge_forests([course.halves[i] for course in courses]) for i in range(2)]
    tuned = tune(_validate(volumes, _Cells.of(parts, volumes), judgement, halves=halves, seed=config.seed))
    candidates = merge_forests([course.candidates for course in courses])
    return FittedHead(SegmentHead(judgement.forest, candidates, tuned.settings), tuned, judgement)


def steps_of(volumes: Sequence[LabelledVolume], parts: Mapping[int, int], config: LearnConfig) -> int:
    """Return how often `fit_head` advances its progress."""
    return config.draws * len(_courses_of(volumes)) * (len(set(parts.values())) + config.rounds + 2)


def _deal(parts: Mapping[int, int], *, seed: int) -> dict[int, int]:
    """Return other parts for the cells; each stays in its half, so that the same forests have never seen it."""
    names, random = sorted(set(parts.values())), np.random.default_rng(seed)
    dealt: dict[int, int] = {}
    for half in (names[: len(names) // 2], names[len(names) // 2 :]):
        cells = random.permutation(sorted(cell for cell, part in parts.items() if part in half))
        dealt |= {int(cell): half[place % len(half)] for place, cell in enumerate(cells)}
    return dealt


def _courses_of(volumes: Sequence[LabelledVolume]) -> list[list[LabelledVolume]]:
    """Return the sets of volumes to learn from: those that validate, and all."""
    own = [volume for volume in volumes if volume.validates]
    return [list(volumes)] if len(own) in (0, len(volumes)) else [own, list(volumes)]


def _learn(
    name: str,
    volumes: Sequence[LabelledVolume],
    cells: _Cells,
    *,
    config: LearnConfig,
    keep: Keep,
    progress: Progress,
) -> _Course:
    def kept(forest: str, fit: Callable[[], Forest]) -> Forest:
        return keep(name + forest, fit)

    judgement = learn_pairs(volumes, cells.parts, config=config, keep=kept, progress=progress)

    def candidates(of: Sequence[int], *, config: LearnConfig, called: str) -> Forest:
        return learn_candidates(
            volumes, of, log_odds=judgement.log_odds, config=config, name=called, keep=kept, progress=progress
        )

    once = replace(config, rounds=1)
    return _Course(
        judgement,
        candidates(sorted(cells.parts), config=config, called="candidates"),
        (
            candidates(cells.halves[0], config=once, called="first-half"),
            candidates(cells.halves[1], config=once, called="second-half"),
        ),
    )


def _mean_judgement(judgements: Sequence[PairJudgement]) -> PairJudgement:
    """Return the mean of judgements, each volume's of those that know it."""
    names = {name for judgement in judgements for name in judgement.log_odds}
    said = {name: [j.log_odds[name] for j in judgements if name in j.log_odds] for name in sorted(names)}
    forest = merge_forests([judgement.forest for judgement in judgements])
    return PairJudgement(forest, {name: np.mean(odds, axis=0) for name, odds in said.items()})


def _validate(
    volumes: Sequence[LabelledVolume],
    cells: _Cells,
    judgement: PairJudgement,
    *,
    halves: Sequence[Forest],
    seed: int,
) -> list[Trial]:
    """Grow the cells of either half by the forest of the other."""
    own = [volume for volume in volumes if volume.validates] or volumes
    trials: list[Trial] = []
    for volume in own:
        around = survey(volume.graph, judgement.log_odds[volume.name])
        for forest, others in zip(halves, reversed(cells.halves), strict=True):
            trials += _try(volume, around, others, forest=forest, seed=seed)
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
