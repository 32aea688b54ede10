"""Which segments each packed volume holds at 64^3: each volume is decoded once for all its tasks, and only once.

What was found is kept beside the task table, under the size and time of each packed file.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.errors import DamagedError, UnreadableError, WriteError
from ewval.core.folder import DataFolder
from ewval.core.progress import Progress
from ewval.core.storage.columns import Columns, map_columns, write_columns
from ewval.core.storage.ragged import Ragged, offsets_of
from ewval.core.volumes.store import PackedStore

_LOG = logging.getLogger(__name__)

VOLUMES_A_CHUNK = 512
"""Volumes between two steps of the progress; few enough that an interrupted run loses little."""

Int64s = npt.NDArray[np.int64]
Labels = npt.NDArray[np.uint16]
Problem = DamagedError | UnreadableError
Found = Labels | Problem | None
"""The ids in a volume, ascending, 0 left out; what is wrong with it; None where it is not packed."""


@dataclass(frozen=True, slots=True, eq=False)
class Presence:
    """What the packed volumes hold.

    Args:
        volumes: int64 [n], ascending.
        found: For each volume its ids, what is wrong with it, or None where it is not packed.
    """

    volumes: Int64s
    found: list[Found]

    def packed(self, volume: Int64s) -> npt.NDArray[np.bool_]:
        """Return which of `volume` are packed and whole; one that was not looked for is not."""
        good = np.array([isinstance(found, np.ndarray) for found in self.found], dtype=bool)
        return np.isin(volume, self.volumes[good])

    def damaged(self) -> dict[int, str]:
        """Return what is wrong, by volume."""
        pairs = zip(self.volumes.tolist(), self.found, strict=True)
        return {volume: str(found) for volume, found in pairs if isinstance(found, Problem)}

    def shows_seed(self, volume: Int64s, seeds: Ragged) -> npt.NDArray[np.bool_]:
        """Return which tasks have a segment of their seed in their packed volume, bool [tasks]."""
        order = np.argsort(volume, kind="stable")
        mine = seeds.take(order)
        hits = np.zeros(len(mine.values), dtype=bool)
        table = np.zeros(SEGMENT_ID_COUNT, dtype=bool)
        begins = np.searchsorted(volume[order], self.volumes, side="left")
        ends = np.searchsorted(volume[order], self.volumes, side="right")
        for found, begin, end in zip(self.found, mine.offsets[begins], mine.offsets[ends], strict=True):
            if isinstance(found, np.ndarray):
                table[found] = True
                ids = mine.values[begin:end]
                hits[begin:end] = table[np.minimum(ids, SEGMENT_ID_COUNT - 1)] & (ids < SEGMENT_ID_COUNT)
                table[found] = False
        shown = np.zeros(len(volume), dtype=bool)
        shown[order[mine.owners[hits]]] = True
        return shown


def find_labels(folder: DataFolder, volumes: Int64s, *, progress: Progress, workers: int | None = None) -> Presence:
    """Return what the packed volumes hold, decoding only those that changed since the last time.

    Args:
        folder: The data folder.
        volumes: int64, ascending, without repeats.
        progress: Told of each volume that is decoded.
        workers: Threads; lzma decodes outside the interpreter's lock.
    """
    stamps = np.array([_file_stamp(folder, volume) for volume in volumes.tolist()], dtype=np.int64).reshape(-1, 2)
    known = _recall(folder, volumes, stamps)
    fresh = [volume for volume in volumes.tolist() if volume not in known]
    progress.start(len(fresh), unit="volumes")
    try:
        with ThreadPoolExecutor(workers) as pool:
            for chunk in _chunks(fresh):
                known.update(zip(chunk, pool.map(lambda volume: _look(folder, volume), chunk), strict=True))
                progress.advance(len(chunk))
    finally:
        _remember(folder, volumes, stamps, known)
    return Presence(volumes, [known[volume] for volume in volumes.tolist()])


def _chunks(volumes: list[int]) -> Iterator[list[int]]:
    return (volumes[start : start + VOLUMES_A_CHUNK] for start in range(0, len(volumes), VOLUMES_A_CHUNK))


def _file_stamp(folder: DataFolder, volume: int) -> tuple[int, int]:
    try:
        status = folder.segmentation(volume).stat()
        folder.image(volume).stat()
    except OSError:  # not there, or out of reach
        return (0, 0)
    return status.st_size, status.st_mtime_ns


def _look(folder: DataFolder, volume: int) -> Found:
    store = PackedStore(folder, cache=0)  # one a call: its cache is not meant for threads
    if not store.has(volume):
        return None
    try:
        labels = store.segmentation(volume)
    except (DamagedError, UnreadableError) as error:
        return error
    counts = np.bincount(labels.ravel(), minlength=SEGMENT_ID_COUNT)
    counts[0] = 0
    return np.flatnonzero(counts).astype(np.uint16)


def _cache(folder: DataFolder) -> Path:
    return folder.root / "volume_labels.cache"


def _recall(folder: DataFolder, volumes: Int64s, stamps: Int64s) -> dict[int, Found]:
    columns = map_columns(_cache(folder))
    if columns is None or not len(columns["volumes"]):
        return {}
    kept: Int64s = columns["volumes"]
    at = np.minimum(np.searchsorted(kept, volumes), len(kept) - 1)
    same = (kept[at] == volumes) & (columns["stamps"][at] == stamps).all(axis=1)
    return {int(volume): _entry(columns, row) for volume, row in zip(volumes[same], at[same].tolist(), strict=True)}


def _entry(columns: Columns, row: int) -> Labels:
    begin, end = columns["offsets"][row : row + 2]
    return np.asarray(columns["labels"][begin:end])


def _remember(folder: DataFolder, volumes: Int64s, stamps: Int64s, found: dict[int, Found]) -> None:
    good = [isinstance(found.get(volume), np.ndarray) for volume in volumes.tolist()]
    labels = [entry for volume in volumes[good].tolist() if isinstance(entry := found[volume], np.ndarray)]
    columns = {
        "volumes": volumes[good],
        "stamps": stamps[good],
        "offsets": offsets_of([len(entry) for entry in labels]),
        "labels": np.concatenate([np.empty(0, dtype=np.uint16), *labels]),
    }
    try:
        write_columns(_cache(folder), columns, stamp=None)
    except WriteError as error:
        _LOG.info("no volume cache in %s: %s", folder.root, error)
