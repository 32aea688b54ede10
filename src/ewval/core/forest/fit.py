"""From labelled cubes to forests whose every setting was chosen on cells they had not seen."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.boosting import Forest, merge_forests
from ewval.core.forest.candidates import Surroundings, survey
from ewval.core.forest.examples import draw_cells
from ewval.core.forest.familiarity import Familiarity, some_of
from ewval.core.forest.growth import grow
from ewval.core.forest.labelled import LabelledVolume, validating
from ewval.core.forest.learn import (
    Keep,
    LearnConfig,
    LearnedCandidates,
    PairJudgement,
    fit_anew,
    learn_candidates,
    learn_pairs,
)
from ewval.core.forest.model import HeadSettings, SegmentHead, Specialist
from ewval.core.forest.states import draw_seed
from ewval.core.forest.tune import Trial, Tuned, tune, tune_away
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.verdicts import Thresholds

__all__ = ["Course", "FittedHead", "Start", "count_forests", "fit_head", "named", "try_forests"]

COURSES = 16
"""More than a head has, so that heads of different seeds share no random choice."""
LEAST_TISSUES = 3
"""With fewer, what is left to learn from is one kind of tissue, and says little about a model of several."""
DRAWN_SEEDS, LEAST_DRAWN = 2, 200
"""Seeds drawn for each cell of a cube in validation, and in all: a few cells have too few tasks to choose by."""


@dataclass(frozen=True, slots=True)
class Start:
    """A model to begin from: what it has learned, and the thresholds of its card."""

    head: SegmentHead
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A head, how it was tuned, the courses that it is the mean of, and the trials by which it was tuned."""

    head: SegmentHead
    tuned: Tuned
    courses: "tuple[Course, ...]"
    trials: tuple[Trial, ...] = ()

    def log_odds(self, volume: LabelledVolume) -> NDArray[np.float64]:
        """Return the log-odds of a volume's pairs by forests that have not seen them, the mean of all courses."""
        return _mean_log_odds(self.courses, volume)


@dataclass(frozen=True, slots=True)
class Course:
    """What one set of cubes teaches.

    Args:
        volumes: Their names.
        pairs: Judges contacts.
        candidates: Judges candidates.
    """

    volumes: frozenset[str]
    pairs: PairJudgement
    candidates: LearnedCandidates


def fit_head(
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    *,
    config: LearnConfig | None = None,
    start: Start | None = None,
    keep: Keep = fit_anew,
    progress: Progress = SILENT,
) -> FittedHead:
    """Learn a segment head.

    Contacts are judged by one forest for each part of the cells, learned from the other parts; the candidates' forest
    learns from judgements of contacts that were not learned from. One further forest of candidates for each part,
    learned from the other parts, grows the tasks of its cells: by these the settings are chosen. All this is done
    `config.draws` times and, where some volumes are generated, each time with and without them, always with other
    parts; the head answers with the mean. With generated volumes it is then about as good as without on tissue like
    that of the others, and far better on tissue unlike it (docs/results.md). Where there are several tissues, forests
    that were learned without one of them grow its tasks: by these the settings away from home are chosen.

    Volumes that are apart teach a specialist beside all this, together with the others: so much of another look would
    cost on the tissue that is there.

    Args:
        volumes: With known cells.
        parts: From each cell to learn from to its part, at least two; all other cells are held out.
        config: How to learn.
        start: A model that knows other cells than these; each forest is blended with its own, by weights from what
            both say of cells that neither has seen, and settings are drawn towards its own. Its settings away from
            home are not taken over: they fit its log-odds, not those of the blend.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced once for each forest.

    Raises:
        ValueError: There are fewer than two parts, or too little is known to tell right from wrong.
    """
    config = LearnConfig() if config is None else config
    if len(set(parts.values())) < 2:
        raise ValueError("cells must be in at least two parts")
    held_out = [volume.cells.keys() - parts.keys() for volume in volumes]
    volumes = [v.without(cells) if cells else v for v, cells in zip(volumes, held_out, strict=True)]
    specialist = _specialist(volumes, parts, config=config, keep=keep, progress=progress)
    volumes, courses = _common(volumes), []
    for number, taught in enumerate(_courses_of(volumes) * config.draws):
        dealt = _deal(parts, seed=number) if number else parts
        mine = {cell: dealt[cell] for volume in taught for cell in volume.cells}
        drawn = replace(config, seed=config.seed * COURSES + number)
        courses.append(_learn(f"{number}-", taught, mine, config=drawn, start=start, keep=keep, progress=progress))
    trials = _validate(volumes, courses, config=config)
    tuned = tune(trials, toward=None if start is None else _tuned(start))
    away = _away(volumes, parts, config=config, keep=keep, progress=progress)
    head = SegmentHead(
        merge_forests([course.pairs.forest for course in courses]),
        merge_forests([course.candidates.forest for course in courses]),
        tuned.settings,
        away,
        _familiarity(volumes, start),
        specialist,
    )
    return FittedHead(head, tuned, tuple(courses), tuple(trials))


