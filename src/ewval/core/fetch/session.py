"""The course of one fetch, from what is asked for to what became of it."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from ewval.core.coroutines import threads, together
from ewval.core.errors import EwvalError
from ewval.core.eyewire.client import CONNECTIONS, EyewireClient
from ewval.core.eyewire.host import Host, HostOptions, user_agent
from ewval.core.eyewire.records import Bounds
from ewval.core.eyewire.registry import RegistryRow
from ewval.core.fetch.ancestors import Books, Lineages
from ewval.core.fetch.budget import Budget
from ewval.core.fetch.download import Downloader
from ewval.core.fetch.estimate import Plan, make_plan
from ewval.core.fetch.request import FetchRequest, FetchSummary
from ewval.core.fetch.targets import Asked, find_out
from ewval.core.fetch.volume_queue import VolumeQueue, is_there
from ewval.core.ledger.ledger import Ledger
from ewval.core.packing.pack import pack_and_then
from ewval.core.progress import Progress
from ewval.core.version import __version__
from ewval.core.workers import available_cores, process_pool

BUCKET_CONNECTIONS = 32
FILE_THREADS = 4
"""Threads that verify and write files; more of them would make the event loop, and so the pace, wait its turn."""
NOTE_EVERY_S = 0.5


class Course:
    """One fetch.

    Args:
        request: What is asked for.
        ledger: What is known so far.
        rows: What the registries of the request hold.
        progress: Advanced by cells, then by tasks.
        files: Advanced by files of volumes.
    """

    def __init__(
        self,
        request: FetchRequest,
        ledger: Ledger,
        *,
        rows: Sequence[RegistryRow],
        progress: Progress,
        files: Progress,
    ) -> None:
        self._request, self._ledger, self._rows = request, ledger, rows
        self._progress, self._files = progress, files
        self._budget = Budget(is_agreed=request.yes)
        agent = user_agent(__version__, request.contact)
        limits = request.limits
        self._client = EyewireClient(
            request.api, token=request.token, rate=request.api_rate, user_agent=agent, limits=limits
        )
        self._bucket = Host(HostOptions("bucket", request.bucket_rate, BUCKET_CONNECTIONS, agent, limits=limits))

    async def plan(self) -> Plan:
        """Return what there is to do; cells that were never listed are asked for, nothing else is.

        Raises:
            EwvalError: The API is down.
        """
        self._budget = Budget(is_agreed=True)
        async with AsyncExitStack() as stack:
            asked = await self._find_out(stack, self._books(stack))
            if self._client.host.down is not None:
                raise self._client.host.down
            return replace(self._estimate(asked), errors=asked.errors)

    async def run(self) -> FetchSummary:
        """Do what is open; return what became of it."""
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            books = self._books(stack)
            await books.run(self._reopen_lost)
            asked = await self._find_out(stack, books)
            estimate = self._estimate(asked)
            self._budget.plan(estimate.sure_requests)
            await stack.enter_async_context(self._bucket)
            queue = self._queue(stack, books)
            lineages = self._lineages(books, queue)
            await self._work(asked, lineages, queue)
        return self._summary(asked, lineages, queue, seconds=time.monotonic() - began)

    def _books(self, stack: AsyncExitStack) -> Books:
        return Books(self._ledger, stack.enter_context(threads(1)))

    async def _find_out(self, stack: AsyncExitStack, books: Books) -> Asked:
        await stack.enter_async_context(self._client)
        return await find_out(
            self._request, self._client, books, rows=self._rows, budget=self._budget, progress=self._progress
        )

    def _queue(self, stack: AsyncExitStack, books: Books) -> VolumeQueue:
        request = self._request
        downloader = Downloader(
            request.folder,
            self._bucket,
            workers=stack.enter_context(threads(FILE_THREADS)),
            decoder=stack.enter_context(threads(1)),
            progress=self._files,
        )
        return VolumeQueue(
            downloader,
            books,
            folder=request.folder,
            packer=stack.enter_context(process_pool(_packers(request))) if request.pack else None,
            drop_raw=request.drop_raw,
            packing=partial(
                pack_and_then, request.folder, graph=request.graph, drop_raw=request.drop_raw, then=request.then
            ),
            progress=self._files,
            budget=self._budget,
        )

    def _lineages(self, books: Books, queue: VolumeQueue) -> Lineages:
        async def order(volume: int, must_overlap: Bounds | None) -> None:
            if not self._request.metadata_only:
                await queue.order(volume, must_overlap)

        return Lineages(self._client, books, context=self._request.context, order=order, budget=self._budget)

    async def _work(self, asked: Asked, lineages: Lineages, queue: VolumeQueue) -> None:
        tasks = asked.agenda.open_tasks()
        self._progress.start(len(tasks), unit="tasks")
        self._files.start(0, unit="files")
        for volume in self._open_volumes(asked):
            await queue.order(volume, is_planned=True)
        notes = asyncio.create_task(self._show_notes(queue))
        try:
            await together(self._feed(tasks, lineages, queue), queue.work())
        finally:
            notes.cancel()

    def _open_volumes(self, asked: Asked) -> list[int]:
        if self._request.metadata_only:
            return []
        volumes = asked.agenda.open_volumes()
        if self._request.pack:
            volumes += [volume for volume in asked.agenda.done_volumes() if self._is_unpacked(volume)]
        return volumes

    def _is_unpacked(self, volume: int) -> bool:
        """Whether a volume that is there is still to be packed, to be measured, or its raw files to be dropped."""
        folder, request = self._request.folder, self._request
        if not folder.is_packed(volume):
            return True
        lacks_graph = request.graph and not folder.graph(volume).is_file()
        return (request.drop_raw or lacks_graph) and folder.raw(volume).is_dir()

    def _without_graph(self, asked: Asked) -> tuple[int, ...]:
        """Return those of packed volumes that have neither a graph, where one is wanted, nor what it is measured in."""
        if not (self._request.pack and self._request.graph):
            return ()
        folder = self._request.folder
        bare = (volume for volume in asked.agenda.done_volumes() if not folder.graph(volume).is_file())
        return tuple(volume for volume in bare if folder.is_packed(volume) and not folder.raw(volume).is_dir())

    async def _feed(self, tasks: Iterable[int], lineages: Lineages, queue: VolumeQueue) -> None:
        await self._settle(tasks, lineages, is_last_chance=False)
        if lineages.postponed and not self._request.metadata_only:
            await queue.drained()  # now the bounds of all volumes that exist are known
            await self._settle(lineages.postponed[:], lineages, is_last_chance=True)
        await queue.close()

    async def _settle(self, tasks: Iterable[int], lineages: Lineages, *, is_last_chance: bool) -> None:
        waiting = iter(tasks)

        async def work() -> None:
            for task in waiting:
                try:
                    await lineages.settle(task, is_last_chance=is_last_chance)
                except EwvalError:
                    if self._client.host.down is None:
                        raise
                    return
                if not is_last_chance:
                    self._progress.advance()

        await together(*(work() for _ in range(2 * CONNECTIONS)))

    def _reopen_lost(self) -> None:
        """Volumes whose files were deleted since are fetched again."""
        folder = self._request.folder
        stamps = self._ledger.volume_stamps()
        self._ledger.reopen_volumes(
            [volume for volume, stamp in stamps if not is_there(folder, volume, stamp=stamp)],
        )

    def _estimate(self, asked: Asked) -> Plan:
        request = self._request
        return make_plan(
            asked.agenda,
            api_rate=request.api_rate,
            bucket_rate=request.bucket_rate,
            metadata_only=request.metadata_only,
        )

    async def _show_notes(self, queue: VolumeQueue) -> None:
        while True:
            self._progress.note(self._client.host.note())
            waits = " waiting for the processor" if queue.waits_for_processor(_packers(self._request)) else ""
            self._files.note(f"{self._bucket.received / 1e6:,.0f} MB {self._bucket.note()}".rstrip() + waits)
            await asyncio.sleep(NOTE_EVERY_S)

    def _summary(self, asked: Asked, lineages: Lineages, queue: VolumeQueue, *, seconds: float) -> FetchSummary:
        agenda, client, bucket = asked.agenda, self._client.host, self._bucket
        there = agenda.fetched_count()
        stopped = client.down or bucket.down
        is_nothing = not (there or queue.done)
        errors = [*asked.errors.values(), *lineages.errors.values(), *queue.errors.values()]
        return FetchSummary(
            tasks=agenda.fetched_tasks() if self._request.list_tasks else (),
            done=lineages.done,
            skipped=there - lineages.done,
            absent=agenda.absent(),
            failed=tuple(agenda.failures()),
            failed_tasks=agenda.failed_tasks(),
            dropped=asked.dropped,
            volumes=queue.done,
            bytes=client.received + bucket.received,
            requests=client.requests + bucket.requests,
            seconds=seconds,
            volume_errors=queue.errors,
            without_graph=self._without_graph(asked),
            error=stopped or _shared_kind(errors) if is_nothing else None,
            stopped=stopped,
        )


def _packers(request: FetchRequest) -> int:
    """Return how many processes pack: one keeps up, unless each volume's graph is measured, too."""
    return available_cores() if request.graph else 1


def _shared_kind(errors: list[EwvalError]) -> EwvalError | None:
    """Return the first error where all are of one kind, None where they are not."""
    return errors[0] if len({type(error) for error in errors}) == 1 else None
