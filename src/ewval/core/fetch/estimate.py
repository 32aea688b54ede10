"""What a fetch would cost: requests, files, bytes and time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ewval.core.errors import EwvalError
from ewval.core.fetch.download import FILES
from ewval.core.ledger.agenda import Agenda

VOLUME_BYTES = 9_000_000
"""Usual size of a raw volume: 500 GB in 56,300 volumes (README of BLimmie/eyewire_validator)."""
REQUESTS_A_TASK = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What is still to be done.

    Args:
        tasks: Tasks to fetch.
        cells: Cells whose task lists could not be had.
        volumes: Volumes to download; a task whose place is not known counts as one.
        files: Files in them.
        bytes: Their size, by the volumes here or else as usual.
        api_requests: Requests to the API, those for ancestors outside the request left out.
        sure_requests: Requests to both that nothing we learn on the way can save.
        seconds: How long it takes at the rates asked for.
        errors: Why the task lists of cells could not be had, by id.
    """

    tasks: int
    cells: int
    volumes: int
    files: int
    bytes: int
    api_requests: int
    sure_requests: int
    seconds: float
    errors: Mapping[int, EwvalError] = field(default_factory=dict)


def make_plan(agenda: Agenda, *, api_rate: float, bucket_rate: float, metadata_only: bool = False) -> Plan:
    """Return what is open on `agenda`, at those rates."""
    tasks, cells = agenda.unknown_tasks(), len(agenda.open_cells())
    sure = 0 if metadata_only else agenda.wanted_volumes() + agenda.unknown_places()
    ancestral = 0 if metadata_only else len(agenda.open_volumes()) - agenda.wanted_volumes()
    volumes = sure + ancestral + (0 if metadata_only else agenda.placeless_tasks())
    requests = REQUESTS_A_TASK * tasks + cells
    files = volumes * len(FILES)
    return Plan(
        tasks=tasks,
        cells=cells,
        volumes=volumes,
        files=files,
        bytes=volumes * (agenda.usual_bytes() or VOLUME_BYTES),
        api_requests=requests,
        sure_requests=requests + sure * len(FILES) + ancestral,
        seconds=max(requests / api_rate, files / bucket_rate),
    )
