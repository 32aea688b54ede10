"""One answer to one task, scored: the row of tasks.csv, and what is gathered beside it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.evaluation.calibration import Calibration, bin_index, ece
from ewval.core.evaluation.faults import inject_fault
from ewval.core.evaluation.gathered import DARKNESS_BINS, RATIO_COLUMNS, UNCERTAINTY_BINS, UNDEFINED, Gathered
from ewval.core.evaluation.metrics import (
    COUNTS,
    RATIOS,
    Floats,
    Mask,
    cross_entropy,
    near_surface,
    segment_metrics,
    voxel_metrics,
)
from ewval.core.predict.answers import judge
from ewval.core.predict.prediction import TaskPrediction
from ewval.core.segments.decision import Question
from ewval.core.segments.verdicts import expected_wrong_voxels, review_priority
from ewval.core.tasks.samples import Sample

COUNT_COLUMNS = tuple(prefix + name for prefix in ("count_", "count_seedless_") for name in COUNTS)
TOLERANT_COLUMNS = tuple(f"tolerant_{prefix}{name}" for prefix in ("", "seedless_") for name in RATIOS)
SEGMENT_COLUMNS = tuple(f"{kind}_{name}" for kind in ("volume", "count") for name in ("precision", "recall", "f1"))
TASK_COLUMNS = ("extend", "true_voxels", "wrong_voxels", "true_segments", "chosen_segments", "candidates", "maybe")
DOUBT_COLUMNS = ("nll", "brier", "ece", "segment_ece", "uncertainty", "expected_wrong_voxels", "review_priority")
COLUMNS = (
    "loss",
    *RATIO_COLUMNS,
    *COUNT_COLUMNS,
    *TOLERANT_COLUMNS,
    *SEGMENT_COLUMNS,
    *TASK_COLUMNS,
    *DOUBT_COLUMNS,
    "trace_priority",
    "faulty_trace_priority",
    "familiarity",
)
"""What a row holds, in the order of tasks.csv. nan stands where an answer has no probabilities."""
COLUMN = {name: index for index, name in enumerate(COLUMNS)}


@dataclass(frozen=True, slots=True)
class Truth:
    """What is right.

    Args:
        target: bool [z, y, x], voxels of the neuron, the seed's too.
        true: Ids of the segments that are to be added, without the seed.
    """

    target: Mask
    true: frozenset[int]


@dataclass(frozen=True, slots=True)
class Guess:
    """What somebody answers to one task.

    Args:
        voxels: bool [z, y, x], said to belong to the neuron.
        chosen: Ids of the segments to add, without the seed.
        prediction: Where a model answered: its scored segments.
        probability: Where a model answered: float32 [z, y, x], that a voxel belongs to the neuron.
    """

    voxels: Mask
    chosen: frozenset[int]
    prediction: TaskPrediction | None = None
    probability: NDArray[np.float32] | None = None

    @property
    def is_packed(self) -> bool:
        """Whether a model scored segments in the packed cube."""
        return self.prediction is not None and self.prediction.resolution == "packed"


def named_segments(question: Question, chosen: Iterable[int]) -> Guess:
    """Return the answer of one who only names segments: their voxels and those of the seed."""
    chosen = frozenset(chosen) - frozenset(question.seed) - {0}
    named = np.zeros(SEGMENT_ID_COUNT, dtype=bool)
    named[[*chosen, *question.seed]] = True
    named[0] = False
    return Guess(named[question.sample.labels], chosen)


def score_guess(guess: Guess, question: Question, truth: Truth, *, gathered: Gathered) -> Floats:
    """Return the row of one answer, float64 [len(COLUMNS)]; what is summed over tasks goes to `gathered`."""
    size = question.view.sizes
    metrics, undefined = voxel_metrics(guess.voxels, truth.target, question.sample.seed)
    metrics |= segment_metrics(set(guess.chosen), set(truth.true), size=size)
    if not guess.chosen and not truth.true:
        undefined.append("volume_f1")
    gathered.undefined += np.isin(UNDEFINED, undefined)
    metrics |= {
        "extend": float(bool(truth.true)),
        "true_voxels": float(size[sorted(truth.true)].sum()),
        "true_segments": len(truth.true),
        "chosen_segments": len(guess.chosen),
    }
    if guess.probability is not None:
        metrics |= _voxels(guess.probability, question.sample, truth.target, gathered=gathered)
    if guess.prediction is not None:
        metrics |= _candidates(guess.prediction, truth, wrong=metrics["wrong_voxels"], gathered=gathered)
        metrics |= _trace_priorities(guess.prediction, question, truth)
    return np.array([metrics.get(name, np.nan) for name in COLUMNS])


def _voxels(probability: NDArray[np.float32], sample: Sample, target: Mask, *, gathered: Gathered) -> dict[str, float]:
    """Gather the voxels outside the seed, boundary and interior apart; the seed is known, so no doubt concerns it."""
    surface, outside = near_surface(target), ~sample.seed
    gathered.darkness += _darkness(sample.image[outside], probability[outside])
    boundary, interior = Calibration(), Calibration()
    boundary.add(probability[outside & surface], target[outside & surface])
    interior.add(probability[outside & ~surface], target[outside & ~surface])
    gathered.boundary.merge(boundary)
    gathered.interior.merge(interior)
    boundary.merge(interior)
    in_seed = float(cross_entropy(probability[sample.seed], target[sample.seed]).sum())
    loss = (boundary.nll_sum + in_seed) / target.size
    return {"loss": loss, "nll": boundary.nll, "brier": boundary.brier, "ece": boundary.ece}


def _darkness(image: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count voxels by image value and uncertainty, int64 [64, 50]; uncertainty is 1 at probability 1/2."""
    column = bin_index(2.0 * np.minimum(probability, 1.0 - probability), bins=UNCERTAINTY_BINS)
    row = image.astype(np.int64) * DARKNESS_BINS // 256
    counts = np.bincount(row * UNCERTAINTY_BINS + column, minlength=DARKNESS_BINS * UNCERTAINTY_BINS)
    return counts.reshape(DARKNESS_BINS, UNCERTAINTY_BINS)


