"""What `ewval fetch` does: tasks, their aggregates and ancestors, and the volumes they lie in.

Whatever is complete is written down at once, so a fetch may be killed at any moment and begun again.
"""

from contextlib import closing

from ewval.core.coroutines import run_to_end
from ewval.core.eyewire.registry import RegistryRow, read_registry
from ewval.core.fetch.budget import Budget
from ewval.core.fetch.estimate import REQUESTS_A_TASK, Plan
from ewval.core.fetch.request import FetchRequest, FetchSummary
from ewval.core.fetch.session import Course
from ewval.core.ledger.ledger import Ledger
from ewval.core.progress import SILENT, Progress
from ewval.core.storage.locks import exclusive

__all__ = ["FetchRequest", "FetchSummary", "fetch", "plan_fetch"]


def fetch(request: FetchRequest, *, progress: Progress = SILENT, files: Progress = SILENT) -> FetchSummary:
    """Fetch what is asked for and not there yet.

    Args:
        request: What is asked for.
        progress: Advanced by cells, then by tasks.
        files: Advanced by files of volumes.

    Raises:
        UsageError: Another fetch is at work in the data folder, and the request does not wait.
        WriteError: The data folder cannot be written.
        ConsentError: It takes more requests than are made without `yes`.
        DataError: The ledger or a registry cannot be read.
        EwvalError: The API failed before it was known what is asked for.
        KeyboardInterrupt: Interrupted or terminated; the state is saved.
    """
    rows = _rows(request)
    if not request.folder.ledger.is_file():  # a refusal leaves nothing behind
        Budget(is_agreed=request.yes).check(REQUESTS_A_TASK * len(request.tasks) + len(request.cells))
    with exclusive(request.folder.root, waits=request.waits), closing(Ledger(request.folder.ledger)) as ledger:
        return run_to_end(Course(request, ledger, rows=rows, progress=progress, files=files).run())


def plan_fetch(request: FetchRequest) -> Plan:
    """Return what a fetch would do, without a trace in the data folder.

    The API is asked for the task lists of cells that were never listed; raises as `fetch`.
    """
    rows = _rows(request)
    with Ledger.scratch(request.folder.ledger) as ledger:
        return run_to_end(Course(request, ledger, rows=rows, progress=SILENT, files=SILENT).plan())


def _rows(request: FetchRequest) -> list[RegistryRow]:
    return [row for path in request.registries for row in read_registry(path)]
