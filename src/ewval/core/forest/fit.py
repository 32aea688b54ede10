"""From labelled cubes to forests whose every setting was chosen on cells they had not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.away import common_of, count_away, courses_of, learn_away, try_cells
from ewval.core.forest.boosting import merge_forests
from ewval.core.forest.candidates import survey
from ewval.core.forest.familiarity import Familiarity, some_of
from ewval.core.forest.labelled import LabelledVolume, dealt_alone
from ewval.core.forest.learn import (
    Keep,
    LearnConfig,
    LearnedCandidates,
    PairJudgement,
    fit_anew,
    learn_candidates,
    learn_pairs,
    named,
)
from ewval.core.forest.model import SegmentHead, Specialist
from ewval.core.forest.tune import Trial, Tuned, tune, tune_away
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.verdicts import Thresholds

__all__ = ["Course", "FittedHead", "Start", "count_forests", "fit_head", "learn_specialist", "look_of_real"]

COURSES = 16
"""More than a head has, so that heads of different seeds share no random choice."""


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
    specialist = learn_specialist(volumes, parts, config=config, keep=keep, progress=progress)
    volumes, courses = common_of(volumes), []
    for number, taught in enumerate(courses_of(volumes) * config.draws):
        dealt = _deal(parts, volumes, seed=number) if number else parts
        mine = {cell: dealt[cell] for volume in taught for cell in volume.cells}
        drawn = replace(config, seed=config.seed * COURSES + number)
        courses.append(_learn(f"{number}-", taught, mine, config=drawn, start=start, keep=keep, progress=progress))
    trials = _validate(volumes, courses, config=config)
    tuned = tune(trials, toward=None if start is None else _tuned(start))
    away = learn_away(volumes, parts, config=config, keep=keep, progress=progress)
    head = SegmentHead(
        merge_forests([course.pairs.forest for course in courses]),
        merge_forests([course.candidates.forest for course in courses]),
        tuned.settings,
        tune_away([trial for tissue in away for trial in tissue.trials]) if away else None,
        _familiarity(volumes, start),
        specialist,
    )
    return FittedHead(head, tuned, tuple(courses), tuple(trials))


def _familiarity(volumes: Sequence[LabelledVolume], start: Start | None) -> Familiarity | None:
    """Return what the real cubes look like that were learned from, now or by the start.

    No settings were chosen on cubes that were generated or changed, so what looks like these alone is not known.
    """
    own = look_of_real(volumes)
    before = None if start is None else start.head.familiarity
    return own if own is None or before is None else own.beside(before)


def look_of_real(volumes: Sequence[LabelledVolume]) -> Familiarity | None:
    """Return what the real cubes among `volumes` look like; None where none has a contact."""
    return _look_of([volume for volume in volumes if volume.kind == "real"])


def _look_of(volumes: Sequence[LabelledVolume]) -> Familiarity | None:
    return Familiarity.learn(volume.graph.evidence for volume in some_of(volumes))


def learn_specialist(
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    *,
    config: LearnConfig,
    keep: Keep = fit_anew,
    progress: Progress = SILENT,
) -> Specialist | None:
    """Return what volumes that are apart teach together with the others; None where there are none.

    Args:
        volumes: With known cells.
        parts: From each of their cells to its part.
        config: How to learn.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced once for each forest.
    """
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
    common = common_of(volumes)
    at_home = len(courses_of(common)) * config.draws * (2 * parts + config.rounds)
    specialist = parts + config.rounds if len(common) < len(volumes) else 0
    return at_home + count_away(common, parts=parts, config=config) + specialist


def _tuned(start: Start) -> Tuned:
    return Tuned(start.head.settings, start.thresholds, score=0.0, rejected_wrong=0.0)


def _deal(parts: Mapping[int, int], volumes: Sequence[LabelledVolume], *, seed: int) -> dict[int, int]:
    """Return other parts of the same sizes for the cells, those of generated cubes dealt among themselves."""
    dealt: dict[int, int] = {}
    for cells, random in dealt_alone(volumes, seed=seed):
        known = [cell for cell in cells if cell in parts]
        dealt |= zip(known, random.permutation([parts[cell] for cell in known]).tolist(), strict=True)
    return dealt


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


def _mean_log_odds(courses: Sequence[Course], volume: LabelledVolume) -> NDArray[np.float64]:
    """Return the mean of the judgements of the courses that know the volume."""
    said = [course.pairs.log_odds(volume) for course in courses if volume.name in course.volumes]
    return np.asarray(np.mean(said, axis=0))


def _validate(volumes: Sequence[LabelledVolume], courses: Sequence[Course], *, config: LearnConfig) -> list[Trial]:
    """Grow the tasks of each cell by forests that have not seen it."""
    return try_cells(
        volumes,
        lambda volume: survey(volume.graph, _mean_log_odds(courses, volume)),
        lambda cell: merge_forests([course.candidates.without[course.pairs.parts[cell]] for course in courses]),
        config=config,
    )
