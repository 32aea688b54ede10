"""Before tasks are answered: what is missing is fetched and packed, and what cannot be had is named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ewval.core.errors import DataError, EwvalError, MissingError, UnreadableError, WriteError
from ewval.core.fetch.on_disk import LocalData
from ewval.core.packing.pack import PackRequest, pack
from ewval.core.progress import SILENT, Progress
from ewval.core.workers import Workers

Fetcher = Callable[[Sequence[int], Sequence[int], int], Mapping[int, EwvalError] | None]
"""Fetches tasks and cells with so many ancestors; returns what went wrong with volumes, by id.

It raises where nothing at all could be had, or it was given up.
"""
ALONE = 2
"""Up to so many volumes are packed in this process: starting others would take longer."""


@dataclass(frozen=True, slots=True)
class Provision:
    """What can be answered, in the order asked, and why the rest cannot: tasks, or cells, by id."""

    tasks: tuple[int, ...]
    failed: dict[int, EwvalError]


def tasks_of_cells(local: LocalData, cells: Sequence[int], *, fetch: Fetcher) -> Provision:
    """Return the tasks of `cells`, fetching those cells that were never asked for, and why a cell has none."""
    unknown = [cell for cell in cells if local.tasks_of_cell(cell) is None]
    reason: EwvalError | None = None
    if unknown:
        try:
            fetch([], unknown, local.context)
        except EwvalError as error:
            reason = None if isinstance(error, DataError) else error  # said about one cell of several
    found = {cell: local.tasks_of_cell(cell) for cell in cells}
    failed = {cell: reason or local.absence_of_cell(cell) for cell, tasks in found.items() if tasks is None}
    return Provision(tuple(dict.fromkeys(task for tasks in found.values() for task in tasks or ())), failed)


def provide(local: LocalData, tasks: Sequence[int], *, fetch: Fetcher, progress: Progress = SILENT) -> Provision:
    """Bring `tasks`, their ancestors and volumes into the data folder, as far as they can be had.

    Args:
        local: The data folder.
        tasks: What is asked for.
        fetch: Fetches what is missing.
        progress: Told of the packing.
    """
    failed = _fetched(local, local.to_fetch(tasks), fetch=fetch)
    failed |= _packed(local, [task for task in tasks if task not in failed], progress=progress)
    return Provision(tuple(task for task in tasks if task not in failed), failed)


def _fetched(local: LocalData, missing: Sequence[int], *, fetch: Fetcher) -> dict[int, EwvalError]:
    """Fetch; return the tasks that still cannot be answered.

    Where the fetch as a whole failed, a task of which anything is missing has failed with it: without its ancestors it
    would be answered, but not as it would be the next time.
    """
    if not missing:
        return {}
    try:
        of_volumes = fetch(missing, [], local.context) or {}
    except EwvalError as error:
        lacking = local.to_fetch(missing, again=False)
        absences = local.absences(lacking)
        return {task: _reason(absences.get(task), error) for task in lacking}
    volumes = local.volumes_of(missing)
    return {
        task: _reason(absence, of_volumes.get(volumes.get(task, 0)))
        for task, absence in local.absences(missing).items()
    }


def _reason(absence: MissingError | None, error: EwvalError | None) -> EwvalError:
    """Return why a task is not there: `error`, or what the ledger knows where that was said about other data."""
    if error is None:
        return absence or MissingError("a file of it")
    return absence if absence is not None and absence.hint and isinstance(error, DataError) else error


def _packed(local: LocalData, tasks: Sequence[int], *, progress: Progress) -> dict[int, EwvalError]:
    volumes = local.volumes_to_pack(tasks)
    if not volumes:
        return {}
    workers = Workers(count=1 if len(volumes) <= ALONE else None)
    request = PackRequest(local.folder, volumes=volumes, graph=False, workers=workers)
    try:
        summary = pack(request, progress=progress)
        reasons: dict[int, BaseException] = {failure.item: failure.error for failure in summary.failed}
    except WriteError as unwritable:  # what is packed can still be answered
        reasons = dict.fromkeys(local.volumes_to_pack(tasks), unwritable)
    volume_of = local.volumes_of(tasks)
    failed: dict[int, EwvalError] = {}
    for task in tasks:
        error = reasons.get(volume_of.get(task, 0))
        if isinstance(error, OSError):
            error = UnreadableError(f"volume {volume_of[task]}", error.strerror or str(error))
        if isinstance(error, EwvalError):
            failed[task] = error
        elif error is not None:
            raise error
    return failed
