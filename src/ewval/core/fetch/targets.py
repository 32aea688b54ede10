"""What a request asks for: registries become cells, cells become tasks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ewval.core.constants import MOUSE_DATASET, ZEBRAFISH_DATASET
from ewval.core.coroutines import together
from ewval.core.errors import EwvalError
from ewval.core.eyewire.client import CONNECTIONS, EyewireClient
from ewval.core.eyewire.registry import RegistryRow, Selection, select_cells
from ewval.core.fetch.ancestors import Books
from ewval.core.fetch.budget import Budget
from ewval.core.fetch.estimate import REQUESTS_A_TASK
from ewval.core.fetch.request import FetchRequest
from ewval.core.ledger.agenda import Agenda
from ewval.core.ledger.schema import NO_DATASET
from ewval.core.progress import Progress


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, as far as it could be found out.

    Args:
        agenda: The part of the ledger that it concerns.
        dropped: Rows of the registries that were left out, by the rule.
        errors: What went wrong with cells, by id.
    """

    agenda: Agenda
    dropped: Mapping[str, int]
    errors: Mapping[int, EwvalError]


async def find_out(
    request: FetchRequest,
    client: EyewireClient,
    books: Books,
    *,
    rows: Sequence[RegistryRow],
    budget: Budget,
    progress: Progress,
) -> Asked:
    """Write down in the ledger which tasks are asked for; cells whose tasks are not known are listed.

    Args:
        request: What is asked for.
        client: Whom to ask.
        books: Where it is written down.
        rows: What its registries hold.
        budget: Told how many requests follow.
        progress: Advanced by cells.

    Raises:
        ConsentError: It takes too many requests.
        EwvalError: The API is down.
    """
    selection = await _select(rows, client, books)
    agenda = Agenda(
        books.ledger, tasks=request.tasks, cells=(*request.cells, *selection.cells), context=request.context
    )
    cells = agenda.open_cells()
    budget.check(REQUESTS_A_TASK * (agenda.unheard + agenda.unknown_tasks()) + len(cells))
    await books.run(agenda.ask)
    errors = await _list_cells(cells, client, books, progress=progress) if cells else {}
    return Asked(agenda, selection.dropped, errors)


async def _select(rows: Sequence[RegistryRow], client: EyewireClient, books: Books) -> Selection:
    datasets = await _datasets_of(rows, client, books) if rows else {}
    return select_cells(
        rows,
        mouse=_members(datasets, MOUSE_DATASET),
        others={cell for cell, dataset in datasets.items() if dataset not in (MOUSE_DATASET, NO_DATASET)},
    )


async def _datasets_of(rows: Sequence[RegistryRow], client: EyewireClient, books: Books) -> dict[int, int]:
    """Return the data sets of cells: from the ledger, else from the API where it tells."""
    ids = [row.id for row in rows if row.id is not None]
    known = await books.run(books.ledger.datasets, ids)
    unknown = [cell for cell in ids if cell not in known]
    if unknown and (told := await _all_datasets(client)):
        fresh = {cell: told.get(cell, NO_DATASET) for cell in unknown}
        await books.run(books.ledger.set_datasets, fresh)
        known |= fresh
    return known


async def _all_datasets(client: EyewireClient) -> dict[int, int]:
    try:
        return {
            row.id: dataset for dataset in (ZEBRAFISH_DATASET, MOUSE_DATASET) for row in await client.cells(dataset)
        }
    except EwvalError:
        if client.host.down is not None:
            raise
        return {}  # rows are judged by tag and name


def _members(datasets: Mapping[int, int], dataset: int) -> Collection[int]:
    return {cell for cell, own in datasets.items() if own == dataset}


async def _list_cells(
    cells: Sequence[int], client: EyewireClient, books: Books, *, progress: Progress
) -> Mapping[int, EwvalError]:
    errors: dict[int, EwvalError] = {}
    waiting = iter(cells)
    progress.start(len(cells), unit="cells")

    async def work() -> None:
        for cell in waiting:
            if client.host.down is not None:
                return
            try:
                await _list_cell(cell, client, books)
            except EwvalError as error:
                errors[cell] = error
                if client.host.down is None:
                    await books.run(books.ledger.mark_cell, cell, "failed", reason=error.why)
            progress.advance()

    await together(*(work() for _ in range(CONNECTIONS)))
    return errors


async def _list_cell(cell: int, client: EyewireClient, books: Books) -> None:
    if await books.run(books.ledger.cell_state, cell) == "listed":
        await books.run(books.ledger.want_cell, cell)
        return
    rows = await client.cell_tasks(cell)
    listed = [(row.id, row.status, row.bounds) for row in rows]
    await books.run(books.ledger.add_cell, cell, listed, wanted=True)
