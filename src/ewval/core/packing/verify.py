"""Whether a data folder holds, whole, every packed volume that it should."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from ewval.core.constants import CUBE_EDGE, FACTOR
from ewval.core.errors import DamagedError
from ewval.core.folder import DataFolder, is_there
from ewval.core.graph.graph import load_graph
from ewval.core.ledger.connection import connect_read_only
from ewval.core.progress import SILENT, Progress
from ewval.core.storage.reading import read_bytes
from ewval.core.storage.text import parse_json
from ewval.core.volumes.store import PackedStore, packed_volumes, volume_ids
from ewval.core.workers import Failure, Workers


@dataclass(frozen=True, slots=True)
class VerifySummary:
    """How many volumes are whole, which are not, and how long it took."""

    verified: int
    failed: tuple[Failure, ...]
    seconds: float


def verify(
    folder: DataFolder,
    volumes: Sequence[int] | None = None,
    *,
    factor: int = FACTOR,
    workers: Workers | None = None,
    progress: Progress = SILENT,
) -> VerifySummary:
    """Re-read `volumes`; None stands for every packed volume and every volume that a task needs.

    Raises:
        DamagedError: The ledger or task_vol.json cannot be read.
        ExtraError, SchedulerError: As `Workers.run`.
    """
    began = time.monotonic()
    folder = DataFolder(folder.root.absolute())
    wanted = sorted(_all_volumes(folder) if volumes is None else set(volumes))
    call = partial(check_volume, folder, factor=factor)
    whole, failed = (workers or Workers()).collect(call, wanted, progress=progress)
    return VerifySummary(len(whole), failed, time.monotonic() - began)


def check_volume(folder: DataFolder, volume: int, *, factor: int = FACTOR) -> None:
    """Read both packed files of `volume`, and its graph where it has one.

    Raises:
        MissingError: A packed file is not there.
        DamagedError: A file does not hold what it should.
    """
    PackedStore(folder, edge=CUBE_EDGE // factor).check(volume)
    if is_there(folder.graph(volume)):
        load_graph(folder.graph(volume))


def task_volumes(folder: DataFolder) -> set[int]:
    """Return the volumes of the tasks that were asked for, after the ledger, and of those in task_vol.json.

    Ancestors that were fetched for context only do not count: their volumes may be left out, or absent on the server.

    Raises:
        DamagedError: One of the two files cannot be read.
    """
    asked_for = "SELECT DISTINCT volume FROM tasks WHERE wanted = 1 AND state = 'done' AND volume IS NOT NULL"
    context = _query(folder, "SELECT id FROM tasks WHERE wanted = 0")
    indexed = {volume for task, volume in _index(folder).items() if task not in context}
    return _query(folder, asked_for) | indexed


def _all_volumes(folder: DataFolder) -> set[int]:
    half = volume_ids(folder.segmentation(0).parent.parent)
    return {*packed_volumes(folder), *half, *task_volumes(folder)}


def _query(folder: DataFolder, query: str) -> set[int]:
    """Return the ids that `query` selects from the ledger; none where there is no ledger."""
    if not folder.ledger.is_file():
        return set()
    try:
        with closing(connect_read_only(folder.ledger)) as connection:
            return {int(number) for (number,) in connection.execute(query)}
    except sqlite3.Error as error:
        raise DamagedError(str(folder.ledger), str(error)) from error


def _index(folder: DataFolder) -> dict[int, int]:
    """Return the volume of each task in task_vol.json."""
    if not folder.task_vol.is_file():
        return {}
    try:
        return {int(task): int(volume) for task, volume in parse_json(read_bytes(folder.task_vol)).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DamagedError(str(folder.task_vol), f"it does not map task ids to volume ids: {error}") from error
