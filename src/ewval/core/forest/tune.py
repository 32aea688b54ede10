"""The few numbers that turn a head's scores into answers, chosen on validation cells."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.calibration.beta import BetaCalibration
from ewval.core.forest.growth import Growth, best_cut
from ewval.core.forest.model import HeadSettings
from ewval.core.segments.verdicts import Thresholds

__all__ = ["MAYBE_BOUNDS", "Trial", "Tuned", "is_surely_better", "score_of", "tune", "tune_away"]

NOTHING = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05)
"""Of weights that score alike the first is taken. At 0.2 a first large segment is added from one chance in six on."""
BOUNDS = tuple(round(0.1 + 0.05 * i, 2) for i in range(15))
WEIGHT_EXTEND = 0.9
"""Weight of tasks with something to add in the score by which bound and weight of nothing are chosen."""
REJECTED_WRONG = 0.01
"""Share of the rejected candidates that may belong to the neuron after all."""
MAYBE_BOUNDS = (0.4, 0.35, 0.3, 0.25, 0.2)
"""Maybe begins at the first that keeps to `REJECTED_WRONG`, else at the last: at 0.05 it would list some hundred
segments a task in dense tissue, at 0.2 a few."""


RIDGE_OF_ONE, TRIALS_TO_MOVE = 0.1, 5
"""Pull of a calibration towards the one before, when it comes from so many trials; it falls with their number."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A task that was grown by a head that has not seen its cell.

    Args:
        dataset: What the task's score is averaged with.
        growth: What the head did.
        voxels: float64[n], by row of the graph.
        target: bool[n], by row: what was to be added.
    """

    dataset: str
    growth: Growth
    voxels: NDArray[np.float64]
    target: NDArray[np.bool_]

    def f1(self, count: int) -> float:
        """Return the volume F1 of answering with the first `count` segments that joined."""
        rows = self.growth.rows[:count]
        right = self.voxels[rows[self.target[rows]]].sum()
        total = self.voxels[rows].sum() + self.voxels[self.target].sum()
        return float(2 * right / total) if total else 1.0


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was chosen on the trials.

    Args:
        settings: Of the head.
        thresholds: For its card.
        score: That the settings reached.
        rejected_wrong: Share of the rejected candidates that belong to the neuron, see `MAYBE_BOUNDS`.
    """

    settings: HeadSettings
    thresholds: Thresholds
    score: float
    rejected_wrong: float


def tune(trials: Sequence[Trial], *, toward: Tuned | None = None) -> Tuned:
    """Choose the calibration by likelihood, then the weight of adding nothing and the bounds of verdicts by F1.

    The score is the mean over data sets of a mean volume F1 in which tasks with something to add weigh nine tenths
    and those with nothing to add one tenth: the first alone would make a head that always adds something.

    Args:
        trials: Of validation cells.
        toward: What held before, where something did: with few trials it is kept to, with many they decide.
    """
    calibration = _calibrate(trials, toward=None if toward is None else toward.settings.calibration)
    offered = [HeadSettings(calibration, nothing) for nothing in NOTHING]
    settings = max(offered, key=lambda s: _score(trials, _cuts(trials, s)))
    if toward is not None:
        before = replace(settings, nothing=toward.settings.nothing)
        settings = settings if is_surely_better(trials, settings, trials, before) else before
    by_bound = {b: _score(trials, [int((_joined(t, settings) >= b).sum()) for t in trials]) for b in BOUNDS}
    add = max(BOUNDS, key=lambda b: by_bound[b])
    cuts = _cuts(trials, settings)
    wrong = {b: _rejected_wrong(trials, cuts, settings=settings, bound=b) for b in (*MAYBE_BOUNDS, add)}
    maybe = min(next((b for b in MAYBE_BOUNDS if wrong[b] <= REJECTED_WRONG), MAYBE_BOUNDS[-1]), add)
    return Tuned(settings, Thresholds(add=add, maybe=maybe), _score(trials, cuts), wrong[maybe])


def score_of(trials: Sequence[Trial], settings: HeadSettings) -> float:
    """Return the score, as `tune` counts it, of trials answered with given settings."""
    return _score(trials, _cuts(trials, settings))


