"""What is asked of a fetch, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ewval.core.constants import DEFAULT_API, DEFAULT_CONTEXT
from ewval.core.errors import EwvalError, SettingError
from ewval.core.eyewire.limits import Limits
from ewval.core.eyewire.urls import web_address
from ewval.core.folder import DataFolder
from ewval.core.ledger.agenda import Failure

if TYPE_CHECKING:
    from ewval.core.packing.pack import Then

API_RATE, BUCKET_RATE = 5.0, 100.0
"""Requests per second: the API shares servers with the game, the bucket does not."""
HIGHEST_RATE = 10_000.0


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
        graph: Then measure its segment graph, too.
        drop_raw: Then delete what was downloaded.
        api: Base URL of the API.
        token: Access token; never shown.
        api_rate: Requests per second to the API at most.
        bucket_rate: Requests per second to the bucket at most.
        yes: Make more than 10,000 requests.
        contact: Whom Eyewire may write to about these requests.
        list_tasks: Name the tasks in the summary.
        then: Done with each volume in the process that packed it, before its raw files go.
        waits: Wait for another fetch in the same folder, rather than refuse.
        limits: Bounds on tries and waits.

    Raises:
        UsageError: An `api` that is no URL, a rate that is not positive, a negative context, options that exclude
            each other.
    """

    folder: DataFolder
    tasks: Sequence[int] = ()
    cells: Sequence[int] = ()
    registries: Sequence[Path] = ()
    context: int = DEFAULT_CONTEXT
    metadata_only: bool = False
    pack: bool = False
    graph: bool = True
    drop_raw: bool = False
    api: str = DEFAULT_API
    token: str | None = field(default=None, repr=False)
    api_rate: float = API_RATE
    bucket_rate: float = BUCKET_RATE
    yes: bool = False
    contact: str | None = None
    list_tasks: bool = False
    then: "Then | None" = None
    waits: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        web_address(self.api)
        for name, rate in (("api_rate", self.api_rate), ("bucket_rate", self.bucket_rate)):
            if not 0 < rate <= HIGHEST_RATE:
                raise SettingError(f"must be above 0 and at most {HIGHEST_RATE:.0f} requests per second", setting=name)
        if not 0 <= self.context <= 100:
            raise SettingError("must be 0 to 100 ancestors", setting="context")
        if self.drop_raw and not self.pack:
            raise SettingError(
                "needs packing, too: without it, what was fetched would be thrown away", setting="drop_raw"
            )
        if self.pack and self.metadata_only:
            raise SettingError("needs volumes, which metadata only leaves out", setting="pack")


@dataclass(frozen=True, slots=True)
class FetchSummary:
    """What became of a request.

    Args:
        tasks: Tasks asked for that are there now, ascending; empty unless `list_tasks`.
        done: How many of them were fetched now.
        skipped: How many were there before.
        absent: Ancestors, and volumes of ancestors, that do not exist.
        failed: What was asked for and could not be had.
        failed_tasks: The tasks that this concerns, each with the reason: input for the next run.
        dropped: Rows of the registries that were left out, by the rule.
        volumes: Volumes completed now.
        bytes: Bytes received.
        requests: Requests made, retries included.
        seconds: How long it took.
        volume_errors: What went wrong with volumes, by id.
        without_graph: Packed volumes that nothing can measure a graph of any more, where graphs are wanted.
        error: Why nothing at all could be had, where that has one reason.
        stopped: Why it was given up before the end.
    """

    tasks: Sequence[int]
    done: int
    skipped: int
    absent: int
    failed: Sequence[Failure]
    failed_tasks: Mapping[int, str]
    dropped: Mapping[str, int]
    volumes: int
    bytes: int
    requests: int
    seconds: float
    volume_errors: Mapping[int, EwvalError] = field(default_factory=dict)
    without_graph: tuple[int, ...] = ()
    error: EwvalError | None = None
    stopped: EwvalError | None = None
