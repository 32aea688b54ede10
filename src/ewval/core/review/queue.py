"""Which task a person is asked about next."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

from ewval.core.errors import SettingError
from ewval.core.ledger.reviews import Rank
from ewval.core.review.ranking import to_learn_from
from ewval.core.review.scene import TaskFacts

__all__ = ["ORDERS", "Order", "Queue"]

Order = Literal["priority", "learn", "given"]
ORDERS: tuple[Order, ...] = get_args(Order)
AHEAD = 20
"""Tasks that `learn` orders at once; what is answered meanwhile changes the order of the rest."""


class Queue:
    """Tasks that are open, in one of three orders; safe to use from many threads.

    Args:
        tasks: As given.
        order: `priority` puts those first where most is expected to be wrong, `learn` those that a model would learn
            most from, `given` leaves them as they are. Tasks not yet ranked stand behind the others.
        settled: Tasks that are final or skipped.
        ranks: By task, as far as they are known.

    Raises:
        UsageError: No such order.
    """

    def __init__(
        self, tasks: Sequence[TaskFacts], *, order: str, settled: Iterable[int] = (), ranks: Mapping[int, Rank]
    ) -> None:
        if order not in ORDERS:
            raise SettingError(f"{order}: it is {', '.join(ORDERS)}", setting="order")
        self.tasks = {facts.task: facts for facts in tasks}
        self.order, self.problems = order, dict[int, str]()
        self._settled = set(settled) & self.tasks.keys()
        self._ranks = {task: rank for task, rank in ranks.items() if task in self.tasks}
        self._lock = threading.Lock()

    @property
    def open_count(self) -> int:
        """How many tasks are neither settled nor impossible."""
        return len(self.tasks.keys() - self._settled - self.problems.keys())

    def unranked(self) -> list[TaskFacts]:
        """Return the open tasks of which no rank is known."""
        with self._lock:
            return [facts for facts in self._open() if facts.task not in self._ranks]

    def rank(self, task: int, rank: Rank) -> None:
        """Say what is known of a task."""
        with self._lock:
            self._ranks[task] = rank

    def settle(self, task: int, *, is_settled: bool = True) -> None:
        """Say that a task is final or skipped, or that it is open again."""
        with self._lock:
            (self._settled.add if is_settled else self._settled.discard)(task)

    def fail(self, task: int, problem: str) -> None:
        """Say why a task cannot be shown."""
        with self._lock:
            self.problems[task] = problem

    def upcoming(self, count: int, *, without: Iterable[int] = ()) -> list[int]:
        """Return the next open tasks, those of `without` left out."""
        passed = set(without)
        with self._lock:
            waiting = [facts for facts in self._open() if facts.task not in passed]
            return self._ordered(waiting, min(count, len(waiting)))[:count]

    def priority(self, task: int) -> float | None:
        """Return the review priority of a task, None where it is not ranked yet."""
        with self._lock:
            return self._ranks[task].priority if task in self._ranks else None

    def _open(self) -> list[TaskFacts]:
        return [f for f in self.tasks.values() if f.task not in self._settled and f.task not in self.problems]

    def _ordered(self, waiting: Sequence[TaskFacts], count: int) -> list[int]:
        if self.order == "given":
            return [facts.task for facts in waiting]
        if self.order == "learn":
            settled = [self.tasks[task] for task in self._settled]
            first = to_learn_from(waiting, self._ranks, settled=settled, count=max(count, AHEAD))
        else:
            ranked = [facts.task for facts in waiting if facts.task in self._ranks]
            first = sorted(ranked, key=lambda task: -self._ranks[task].priority)
        return [*first, *(facts.task for facts in waiting if facts.task not in self._ranks)]