def _candidates(prediction: TaskPrediction, truth: Truth, *, wrong: float, gathered: Gathered) -> dict[str, float]:
    scores, chosen = prediction.segments, prediction.add
    ids = np.array([score.id for score in scores], dtype=np.int64)
    voxels = np.array([score.voxels for score in scores], dtype=np.float64)
    uncertainty = np.array([score.uncertainty for score in scores], dtype=np.float64)
    probability = np.array([score.probability for score in scores], dtype=np.float64)
    is_true = np.isin(ids, list(truth.true))
    is_wrong = is_true != np.isin(ids, list(chosen))
    gathered.doubt.add(uncertainty, np.where(is_wrong, voxels, 0.0), wrong_total=wrong)
    gathered.segments.add(probability, is_true)
    return {
        "candidates": len(scores),
        "maybe": len(prediction.maybe),
        "segment_ece": ece(probability, is_true) if scores else 0.0,
        "uncertainty": float((uncertainty * voxels).sum() / max(voxels.sum(), 1.0)),
        "expected_wrong_voxels": expected_wrong_voxels(chosen, scores),
        "review_priority": review_priority(chosen, scores),
        "familiarity": np.nan if prediction.familiarity is None else prediction.familiarity,
    }


def _trace_priorities(prediction: TaskPrediction, question: Question, truth: Truth) -> dict[str, float]:
    """Return how urgently the players' trace asks for review, as it is and with a fault put into it."""
    faulty = inject_fault(truth.true, question.view, seed=question.seed, key=question.sample.task)
    if faulty is None:
        return {}
    traces = {"trace_priority": truth.true, "faulty_trace_priority": faulty}
    return {
        name: judge(prediction, consensus=trace | set(question.seed)).review_priority for name, trace in traces.items()
    }
