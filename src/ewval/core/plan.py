"""What a fetch would cost: requests, files, bytes and time."""

from dataclasses import dataclass

from ewval.core.agenda import Agenda
from ewval.core.download import FILES

VOLUME_BYTES = 9_000_000
"""Usual size of a raw volume: 500 GB in 56,300 volumes (README of BLimmie/eyewire_validator)."""
REQUESTS_A_TASK = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What is still to be done.

    Args:
        tasks: Tasks to fetch.
        cells: Cells whose task lists could not be had.
        volumes: Volumes to download; for tasks whose place is not known each is counted as one.
        files: Files in them.
        sure_files: Files of volumes that are known to be needed.
        bytes: Their size, by the volumes here or else as usual.
        api_requests: Requests to the API, those for ancestors outside the request left out.
        seconds: How long it takes at the rates asked for.
    """

    tasks: int
    cells: int
    volumes: int
    files: int
    sure_files: int
    bytes: int
    api_requests: int
    seconds: float


def make_plan(agenda: Agenda, *, api_rate: float, bucket_rate: float, metadata_only: bool = False) -> Plan:
    """Return what is open on `agenda`, at those rates."""
    tasks, cells = agenda.unknown_tasks(), len(agenda.open_cells())
    sure = 0 if metadata_only else len(agenda.open_volumes()) + agenda.unknown_volumes()
    volumes = sure + (0 if metadata_only else agenda.placeless_tasks())
    requests = REQUESTS_A_TASK * tasks + cells
    files = volumes * len(FILES)
    return Plan(
        tasks=tasks,
        cells=cells,
        volumes=volumes,
        files=files,
        sure_files=sure * len(FILES),
        bytes=volumes * (agenda.usual_bytes() or VOLUME_BYTES),
        api_requests=requests,
        seconds=max(requests / api_rate, files / bucket_rate),
    )
