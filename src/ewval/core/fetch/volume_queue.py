"""Volumes on their way: which are downloaded next, what becomes of each, and packing as soon as one is complete."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor
from functools import partial

from ewval.core.errors import ConsentError, DataError, EwvalError, MissingError, UsageError, WorkerDiedError, WriteError
from ewval.core.eyewire.records import Bounds
from ewval.core.fetch.ancestors import Books
from ewval.core.fetch.budget import Budget
from ewval.core.fetch.download import FILES, Downloader, Unwanted, is_whole
from ewval.core.folder import DataFolder
from ewval.core.ledger.schema import NO_OVERLAP
from ewval.core.progress import Progress

IN_FLIGHT = 8
"""Volumes at a time: enough that the first files of one fill the pauses of another."""


class VolumeQueue:
    """Downloads the volumes it is given, a few at a time, while `work` runs.

    Args:
        downloader: Fetches one volume.
        books: Where it is written down.
        folder: Where the files are.
        packer: Runs the packing of a complete volume; None leaves volumes as downloaded.
        packing: What the packer does with a volume.
        drop_raw: Whether that deletes what was downloaded.
        progress: Told how many files are to come.
        budget: Told of requests that nobody could foresee.

    Attributes:
        done: Volumes completed.
        bytes: Size of their files.
        errors: What went wrong with volumes, by id.
    """

    def __init__(
        self,
        downloader: Downloader,
        books: Books,
        *,
        folder: DataFolder,
        packer: Executor | None,
        packing: Callable[[int], object],
        drop_raw: bool,
        progress: Progress,
        budget: Budget,
    ) -> None:
        self._downloader, self._books, self._folder = downloader, books, folder
        self._packer, self._packing, self._drop_raw, self._in_packing = packer, packing, drop_raw, 0
        self._progress, self._budget = progress, budget
        self._waiting: deque[int] = deque()
        self._boxes: dict[int, list[Bounds]] = {}
        self._taken: set[int] = set()
        self._changed = asyncio.Condition()
        self._is_closed = False
        self._planned: set[int] = set()
        self._expected = 0
        self.done = self.bytes = 0
        self.errors: dict[int, EwvalError] = {}

    async def order(self, volume: int, must_overlap: Bounds | None = None, *, is_planned: bool = False) -> None:
        """Put a volume in the queue unless it is there, complete, absent, or has failed in this run."""
        if volume in self._taken or volume in self.errors:
            if must_overlap is not None and volume in self._boxes:
                self._boxes[volume].append(must_overlap)
            return
        row = await self._books.run(self._books.ledger.volume, volume)
        if volume in self._taken or row is None or row.state == "absent":
            return
        is_lost = row.state != "done" and self._folder.raw(volume).is_dir()  # some of its files were deleted
        is_left = self._drop_raw and row.state == "done" and self._folder.raw(volume).is_dir()
        if self._folder.is_packed(volume) and must_overlap is None and not is_lost and not is_left:
            if row.state != "done":  # packed by other means, such as the 2019 seed system
                await self._books.run(self._books.ledger.finish_volume, volume, bounds=None, bytes_=0, stamp=0)
            return
        if row.state == "done" and self._packer is None:
            return
        self._taken.add(volume)
        if must_overlap is not None:
            self._boxes[volume] = [must_overlap]
        if is_planned:
            self._planned.add(volume)
        else:
            self._budget.plan(1)
        self._expect(1)
        async with self._changed:
            self._waiting.append(volume)
            self._changed.notify()

    async def close(self) -> None:
        """Say that no more volumes come; `work` ends when the last one is through."""
        async with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def waits_for_processor(self, packers: int) -> bool:
        """Whether volumes that are complete wait for one of so many processes: these are slower than the network."""
        return self._in_packing > packers

    async def drained(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._taken)

    async def work(self) -> None:
        """Download until the queue is closed and empty."""
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._waiting) or self._is_closed)
                if not self._waiting:
                    return
                volume = self._waiting.popleft()
            await self._one(volume)
            async with self._changed:
                self._taken.discard(volume)
                self._boxes.pop(volume, None)
                self._changed.notify_all()

    def _begin(self, volume: int) -> None:
        """Count the other files of a volume, now that it turned out to exist."""
        if volume not in self._planned:
            self._budget.plan(len(FILES) - 1)
        self._expect(len(FILES) - 1)

    def _expect(self, files: int) -> None:
        self._expected += files
        self._progress.expect(self._expected)

    async def _one(self, volume: int) -> None:
        ledger = self._books.ledger
        row = await self._books.run(ledger.volume, volume)
        assert row is not None
        try:
            files = await self._downloader.fetch(
                volume, row.path, begun=partial(self._begin, volume), is_needed=self._judge(volume)
            )
            await self._books.run(
                ledger.finish_volume, volume, bounds=files.bounds, bytes_=files.bytes, stamp=files.stamp
            )
            self.bytes += files.bytes
            await self._pack(volume)
            self.done += 1
        except Unwanted as reason:
            await self._books.run(ledger.mark_volume, volume, "absent", reason=NO_OVERLAP, bounds=reason.bounds)
        except (UsageError, WriteError, ConsentError, WorkerDiedError):  # not this volume's fault: everything stops
            raise
        except EwvalError as error:
            await self._fail(volume, error, wanted=row.wanted)

    async def _fail(self, volume: int, error: EwvalError, *, wanted: bool) -> None:
        if isinstance(error, MissingError) and not wanted:
            await self._books.run(self._books.ledger.mark_volume, volume, "absent", reason=str(error))
            return
        self.errors[volume] = error
        if self._downloader.host.down is None or isinstance(error, DataError):  # else it was only not reached
            await self._books.run(self._books.ledger.mark_volume, volume, "failed", reason=str(error))

    async def _pack(self, volume: int) -> None:
        """Pack a complete volume, where packing was asked for."""
        if self._packer is not None:
            self._in_packing += 1
            try:
                await asyncio.get_running_loop().run_in_executor(self._packer, self._packing, volume)
            except BrokenExecutor as error:
                raise WorkerDiedError from error
            finally:
                self._in_packing -= 1

    def _judge(self, volume: int) -> Callable[[Bounds | None], bool] | None:
        boxes = self._boxes.get(volume)
        if boxes is None:
            return None
        return lambda found: found is not None and any(found.overlaps(box) for box in boxes)


def is_there(folder: DataFolder, volume: int, *, stamp: int | None) -> bool:
    """Whether a volume that was completed is still there, as downloaded or packed with nothing left of the former."""
    raw = folder.raw(volume)
    return is_whole(raw, stamp=stamp) or (folder.is_packed(volume) and not raw.is_dir())
