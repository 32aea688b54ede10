"""Eyewire's API, read only: tasks, aggregates, cells.

Source: reference of the 1.0 API at https://eyewire.org/apidoc and the clients that use it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from ewval.core.errors import MissingError, RefusedError, TokenMissingError, TokenRefusedError
from ewval.core.eyewire.host import Host, HostOptions
from ewval.core.eyewire.limits import Limits
from ewval.core.eyewire.records import AggregateRecord, TaskRecord
from ewval.core.eyewire.replies import (
    CellRow,
    CellTask,
    parse_aggregate,
    parse_cell_tasks,
    parse_cells,
    parse_task,
    read_json,
)
from ewval.core.eyewire.urls import web_address

CONNECTIONS = 4
LARGEST_REPLY_BYTES = 64 << 20
"""A cell of 100,000 tasks is listed in about 12 MB."""
REFUSALS_BEFORE_DOWN = 5

T = TypeVar("T")


class EyewireClient:
    """Asks Eyewire's API while its `async with` block runs. Only GET is ever used.

    Args:
        base: Base URL, such as https://eyewire.org.
        token: Access token; None asks without one.
        rate: Requests per second at most.
        user_agent: Says who asks.
        limits: Bounds on tries and waits.

    Raises:
        UsageError: `base` is not an http(s) URL.
    """

    def __init__(
        self, base: str, *, token: str | None, rate: float, user_agent: str, limits: Limits | None = None
    ) -> None:
        self.base = web_address(base)
        self.host = Host(
            HostOptions(
                "API",
                rate,
                CONNECTIONS,
                user_agent,
                secret=token,
                origin=self.base,
                limits=limits or Limits(),
            )
        )
        self._refusals = 0

    async def __aenter__(self) -> "EyewireClient":
        await self.host.__aenter__()
        return self

    async def __aexit__(self, *details: Any) -> None:
        await self.host.__aexit__(*details)

    async def task(self, task: int) -> TaskRecord:
        """Return a task.

        Raises:
            MissingError: There is none of that id.
            CredentialError: The token is missing or refused.
            ServerError: No good answer after all tries.
        """
        return await self._get(
            f"/1.0/task/{task}",
            what=f"task {task}",
            parse=lambda document, url: parse_task(document, task=task, url=url),
        )

    async def aggregate(self, task: int) -> AggregateRecord | None:
        """Return what the players of a task chose, None where nobody has; raises as `task`."""
        try:
            return await self._get(
                f"/1.0/task/{task}/aggregate",
                what=f"aggregate of task {task}",
                parse=lambda document, url: parse_aggregate(document, url=url),
            )
        except MissingError:
            return None

    async def cell_tasks(self, cell: int) -> tuple[CellTask, ...]:
        """Return the tasks of a cell; raises as `task`."""
        return await self._get(
            f"/1.0/cell/{cell}/tasks",
            what=f"cell {cell}",
            parse=lambda document, url: parse_cell_tasks(document, url=url),
        )

    async def cells(self, dataset: int) -> tuple[CellRow, ...]:
        """Return the cells of a data set; raises as `task`."""
        return await self._get(
            "/1.0/cell",
            what=f"cells of data set {dataset}",
            parse=lambda document, url: parse_cells(document, url=url),
            dataset=str(dataset),
        )

    async def _get(self, path: str, *, what: str, parse: Callable[[Any, str], T], **query: str) -> T:
        url = self.base + path

        async def use(body: bytes) -> T:
            return parse(read_json(body, url=url), url)

        try:
            result = await self.host.get(url, limit=LARGEST_REPLY_BYTES, use=use, query=query)
        except MissingError as error:
            raise MissingError(what, hint=f"{self.base} does not know it") from error
        except RefusedError as error:
            self._check_refusal(error, url)
            raise
        self._refusals = 0
        return result

    def _check_refusal(self, error: RefusedError, url: str) -> None:
        """Tell a token that is no good from a single task that it does not open."""
        if error.status not in (401, 403):
            return
        self._refusals += 1
        if error.status == 403 and self.host.has_succeeded and self._refusals < REFUSALS_BEFORE_DOWN:
            return
        if self.host.options.secret is None:
            self.host.down = TokenMissingError()
        else:
            self.host.down = TokenRefusedError(url, error.status)
        raise self.host.down from error
