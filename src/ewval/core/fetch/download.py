"""The files of one volume: from the bucket to `raw/<volume>/`, each whole and verified or not there.

Source: layout of the volume folders, seung-lab/task_spawner `js/spawner.js`.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from ewval.core.constants import CUBE_EDGE
from ewval.core.errors import DamagedError, DataError, MissingError, ServerError
from ewval.core.eyewire.host import Host
from ewval.core.eyewire.records import Bounds
from ewval.core.folder import DataFolder
from ewval.core.progress import SILENT, Progress
from ewval.core.storage.files import sweep, write_atomically
from ewval.core.storage.reading import read_bytes
from ewval.core.volumes.checks import check_metadata, check_segmentation, check_tile, metadata_bounds

SEGMENTATION, METADATA = "segmentation.lzma", "metadata.json"
TILES = tuple(f"jpg/{z}.jpg" for z in range(CUBE_EDGE))
FILES = (SEGMENTATION, METADATA, *TILES)
SANE_BYTES = {SEGMENTATION: 64 << 20, METADATA: 1 << 20}
"""Where a body is cut off: a segmentation is 32 MiB before compression."""
SANE_TILE_BYTES = 1 << 20
HANDS = 16
"""Files of one volume at a time: two volumes keep all connections busy, and no volume floods the event loop."""

Check = Callable[..., None]
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VolumeFiles:
    """A volume that is complete on disk.

    Args:
        bounds: Where it lies by its `metadata.json`, None where that does not tell.
        bytes: Size of its files.
        stamp: Modification time of its `jpg` folder, ns; it changes when a file comes or goes.
    """

    bounds: Bounds | None
    bytes: int
    stamp: int


class Unwanted(Exception):  # noqa: N818 - not a failure
    """The volume turned out not to be needed; nothing of it is left on disk."""

    def __init__(self, bounds: Bounds | None) -> None:
        super().__init__()
        self.bounds = bounds


class Downloader:
    """Fetches volumes into a data folder; files that are there and whole are not asked for again.

    Args:
        folder: Where to.
        host: Where from.
        workers: Threads that verify and write, so that the pace is never held up.
        decoder: Thread for segmentations; one at a time, because each keeps a core busy for a fifth of a second.
        progress: Advanced by each file.
    """

    def __init__(
        self, folder: DataFolder, host: Host, *, workers: Executor, decoder: Executor, progress: Progress = SILENT
    ) -> None:
        self.host = host
        self._folder, self._workers, self._decoder, self._progress = folder, workers, decoder, progress

    async def fetch(
        self,
        volume: int,
        path: str,
        *,
        begun: Callable[[], None] = lambda: None,
        is_needed: Callable[[Bounds | None], bool] | None = None,
    ) -> VolumeFiles:
        """Fetch what is missing of a volume.

        Args:
            volume: Its id.
            path: URL of its folder, with trailing slash.
            begun: Called once it turned out that the volume exists.
            is_needed: Decides by its bounds, before its images are asked for, whether it is needed at all.

        Raises:
            MissingError: It has no segmentation, or lacks an image.
            DamagedError: A file stayed damaged.
            ServerError: A file could not be fetched.
            Unwanted: It is not needed.
        """
        raw = self._folder.raw(volume)
        there = await self._run(self._decoder, _survey, raw)
        exists = asyncio.Event()
        first = asyncio.create_task(self._file(raw, path, SEGMENTATION, there, seen=exists.set))
        try:
            await _either(exists.wait(), first)
            begun()
            self._progress.advance(len(there))
            if is_needed is not None:
                await self._decide(raw, path, there, segmentation=first, is_needed=is_needed)
            rest = iter([name for name in (METADATA, *TILES) if name not in there])
            await _all(first, *(self._files(raw, path, rest, there) for _ in range(HANDS)))
        except BaseException:
            first.cancel()
            raise
        return await self._run(self._workers, _finish, raw)

    async def _decide(
        self,
        raw: Path,
        path: str,
        there: set[str],
        *,
        segmentation: Awaitable[None],
        is_needed: Callable[[Bounds | None], bool],
    ) -> None:
        await segmentation
        await self._file(raw, path, METADATA, there)
        there.update((SEGMENTATION, METADATA))
        bounds = await self._run(self._workers, _read_bounds, raw)
        if not is_needed(bounds):
            await self._run(self._workers, discard, raw)
            raise Unwanted(bounds)

    async def _files(self, raw: Path, path: str, names: Iterator[str], there: set[str]) -> None:
        """Fetch one after the other; one bad file does not cost the good ones."""
        first_error: BaseException | None = None
        for name in names:
            try:
                await self._file(raw, path, name, there)
            except (ServerError, DataError) as error:
                first_error = first_error or error
        if first_error is not None:
            raise first_error

    async def _file(
        self, raw: Path, path: str, name: str, there: set[str], *, seen: Callable[[], None] = lambda: None
    ) -> None:
        if name in there:
            return
        check: Check = {SEGMENTATION: check_segmentation, METADATA: check_metadata}.get(name, check_tile)

        async def use(body: bytes) -> None:
            what = f"{name} of volume {raw.name}, as the server sends it,"
            where = self._decoder if name == SEGMENTATION else self._workers
            await self._run(where, _store, raw / name, body, check, what=what)

        try:
            await self.host.get(path + name, limit=SANE_BYTES.get(name, SANE_TILE_BYTES), use=use, seen=seen)
        except MissingError as error:
            if name == METADATA:  # its bounds can come from the API
                return
            raise MissingError(f"{name} of volume {raw.name}", hint=f"{path} does not have it") from error
        self._progress.advance()

    async def _run(self, where: Executor, function: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(where, partial(function, *values, **named))


async def _either(first: Awaitable[object], second: asyncio.Task[None]) -> None:
    """Wait for the earlier of the two; an error of the second is raised."""
    waiting = asyncio.ensure_future(first)
    try:
        await asyncio.wait((waiting, second), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if second.done():
        second.result()


async def _all(*work: Awaitable[None]) -> None:
    """Let all end, then raise the first error."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def discard(raw: Path) -> None:
    """Delete the raw files of a volume, those that only we write; of a link to a folder elsewhere the link alone."""
    if raw.is_symlink():
        raw.unlink()
        return
    for name in FILES:
        (raw / name).unlink(missing_ok=True)
    for folder in (raw / "jpg", raw):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def is_whole(raw: Path, *, stamp: int | None) -> bool:
    """Whether the files of a finished volume are still there, without opening them."""
    try:
        if (raw / "jpg").stat().st_mtime_ns == stamp and (raw / SEGMENTATION).is_file():
            return True
        names = {entry.name for entry in (raw / "jpg").iterdir()}
    except OSError:
        return False
    return (raw / SEGMENTATION).is_file() and all(Path(name).name in names for name in TILES)


def _survey(raw: Path) -> set[str]:
    """Return the names of the files that are there and whole; clear away what a killed run left."""
    if not raw.is_dir():
        return set()
    for folder in (raw, raw / "jpg"):
        sweep(folder)
    return {name for name in FILES if _is_good(raw / name, name)}


def _is_good(path: Path, name: str) -> bool:
    check: Check = {SEGMENTATION: check_segmentation, METADATA: check_metadata}.get(name, check_tile)
    try:
        check(read_bytes(path), what=str(path))
    except (FileNotFoundError, DamagedError):
        return False
    return True


def _store(path: Path, content: bytes, check: Check, *, what: str) -> None:
    check(content, what=what)
    write_atomically(path, content)


def _read_bounds(raw: Path) -> Bounds | None:
    path = raw / METADATA
    return metadata_bounds(path.read_bytes(), what=str(path)) if path.is_file() else None


def _finish(raw: Path) -> VolumeFiles:
    for folder in (raw / "jpg", raw):
        _sync(folder)
    size = sum((raw / name).stat().st_size for name in FILES if (raw / name).is_file())
    return VolumeFiles(_read_bounds(raw), size, (raw / "jpg").stat().st_mtime_ns)


def _sync(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
