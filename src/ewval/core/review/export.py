"""Settled answers for other programs: lines of JSON, and the form of `task_data.json`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ewval.core.ledger.reviews import Review

__all__ = ["export_lines", "task_data_of"]


def export_lines(reviews: Iterable[Review]) -> Iterator[dict[str, Any]]:
    """Yield the line of each settled task."""
    for review in reviews:
        yield {
            "task": review.task,
            "volume": review.volume,
            "seed": list(review.seed),
            "segments": list(review.segments),
            "state": review.state,
            "by": review.who,
            "at": review.at,
            "seconds": review.seconds,
            "model": review.model,
        }


def task_data_of(answers: Mapping[int, Review], parents: Mapping[int, int | None]) -> dict[str, Any]:
    """Return answers in the form of `task_data.json`."""
    return {
        str(task): {"seed": list(review.seed), "parent": parents.get(task), "aggregate": list(review.segments)}
        for task, review in sorted(answers.items())
    }
