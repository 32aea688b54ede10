"""What `ewval fetch` does: tasks, their aggregates and ancestors, and the volumes they lie in.

Everything that was completed is written down at once, so a fetch may be killed at any moment and begun again.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import stamina

import ewval
from ewval.core.agenda import Agenda, Failure
from ewval.core.api import CONNECTIONS, EyewireClient
from ewval.core.constants import DEFAULT_API, DEFAULT_CONTEXT, ZEBRAFISH_DATASET, MOUSE_DATASET
from ewval.core.download import Downloader
from ewval.core.errors import ConsentError, EwvalError, UsageError
from ewval.core.folder import DataFolder
from ewval.core.host import Host, HostOptions, user_agent
from ewval.core.ledger import NO_DATASET, Ledger
from ewval.core.lineage import Books, Lineages
from ewval.core.locks import exclusive
from ewval.core.plan import Plan, make_plan
from ewval.core.progress import SILENT, Progress
from ewval.core.records import Bounds
from ewval.core.registry import read_registry, select_cells
from ewval.core.volumes import VolumeQueue, is_packed, is_there

API_RATE, BUCKET_RATE = 5.0, 100.0
"""Requests per second: the API shares servers with the game, the bucket does not."""
BUCKET_CONNECTIONS = 32
CONSENT_ABOVE = 10_000
"""Requests that are made without --yes."""
FILE_THREADS = 8
NOTE_EVERY_S = 0.5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What is asked for.

    Args:
        folder: Where to.
        tasks: Tasks by id.
        cells: Cells, for all of their tasks.
        registries: CSV files of cells, for all tasks of those that are finished mouse cells.
        context: Ancestors wanted above each task.
        metadata_only: Leave the volumes out.
        pack: Pack each volume as soon as it is complete.
        drop_raw: Then delete what was downloaded.
        api: Base URL of the API.
        token: Access token; never shown.
        api_rate: Requests per second to the API at most.
        bucket_rate: Requests per second to the bucket at most.
        yes: Make more than 10,000 requests.
        contact: Whom Eyewire may write to about these requests.

    Raises:
        UsageError: A rate that is not positive, a negative context, `drop_raw` without `pack`.
    """

    folder: DataFolder
    tasks: tuple[int, ...] = ()
    cells: tuple[int, ...] = ()
    registries: tuple[Path, ...] = ()
    context: int = DEFAULT_CONTEXT
    metadata_only: bool = False
    pack: bool = False
    drop_raw: bool = False
    api: str = DEFAULT_API
    token: str | None = field(default=None, repr=False)
    api_rate: float = API_RATE
    bucket_rate: float = BUCKET_RATE
    yes: bool = False
    contact: str | None = None

    def __post_init__(self) -> None:
        for name, rate in (("--api-rate", self.api_rate), ("--bucket-rate", self.bucket_rate)):
            if not 0 < rate <= 10_000:
                raise UsageError(f"{name} is requests per second, above 0 and up to 10000")
        if self.context < 0:
            raise UsageError("--context counts ancestors, 0 or more")
        if self.drop_raw and not self.pack:
            raise UsageError("--drop-raw without --pack would throw away what was fetched; add --pack")
        if self.pack and self.metadata_only:
            raise UsageError("--pack and --metadata-only exclude each other")


@dataclass(frozen=True, slots=True)
class FetchSummary:
    """What became of a request.

    Args:
        done: Tasks fetched now.
        skipped: Tasks that were there before.
        absent: Ancestors, and volumes of ancestors, that do not exist.
        failed: What was asked for and could not be had.
        dropped: Rows of the registries that were left out, by the rule.
        volumes: Volumes completed now.
        bytes: Bytes received.
        requests: Requests made, retries included.
        seconds: How long it took.
        error: Why nothing at all could be had, where that has one reason.
        stopped: Why it was given up before the end.
    """

    done: int
    skipped: int
    absent: int
    failed: tuple[Failure, ...]
    dropped: Mapping[str, int]
    volumes: int
    bytes: int
    requests: int
    seconds: float
    error: EwvalError | None = None
    stopped: EwvalError | None = None


def fetch(request: FetchRequest, *, progress: Progress = SILENT, files: Progress = SILENT) -> FetchSummary:
    """Fetch what is asked for and not there yet.

    Args:
        request: What is asked for.
        progress: Advanced by tasks.
        files: Advanced by files of volumes.

    Raises:
        UsageError: The data folder cannot be written, or another fetch is at work in it.
        ConsentError: It takes more requests than are made without `yes`.
        KeyboardInterrupt: Interrupted or terminated; the state is saved.
    """
    with exclusive(request.folder.root), Ledger(request.folder.ledger) as ledger:
        return _complete(_Fetch(request, ledger, progress=progress, files=files).run())