def is_surely_better(
    trials: Sequence[Trial], settings: HeadSettings, others: Sequence[Trial], other_settings: HeadSettings
) -> bool:
    """Tell whether trials score better than the same tasks grown by another model, by more than one standard error."""
    gains = [t.f1(n) for t, n in zip(trials, _cuts(trials, settings), strict=True)]
    losses = [t.f1(n) for t, n in zip(others, _cuts(others, other_settings), strict=True)]
    return _is_sure(np.subtract(gains, losses))


def tune_away(trials: Sequence[Trial]) -> HeadSettings:
    """Choose calibration and weight of adding nothing on tissue that nothing was learned from, all tissues alike."""
    calibration = _calibrate(trials)
    offered = [HeadSettings(calibration, nothing) for nothing in NOTHING]
    return max(offered, key=lambda s: _score(trials, _cuts(trials, s)))


def _is_sure(gains: NDArray[np.float64]) -> bool:
    return len(gains) > 1 and bool(gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)))


def _cuts(trials: Sequence[Trial], settings: HeadSettings) -> list[int]:
    """Return how many segments the head would answer each trial with."""
    return [best_cut(t.voxels[t.growth.rows], _joined(t, settings), nothing=settings.nothing) for t in trials]


def _joined(trial: Trial, settings: HeadSettings) -> NDArray[np.float64]:
    """Return the probabilities of the segments that joined."""
    return settings.calibration.probability(trial.growth.log_odds)


def _calibrate(trials: Sequence[Trial], *, toward: BetaCalibration | None = None) -> BetaCalibration:
    """Return the likeliest calibration: all data sets count alike, in each all tasks, in each all candidates."""
    grown = [trial for trial in trials if len(trial.growth.rows) + len(trial.growth.refused)]
    tasks = Counter(trial.dataset for trial in grown)
    odds, truth, weight = [np.zeros(0)], [np.zeros(0, dtype=bool)], [np.zeros(0)]
    for trial in grown:
        growth = trial.growth
        rows = np.concatenate([growth.rows, growth.refused])
        odds.append(np.concatenate([growth.log_odds, growth.refused_log_odds]))
        truth.append(trial.target[rows])
        weight.append(np.full(len(rows), 1 / (len(rows) * tasks[trial.dataset] * len(tasks))))
    known, given = np.concatenate(odds), np.concatenate(truth)
    if toward is None:
        return BetaCalibration.fit(known, given, weight=np.concatenate(weight))
    ridge = TRIALS_TO_MOVE / max(len(grown), 1) * RIDGE_OF_ONE
    return BetaCalibration.fit(known, given, weight=np.concatenate(weight), toward=toward, ridge=ridge)


def _score(trials: Sequence[Trial], counts: Sequence[int]) -> float:
    of_dataset = []
    for dataset in sorted({t.dataset for t in trials}):
        mine = [(t.f1(count), t.target.any()) for t, count in zip(trials, counts, strict=True) if t.dataset == dataset]
        extend = [f1 for f1, is_extend in mine if is_extend]
        complete = [f1 for f1, is_extend in mine if not is_extend]
        of_dataset.append(WEIGHT_EXTEND * np.mean(extend or [1.0]) + (1 - WEIGHT_EXTEND) * np.mean(complete or [1.0]))
    return float(np.mean(of_dataset)) if of_dataset else 0.0


def _rejected_wrong(trials: Sequence[Trial], cuts: Sequence[int], *, settings: HeadSettings, bound: float) -> float:
    """Return the share of candidates below `bound` that belong: mean over data sets of the mean over tasks."""
    shares: dict[str, list[float]] = {}
    for trial, count in zip(trials, cuts, strict=True):
        growth = trial.growth
        rows = np.concatenate([growth.rows[count:], growth.refused])
        odds = np.concatenate([growth.log_odds[count:], growth.refused_log_odds])
        rejected = rows[settings.calibration.probability(odds) < bound]
        shares.setdefault(trial.dataset, []).append(float(trial.target[rejected].mean()) if len(rejected) else 0.0)
    return float(np.mean([np.mean(of_dataset) for of_dataset in shares.values()])) if shares else 0.0