def _familiarity(volumes: Sequence[LabelledVolume], start: Start | None) -> Familiarity | None:
    """Return what the real cubes look like that were learned from, now or by the start.

    No settings were chosen on cubes that were generated or changed, so what looks like these alone is not known.
    """
    own = _look_of([volume for volume in volumes if volume.kind == "real"])
    before = None if start is None else start.head.familiarity
    return own if own is None or before is None else own.beside(before)


def _look_of(volumes: Sequence[LabelledVolume]) -> Familiarity | None:
    return Familiarity.learn(volume.graph.evidence for volume in some_of(volumes))


def _common(volumes: Sequence[LabelledVolume]) -> list[LabelledVolume]:
    """Return what teaches the forests that are asked everywhere."""
    return [volume for volume in volumes if volume.kind != "apart"]


def _specialist(
    volumes: Sequence[LabelledVolume], parts: Mapping[int, int], *, config: LearnConfig, keep: Keep, progress: Progress
) -> Specialist | None:
    """Return what volumes that are apart teach together with the others; None where there are none."""
    known = _look_of([volume for volume in volumes if volume.kind == "apart"])
    if known is None:
        return None
    mine = {cell: parts[cell] for volume in volumes for cell in volume.cells}
    drawn, kept = replace(config, seed=config.seed * COURSES + COURSES - 1), named(keep, "specialist-")
    pairs = learn_pairs(volumes, mine, config=drawn, keep=kept, progress=progress)
    candidates = learn_candidates(volumes, pairs, config=drawn, by_part=False, keep=kept, progress=progress)
    return Specialist(pairs.forest, candidates.forest, known)


def count_forests(volumes: Sequence[LabelledVolume], *, parts: int, config: LearnConfig) -> int:
    """Return how many forests `fit_head` fits."""
    common = _common(volumes)
    at_home = len(_courses_of(common)) * config.draws * (2 * parts + config.rounds)
    specialist = parts + config.rounds if len(common) < len(volumes) else 0
    return at_home + len(_tissues(common, config)) * (parts + 1) + specialist


def _away(
    volumes: Sequence[LabelledVolume], parts: Mapping[int, int], *, config: LearnConfig, keep: Keep, progress: Progress
) -> HeadSettings | None:
    """Return the settings that hold on tissue that was not learned from; None where there are too few to tell."""
    tissues = _tissues(volumes, config)
    if not tissues:
        return None
    once, trials = replace(config, rounds=1), []
    for name, mine in sorted(tissues.items()):
        others = [volume for volume in volumes if volume not in mine]
        known = {cell: parts[cell] for volume in others for cell in volume.cells}
        here = named(keep, f"without-{name}-")
        pairs = learn_pairs(others, known, config=once, keep=here, progress=progress)
        candidates = learn_candidates(others, pairs, config=once, by_part=False, keep=here, progress=progress)
        trials += try_forests(mine, pairs.forest, candidates.forest, config=config)
    return tune_away(trials)


def _tissues(volumes: Sequence[LabelledVolume], config: LearnConfig) -> dict[str, list[LabelledVolume]]:
    """Return the tissues that are left out in turn; none if there are too few, and none that choose no settings.

    Generated cubes are one kind of tissue, whatever their looks.
    """
    tissue = {name: names[0] for names in config.alike for name in names}
    found: dict[str, list[LabelledVolume]] = {}
    for volume in volumes:
        if volume.cells:
            own = "generated" if volume.kind == "generated" else tissue.get(volume.dataset, volume.dataset)
            found.setdefault(own, []).append(volume)
    if not config.away or len(found) < LEAST_TISSUES:
        return {}
    return {name: mine for name, mine in found.items() if any(volume.validates for volume in mine)}


def try_forests(
    volumes: Sequence[LabelledVolume], pairs: Forest, candidates: Forest, *, config: LearnConfig
) -> list[Trial]:
    """Grow the tasks of volumes that two forests know nothing of."""
    return _try_cells(
        volumes,
        lambda volume: survey(volume.graph, pairs.log_odds(volume.graph.evidence)),
        lambda _: candidates,
        config=config,
    )


