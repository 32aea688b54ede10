"""The threshold of growth by image evidence, chosen where nothing is scored later."""

from contextlib import suppress
from dataclasses import replace

import numpy as np

from ewval.core.errors import DataError
from ewval.core.evaluation.answerers import Growth
from ewval.core.evaluation.evidence import EvidenceCache
from ewval.core.evaluation.metrics import segment_metrics
from ewval.core.evaluation.scoring import Truth
from ewval.core.evaluation.tasks import Int64s, TaskSet
from ewval.core.segments.decision import Question

TUNING_TASKS = 64
THRESHOLDS = tuple(np.linspace(-0.6, 0.2, 41).round(2).tolist())
UNTUNED = 0.0
"""Where no task is left to tune on: cross where the contact is no darker than what lies behind it."""


def tune_growth(tasks: TaskSet, *, seed: int) -> tuple[Growth, str]:
    """Return growth with the threshold of the best volume F1 on validation tasks, and what it was tuned on.

    Validation tasks with something to add count; where there is none, those of the train side; never what is scored.
    """
    for side in ("val", "train"):
        ids = np.setdiff1d(tasks.split.side(side), tasks.ids)
        chosen = _with_something_to_add(tasks, ids, seed=seed)
        if len(chosen):
            return _best(tasks, chosen), f"{len(chosen)} tasks of the {side} side"
    return Growth(UNTUNED, EvidenceCache(tasks.sources)), "nothing: no task is left to tune on"


def _with_something_to_add(tasks: TaskSet, ids: Int64s, *, seed: int) -> Int64s:
    table = tasks.table
    drawn = np.random.default_rng(seed).permutation(ids)
    found: list[int] = []
    for task in drawn:
        row = table.find(int(task))
        if row is not None and len(table.aggregate(row)) > len(table.seed(row)):
            found.append(int(task))
        if len(found) == TUNING_TASKS:
            break
    return table.by_volume(np.array(found, dtype=np.int64))


def _best(tasks: TaskSet, chosen: Int64s) -> Growth:
    growth, scores = Growth(UNTUNED, EvidenceCache(tasks.sources)), np.zeros(len(THRESHOLDS))
    for task in chosen.tolist():
        with suppress(DataError):  # the others tell as well
            question, truth = tasks.question(task, with_graph=True)
            scores += [_score(replace(growth, threshold=value), question, truth) for value in THRESHOLDS]
    return replace(growth, threshold=THRESHOLDS[int(scores.argmax())])


def _score(growth: Growth, question: Question, truth: Truth) -> float:
    [guess] = growth.answer([question])
    return segment_metrics(set(guess.chosen), set(truth.true), size=question.view.sizes)["volume_f1"]
