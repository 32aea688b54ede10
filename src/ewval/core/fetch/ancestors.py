"""Tasks with their ancestors: what is asked of the API, and which volumes follow from it."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from typing import ParamSpec, TypeVar

from ewval.core.errors import EwvalError, MissingError
from ewval.core.eyewire.client import EyewireClient
from ewval.core.eyewire.records import Bounds, TaskRecord
from ewval.core.fetch.budget import Budget
from ewval.core.ledger.ledger import Ledger

P = ParamSpec("P")
T = TypeVar("T")
OrderVolume = Callable[[int, Bounds | None], Awaitable[None]]
"""Called with a volume that is needed, and the box that it has to overlap to be so (None: it is needed anyway)."""


class Books:
    """The ledger for coroutines: its calls run in one thread, one after the other."""

    def __init__(self, ledger: Ledger, thread: Executor) -> None:
        self.ledger, self._thread = ledger, thread

    async def run(self, function: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
        """Return what a method of the ledger returns."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *values, **named))


class Lineages:
    """Fetches tasks, their aggregates and those of their ancestors into the ledger.

    Args:
        client: Whom to ask.
        books: Where it is written down.
        context: Ancestors wanted above each task.
        order: Told which volumes are needed.
        budget: Told of requests that nobody could foresee.

    Attributes:
        done: Tasks fetched, ancestors left out.
        errors: What went wrong with tasks, by id.
        postponed: Tasks whose ancestors' volumes can be judged only when their own volume is there.
    """

    def __init__(
        self, client: EyewireClient, books: Books, *, context: int, order: OrderVolume, budget: Budget
    ) -> None:
        self._client, self._books, self._context = client, books, context
        self._order, self._budget = order, budget
        self._in_flight: dict[int, asyncio.Future[None]] = {}
        self._listing: dict[int, asyncio.Future[None]] = {}
        self.done = 0
        self.errors: dict[int, EwvalError] = {}
        self.postponed: list[int] = []

    async def settle(self, task: int, *, is_last_chance: bool = False) -> None:
        """Fetch a task and its ancestors, and order the volumes that they need.

        Raises:
            EwvalError: The API is down; nothing more can be asked.
        """
        record = await self._known(task, is_ancestor=False)
        if record is None:
            return
        ancestors, is_complete = await self._ancestors(record)
        await self._want(record, wanted=True, must_overlap=None)
        if not is_complete:
            return
        if await self._order_context(record, ancestors, is_last_chance=is_last_chance):
            await self._books.run(self._books.ledger.settle, task, context=self._context)
        else:
            self.postponed.append(task)

    async def _ancestors(self, record: TaskRecord) -> tuple[list[TaskRecord], bool]:
        """Return the ancestors that can be had, nearest first, and whether asking again could bring more."""
        found = [record]
        while len(found) <= self._context:
            parent = found[-1].parent
            if parent is None or any(parent == task.id for task in found):
                break
            ancestor = await self._known(parent, is_ancestor=True)
            if ancestor is None:
                return found[1:], parent not in self.errors
            found.append(ancestor)
        return found[1:], True

    async def _order_context(self, record: TaskRecord, ancestors: list[TaskRecord], *, is_last_chance: bool) -> bool:
        """Order the ancestors' volumes that overlap the task; return whether all could be judged."""
        elsewhere = [task for task in ancestors if task.volume != record.volume]
        if not elsewhere:
            return True
        here = await self._bounds(record)
        if here is None:
            return is_last_chance
        is_judged = True
        for ancestor in elsewhere:
            there = await self._bounds(ancestor)
            if there is not None:
                if there.overlaps(here):
                    await self._want(ancestor, wanted=False, must_overlap=None)
            elif is_last_chance:
                await self._want(ancestor, wanted=False, must_overlap=here)
            else:
                is_judged = False
        return is_judged

    async def _want(self, record: TaskRecord, *, wanted: bool, must_overlap: Bounds | None) -> None:
        ledger = self._books.ledger
        await self._books.run(ledger.want_volume, record.volume, record.path, bounds=record.bounds, wanted=wanted)
        await self._order(record.volume, must_overlap)

    async def _bounds(self, record: TaskRecord) -> Bounds | None:
        return record.bounds or await self._books.run(self._books.ledger.task_bounds, record.id)

    async def _known(self, task: int, *, is_ancestor: bool) -> TaskRecord | None:
        """Return a task from the ledger, else from the API; None where it cannot be had."""
        while (under_way := self._in_flight.get(task)) is not None:
            await asyncio.wait([under_way])
        if task in self.errors:
            return None
        state = await self._books.run(self._books.ledger.task_state, task)
        if state is None or state[0] in ("new", "failed"):
            await _once(self._in_flight, task, lambda: self._fetch(task, is_ancestor=is_ancestor))
        return await self._books.run(self._books.ledger.task, task)

    async def _fetch(self, task: int, *, is_ancestor: bool) -> None:
        ledger = self._books.ledger
        if is_ancestor:
            self._budget.plan(2)
        try:
            record = await self._client.task(task)
            aggregate = await self._client.aggregate(task)
        except MissingError as error:
            if not await self._books.run(ledger.mark_missing, task, reason=error.why):
                self.errors[task] = error
            return
        except EwvalError as error:
            if self._client.host.down is not None:
                raise
            self.errors[task] = error
            await self._books.run(ledger.mark_task, task, "failed", reason=error.why, wanted=False)
            return
        if await self._books.run(ledger.save_task, record, aggregate):
            self.done += 1
        if record.bounds is None and record.cell is not None:
            await self._list_cell(record.cell)

    async def _list_cell(self, cell: int) -> None:
        """Learn the bounds of a cell's tasks, once in the life of a ledger."""
        if await self._books.run(self._books.ledger.cell_state, cell) in (None, "failed"):
            await _once(self._listing, cell, lambda: self._fetch_cell(cell))

    async def _fetch_cell(self, cell: int) -> None:
        ledger = self._books.ledger
        self._budget.plan(1)
        try:
            rows = await self._client.cell_tasks(cell)
        except EwvalError as error:
            if self._client.host.down is not None:
                raise
            if isinstance(error, MissingError):
                await self._books.run(ledger.mark_cell, cell, "absent", reason=error.why)
            return
        await self._books.run(ledger.add_cell, cell, [(row.id, row.status, row.bounds) for row in rows], wanted=False)


async def _once(under_way: dict[int, asyncio.Future[None]], key: int, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work, or wait for the one who already does it."""
    if (other := under_way.get(key)) is not None:
        await asyncio.wait([other])
        return
    mine = under_way[key] = asyncio.get_running_loop().create_future()
    try:
        await work()
    finally:
        mine.set_result(None)
        del under_way[key]
