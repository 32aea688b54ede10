"""The tasks that went worst and best, with slices to look at."""

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.evaluation.answerers import Answerer
from ewval.core.evaluation.metrics import segment_metrics
from ewval.core.evaluation.scoring import Guess, Truth
from ewval.core.evaluation.tasks import TaskSet
from ewval.core.evaluation.totals import Totals
from ewval.core.segments.decision import Question
from ewval.core.show.slices import Overlay, centre_of, draw_slices
from ewval.core.volumes.voxels import SegmentMask

SHOWN = 4
"""Tasks on either side."""
JPEG_QUALITY = 84


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One task on show.

    Args:
        task: Its id.
        cell: Its cell, -1 where unknown.
        volume_f1: How well it went.
        wrong_voxels: Volume of what was added in error or missed.
        right: Segments added rightly.
        extra: Segments added in error.
        missed: Segments missed.
        picture: JPEG of slices: the players' answer, the model's, its uncertainty.
    """

    task: int
    cell: int
    volume_f1: float
    wrong_voxels: int
    right: int
    extra: int
    missed: int
    picture: bytes


def worst_tasks(totals: Totals) -> list[int]:
    """Return the tasks with the most wrong volume, most first; none that has nothing wrong."""
    wrong = totals.column("wrong_voxels")
    order = np.lexsort((totals.tasks, -wrong))
    return [int(totals.tasks[at]) for at in order[:SHOWN] if wrong[at] > 0]


def best_tasks(totals: Totals) -> list[int]:
    """Return the tasks with something to add that went best, best first; none without anything right."""
    score = np.where(totals.column("extend") > 0, totals.column("volume_f1"), 0.0)
    order = np.lexsort((totals.tasks, -score))
    return [int(totals.tasks[at]) for at in order[:SHOWN] if score[at] > 0]


def exhibits(chosen: Collection[int], tasks: TaskSet, answerer: Answerer) -> Iterator[Exhibit]:
    """Yield the chosen tasks, asked once more: by volume, so that each is decoded once."""
    for question, truth in tasks.questions(tasks.table.by_volume(np.array(sorted(chosen), dtype=np.int64))):
        [guess] = answerer.answer([question])
        yield _exhibit(question, truth, guess, tasks)


def _exhibit(question: Question, truth: Truth, guess: Guess, tasks: TaskSet) -> Exhibit:
    metrics = segment_metrics(set(guess.chosen), set(truth.true), size=question.view.sizes)
    return Exhibit(
        task=question.sample.task,
        cell=question.sample.cell,
        volume_f1=metrics["volume_f1"],
        wrong_voxels=int(metrics["wrong_voxels"]),
        right=len(guess.chosen & truth.true),
        extra=len(guess.chosen - truth.true),
        missed=len(truth.true - guess.chosen),
        picture=_picture(question, truth, guess, tasks),
    )


def _picture(question: Question, truth: Truth, guess: Guess, tasks: TaskSet) -> bytes:
    """Draw slices through what is wrong, or through the answer where nothing is, at the best resolution at hand."""
    sample = question.sample
    image, labels = tasks.sources.image(sample.volume), tasks.sources.labels(sample.volume)
    if image is None or labels is None:
        image, labels = sample.image, sample.labels
    seed, true, chosen = (_mask(labels, ids) for ids in (question.seed, truth.true, guess.chosen))
    overlays = [
        Overlay("the players' answer", [("seed", seed), ("consensus", true)]),
        Overlay("the model's answer", [("seed", seed), ("maybe", _maybe(labels, guess)), ("add", chosen)]),
    ]
    if guess.prediction is not None:
        doubt = 2.0 * np.minimum(guess.prediction.probability, 1.0 - guess.prediction.probability)
        overlays.append(Overlay("its uncertainty", heat=doubt.astype(np.float32)))
    centre = _centre(labels, truth.true ^ guess.chosen, truth.true, question.seed)
    stream = io.BytesIO()
    draw_slices(image, overlays, centre=centre).save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()


def _centre(labels: NDArray[np.uint16], *parts: Collection[int]) -> tuple[float, float, float]:
    """Return the centre of the first of `parts` that has any voxel."""
    masks = (_mask(labels, part)[:] for part in parts if part)
    return centre_of(next((mask for mask in masks if mask.any()), np.zeros(0, dtype=bool)))


def _maybe(labels: NDArray[np.uint16], guess: Guess) -> SegmentMask:
    return _mask(labels, () if guess.prediction is None else guess.prediction.maybe)


def _mask(labels: NDArray[np.uint16], ids: Collection[int]) -> SegmentMask:
    return SegmentMask(labels, np.array(sorted(ids), dtype=np.uint32))