def _tuned(start: Start) -> Tuned:
    return Tuned(start.head.settings, start.thresholds, score=0.0, rejected_wrong=0.0)


def _deal(parts: Mapping[int, int], *, seed: int) -> dict[int, int]:
    """Return other parts of the same sizes for the cells."""
    cells = sorted(parts)
    dealt = np.random.default_rng(seed).permutation([parts[cell] for cell in cells])
    return dict(zip(cells, dealt.tolist(), strict=True))


def _courses_of(volumes: Sequence[LabelledVolume]) -> list[list[LabelledVolume]]:
    """Return the sets of volumes to learn from: those of tissue that is there, in whatever form, and all."""
    own = [volume for volume in volumes if volume.kind != "generated"]
    return [list(volumes)] if len(own) in (0, len(volumes)) else [own, list(volumes)]


def _learn(
    name: str,
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    *,
    config: LearnConfig,
    start: Start | None,
    keep: Keep,
    progress: Progress,
) -> Course:
    kept = named(keep, name)
    head = None if start is None else start.head
    pairs = learn_pairs(
        volumes, parts, config=config, start=None if head is None else head.pairs, keep=kept, progress=progress
    )
    candidates = learn_candidates(
        volumes, pairs, config=config, start=None if head is None else head.candidates, keep=kept, progress=progress
    )
    return Course(frozenset(volume.name for volume in volumes), pairs, candidates)


def named(keep: Keep, prefix: str) -> Keep:
    """Return the same keep with a prefix to all names."""

    def kept(name: str, fit: Callable[[], Forest]) -> Forest:
        return keep(prefix + name, fit)

    return kept


def _mean_log_odds(courses: Sequence[Course], volume: LabelledVolume) -> NDArray[np.float64]:
    """Return the mean of the judgements of the courses that know the volume."""
    said = [course.pairs.log_odds(volume) for course in courses if volume.name in course.volumes]
    return np.asarray(np.mean(said, axis=0))


def _validate(volumes: Sequence[LabelledVolume], courses: Sequence[Course], *, config: LearnConfig) -> list[Trial]:
    """Grow the tasks of each cell by forests that have not seen it."""
    return _try_cells(
        volumes,
        lambda volume: survey(volume.graph, _mean_log_odds(courses, volume)),
        lambda cell: merge_forests([course.candidates.without[course.pairs.parts[cell]] for course in courses]),
        config=config,
    )


def _try_cells(
    volumes: Sequence[LabelledVolume],
    look: Callable[[LabelledVolume], Surroundings],
    judge_of: Callable[[int], Forest],
    *,
    config: LearnConfig,
) -> list[Trial]:
    """Grow the tasks of the cells that settings are chosen on, `config.bounds.trials` of them at most.

    Args:
        volumes: With known cells.
        look: From a volume to its surroundings.
        judge_of: From a cell to the forest that judges its candidates.
        config: For its bounds and its seed.
    """
    random = np.random.default_rng(config.seed)
    asked = list(draw_cells(validating(volumes), most=config.bounds.trials, random=random))
    drawn = max(DRAWN_SEEDS, math.ceil(LEAST_DRAWN / max(sum(len(cells) for _, cells in asked), 1)))
    trials: list[Trial] = []
    for volume, cells in asked:
        around = look(volume)
        for cell in cells:
            trials += _try_cell(volume, around, cell, forest=judge_of(cell), drawn=drawn, seed=config.seed)
    return trials


def _try_cell(
    volume: LabelledVolume, around: Surroundings, cell: int, *, forest: Forest, drawn: int, seed: int
) -> list[Trial]:
    """Grow the cell's tasks, and from further seeds drawn as in training."""
    random = np.random.default_rng([seed, volume.id, cell % 2**32])
    voxels = volume.graph.voxels.astype(np.float64)
    given, further = volume.seeds.get(cell, ()), [draw_seed(volume, around, cell, random) for _ in range(drawn)]
    trials = []
    for number, rows in enumerate([*given, *further]):
        to_add = volume.to_add(cell, rows)
        if number >= len(given) and not len(to_add):
            continue
        target = np.zeros(len(voxels), dtype=bool)
        target[to_add] = True
        trials.append(Trial(volume.dataset, grow(around, rows, judge=forest), voxels, target))
    return trials
