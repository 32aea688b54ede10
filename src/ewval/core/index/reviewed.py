"""Answers that people settled in `ewval review`, in place of the players' answers to the same tasks."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from ewval.core.errors import MissingError, SettingError
from ewval.core.index.source import Source
from ewval.core.ledger.reviews import Review, ReviewStore, answers_of
from ewval.core.tasks.table import Int64s

__all__ = ["REVIEW_WEIGHT", "read_answers", "with_reviews"]

REVIEW_WEIGHT = 1e6
"""Weight of votes of a reviewed answer: somebody looked at every part of it, so that no bound on votes drops it."""


def read_answers(path: Path) -> dict[int, Review]:
    """Return the final answers at `path` by task.

    Raises:
        MissingError: There are none.
    """
    with closing(ReviewStore.open_existing(path)) as store:
        answers = answers_of(store.settled())
    if not answers:
        raise MissingError(f"any final answer in {path}", hint="`ewval review` makes them")
    return answers


def with_reviews(source: Source, answers: dict[int, Review], *, keeps_files: bool) -> tuple[Source, Int64s]:
    """Return the source with reviewed answers in place of the players', and the tasks that have one, ascending.

    A task's answer is the reviewer's or the players', never some of both.

    Args:
        source: Of all tasks.
        answers: By task; those of tasks that are not in the source are left out.
        keeps_files: Whether the task files that the source came from stay as they are.

    Raises:
        UsageError: The players' answers stand nowhere but in task files that are about to be overwritten.
    """
    table = source.table
    tasks = np.array(sorted(task for task in answers if table.has(task)), dtype=np.int64)
    rows = table.rows(tasks)
    if np.isnan(source.facts.weight[rows]).any() and not keeps_files:
        raise SettingError(
            "would overwrite the only copy of the players' answers; write to another folder", setting="reviews"
        )
    weight, wanted = source.facts.weight.copy(), source.facts.wanted.copy()
    weight[rows], wanted[rows] = REVIEW_WEIGHT, True
    table = table.with_answers({task: answers[task].segments for task in tasks.tolist()}) if len(tasks) else table
    return replace(source, table=table, facts=replace(source.facts, weight=weight, wanted=wanted)), tasks