def plan(request: FetchRequest) -> Plan:
    """Return what a fetch would do. Cells that were never listed are listed, which asks the API; no volume is."""
    with exclusive(request.folder.root), Ledger(request.folder.ledger) as ledger:
        work = _Fetch(request, ledger, progress=SILENT, files=SILENT)
        return _complete(work.plan())


class _Fetch:
    """One fetch under way."""

    def __init__(self, request: FetchRequest, ledger: Ledger, *, progress: Progress, files: Progress) -> None:
        self.request, self.ledger = request, ledger
        self.progress, self.files = progress, files
        self.rows = [row for path in request.registries for row in read_registry(path)]
        self.dropped: Mapping[str, int] = {}
        self.planned = 0
        self.cell_errors: dict[int, EwvalError] = {}
        agent = user_agent(ewval.__version__, request.contact)
        self.client = EyewireClient(request.api, token=request.token, rate=request.api_rate, user_agent=agent)
        self.bucket = Host(HostOptions("bucket", request.bucket_rate, BUCKET_CONNECTIONS, agent))

    async def run(self) -> FetchSummary:
        """Do what is open; return what became of it."""
        stamina.instrumentation.set_on_retry_hooks([])  # retries are this fetch's own affair, not warnings
        began = time.monotonic()
        self._reopen_lost()
        with ExitStack() as stack:
            books = Books(self.ledger, stack.enter_context(_threads(1)))
            async with self.client, self.bucket:
                await self._ask(books)
                self._plan_start()
                lineages, queue = self._parts(books, stack)
                await self._work(lineages, queue)
        return self._summary(lineages, queue, seconds=time.monotonic() - began)

    def _parts(self, books: Books, stack: ExitStack) -> tuple[Lineages, VolumeQueue]:
        request = self.request
        threads = stack.enter_context(_threads(FILE_THREADS))
        downloader = Downloader(request.folder, self.bucket, workers=threads, progress=self.files)
        queue = VolumeQueue(
            downloader,
            books,
            folder=request.folder,
            packer=stack.enter_context(_packer()) if request.pack else None,
            drop_raw=request.drop_raw,
            progress=self.files,
            plan=self._plan_more,
        )

        async def order(volume: int, must_overlap: Bounds | None) -> None:
            if not request.metadata_only:
                await queue.order(volume, must_overlap)

        return Lineages(self.client, books, context=request.context, order=order, plan=self._plan_more), queue

    async def _work(self, lineages: Lineages, queue: VolumeQueue) -> None:
        tasks = self.agenda.open_tasks()
        volumes = [] if self.request.metadata_only else self.agenda.open_volumes()
        self.progress.start(len(tasks), unit="tasks")
        self.files.start(0, unit="files")
        for volume in volumes:
            await queue.order(volume, is_planned=True)

        async def feed() -> None:
            for volume in self._to_pack():
                await queue.pack(volume)
            await self._settle_all(lineages, tasks)
            await queue.drained()
            if not self.request.metadata_only:
                await self._settle_all(lineages, lineages.postponed[:], is_last_chance=True)
            await queue.close()

        notes = asyncio.create_task(self._show_notes())
        try:
            await together(feed(), queue.work())
        finally:
            notes.cancel()

    async def _settle_all(self, lineages: Lineages, tasks: Iterable[int], *, is_last_chance: bool = False) -> None:
        waiting = iter(tasks)

        async def worker() -> None:
            for task in waiting:
                try:
                    await lineages.settle(task, is_last_chance=is_last_chance)
                except EwvalError:
                    if self.client.host.down is None:
                        raise
                    return
                if not is_last_chance:
                    self.progress.advance()

        await together(*(worker() for _ in range(2 * CONNECTIONS)))

    async def _ask(self, books: Books) -> None:
        """Find out what is asked for: the cells of the registries, and the tasks of all cells."""
        request = self.request
        cells = await self._registered(books)
        self.agenda = Agenda(self.ledger, tasks=request.tasks, cells=(*request.cells, *cells), context=request.context)
        self.agenda.ask()
        self._plan_more(2 * self.agenda.unknown_tasks() + len(self.agenda.open_cells()))
        self.planned = 0
        await self._list_cells(books)

    async def _registered(self, books: Books) -> Sequence[int]:
        if not self.rows:
            return ()
        ids = [row.id for row in self.rows if row.id is not None]
        known = await books.run(self.ledger.datasets, ids)
        if unknown := [cell for cell in ids if cell not in known]:
            told = await self._datasets()
            fresh = {cell: told.get(cell, NO_DATASET) for cell in unknown} if told else {}
            await books.run(self.ledger.set_datasets, fresh)
            known |= fresh
        selection = select_cells(
            self.rows,
            mouse={cell for cell, dataset in known.items() if dataset == MOUSE_DATASET},
            others={cell for cell, dataset in known.items() if dataset not in (MOUSE_DATASET, NO_DATASET)},
        )
        self.dropped = selection.dropped
        return selection.cells

    async def _datasets(self) -> dict[int, int]:
        """Return the data set of each cell that the API lists; empty where it does not tell."""
        try:
            return {
                row.id: dataset
                for dataset in (ZEBRAFISH_DATASET, MOUSE_DATASET)
                for row in await self.client.cells(dataset)
            }
        except EwvalError:
            if self.client.host.down is not None:
                raise
            return {}

    async def _list_cells(self, books: Books) -> None:
        for cell in self.agenda.open_cells():
            if self.ledger.cell_state(cell) == "listed":
                await books.run(self.ledger.want_cell, cell)
                continue
            try:
                rows = await self.client.cell_tasks(cell)
            except EwvalError as error:
                self.cell_errors[cell] = error
                if self.client.host.down is not None:
                    return
                await books.run(self.ledger.mark_cell, cell, "failed", reason=str(error))
                continue
            listed = [(row.id, row.status, row.bounds) for row in rows]
            await books.run(self.ledger.add_cell, cell, listed, wanted=True)

    def _to_pack(self) -> list[int]:
        if not self.request.pack:
            return []
        return [volume for volume in self.agenda.done_volumes() if not is_packed(self.request.folder, volume)]

    def _reopen_lost(self) -> None:
        """Volumes whose files were deleted since are fetched again."""
        rows = self.ledger.connection.execute("SELECT id, stamp FROM volumes WHERE state = 'done'").fetchall()
        for volume, stamp in rows:
            if not is_there(self.request.folder, volume, stamp=stamp):
                self.ledger.mark_volume(volume, "new", reason="its files were deleted")

    def _plan_start(self) -> None:
        estimate = self._estimate()
        self._plan_more(estimate.api_requests + estimate.sure_files)

    def _estimate(self) -> Plan:
        request = self.request
        return make_plan(
            self.agenda,
            api_rate=request.api_rate,
            bucket_rate=request.bucket_rate,
            metadata_only=request.metadata_only,
        )

    def _plan_more(self, requests: int) -> None:
        self.planned += requests
        if self.planned > CONSENT_ABOVE and not self.request.yes:
            raise ConsentError(self.planned)

    async def plan(self) -> Plan:
        """Return what there is to do."""
        with _threads(1) as thread:
            async with self.client:
                await self._ask(Books(self.ledger, thread))
        return self._estimate()

    async def _show_notes(self) -> None:
        while True:
            self.progress.note(self.client.host.note())
            received = f"{self.bucket.received / 1e6:.0f} MB"
            self.files.note(f"{received} {self.bucket.note()}".rstrip())
            await asyncio.sleep(NOTE_EVERY_S)

    def _summary(self, lineages: Lineages, queue: VolumeQueue, *, seconds: float) -> FetchSummary:
        failed = tuple(self.agenda.failures())
        errors: list[EwvalError] = [*self.cell_errors.values(), *lineages.errors.values(), *queue.errors.values()]
        stopped = self.client.host.down or self.bucket.down
        skipped = self.agenda.count() - self.agenda.unknown_tasks() - lineages.done
        is_nothing = not (lineages.done or queue.done or skipped > 0)
        error = (stopped or _common(errors)) if is_nothing else None
        return FetchSummary(
            done=lineages.done,
            skipped=max(0, skipped),
            absent=self.agenda.absent(),
            failed=failed,
            dropped=self.dropped,
            volumes=queue.done,
            bytes=self.client.host.received + self.bucket.received,
            requests=self.client.host.requests + self.bucket.requests,
            seconds=seconds,
            error=error,
            stopped=stopped,
        )


def _common(errors: list[EwvalError]) -> EwvalError | None:
    """Return one of the errors where all are of a kind, None where they are not."""
    return errors[0] if errors and len({type(error) for error in errors}) == 1 else None


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Run all at once; the first that fails ends the others, and its error is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in work:
                group.create_task(part)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _complete(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in a loop of its own; SIGTERM ends it as Ctrl-C does."""

    async def run() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None and os.name == "posix" and threading.current_thread() is threading.main_thread():
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:  # a notebook has a loop of its own
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, run()).result()
    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    threads = ThreadPoolExecutor(count, thread_name_prefix="fetch")
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


@contextmanager
def _packer() -> Iterator[Executor]:
    """One process that packs: as much as a bucket at its usual rate can keep busy."""
    process = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_ignore_interrupt)
    try:
        yield process
    finally:
        process.shutdown(cancel_futures=True)


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the fetch itself decides how to end
