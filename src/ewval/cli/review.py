"""`ewval review`: a page on this machine where a person settles tasks."""

import getpass
import json as json_module
import threading
import webbrowser
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ewval.cli import options
from ewval.cli.errors import Exit, describe
from ewval.cli.output import Output, message, open_output
from ewval.core.errors import MissingError, UsageError
from ewval.core.folder import DataFolder

if TYPE_CHECKING:
    from ewval.core.ledger.reviews import ReviewStore
    from ewval.core.review.asker import Asker
    from ewval.core.review.listing import Listing

LONGEST_NAME = 64

OrderName = Annotated[str, typer.Option("--order", help="Which tasks come first.", metavar="priority|learn|given")]
Who = Annotated[str | None, typer.Option("--as", help="Reviewer's name; default: the login name.", metavar="NAME")]
Port = Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port on 127.0.0.1; 0: any free one.")]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Print the address, open nothing.")]
Export = Annotated[bool, typer.Option("--export", help="Print settled answers as JSON lines.")]
TaskData = Annotated[
    Path | None,
    typer.Option("--task-data", help="With --export: write final answers as task_data.json.", metavar="FILE"),
]


def review(
    task_ids: options.TaskIds = None,
    cell: options.Cells = None,
    model: options.ModelName = None,
    order: OrderName = "priority",
    who: Who = None,
    port: Port = 0,
    no_browser: NoBrowser = False,
    export: Export = False,
    task_data: TaskData = None,
    data: options.Data = options.DATA_DEFAULT,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Settle tasks by hand, in a page on this machine."""
    output = open_output(json=json, quiet=quiet, verbose=verbose)
    folder = options.data_folder(data, must_exist=True)
    if task_data is not None and not export:
        raise UsageError("--task-data goes with --export")
    tasks, cells = options.parse_ids(task_ids), options.parse_ids(cell, what="cell id")
    if options.hold_nothing(tasks, cells):
        output.note("ewval: nothing to do: the list holds no ids")
        return
    if export:
        _export(output, folder, tasks=tasks, cells=cells, who=who, task_data=task_data)
        return
    from ewval.core.ledger.reviews import ReviewStore
    from ewval.core.review.listing import list_tasks

    listing = list_tasks(folder, tasks=tasks or (), cells=cells or ())
    for error in listing.failed.values():
        message(f"ewval: {describe(error)}")
    if not listing.tasks:
        raise MissingError(f"any task to review in {folder.root}", hint="`ewval fetch` brings tasks")
    with closing(ReviewStore(folder.reviews)) as store:
        _serve(
            output, folder, listing, store, model=model, order=order, who=_name(who), port=port, browser=not no_browser
        )
    raise typer.Exit(Exit.PARTLY if listing.failed else Exit.DONE)


def _serve(
    output: Output,
    folder: DataFolder,
    listing: "Listing",
    store: "ReviewStore",
    *,
    model: str | None,
    order: str,
    who: str,
    port: int,
    browser: bool,
) -> None:
    from ewval.core.coroutines import run_to_end
    from ewval.core.review.desk import Desk
    from ewval.core.review.queue import Queue
    from ewval.core.review.server import ReviewServer, new_secret, serve
    from ewval.core.review.volumes import ShownVolumes

    settled = [task for task, state in store.states(who).items() if state != "open"]
    queue = Queue(listing.tasks, order=order, settled=settled, ranks={})
    asker = _asker(model)
    for task, rank in store.ranks(asker.identity).items():
        if task in queue.tasks:
            queue.rank(task, rank)
    if not queue.open_count:
        output.note(f"ewval: all {len(queue.tasks)} tasks are settled by {who}; `ewval review --export` writes them")
        return
    desk = Desk(queue, ShownVolumes(folder), asker, store, who=who)

    def opened(address: str) -> None:
        output.line(json_module.dumps({"address": address}) if output.json else address)
        if browser and not _open_browser(address):
            output.note("ewval: no browser could be opened; open the address above in one on this machine")
        output.note(f"ewval: {queue.open_count} tasks to review as {who}; nothing is sent to Eyewire; Ctrl-C ends")

    def work_ahead(stop: threading.Event) -> None:
        desk.next_task()
        while not (desk.is_begun.wait(0.2) or stop.is_set()):
            pass
        if queue.order != "given":
            desk.rank_all(_asker(model), ShownVolumes(folder, kept=1), stop=stop)

    with suppress(KeyboardInterrupt):  # the way to end it
        run_to_end(serve(ReviewServer(desk, secret=new_secret(), port=port), opened=opened, background=work_ahead))
    output.note("ewval: ended; every answer is kept")


def _asker(model: str | None) -> "Asker":
    from ewval.core.models.registry import load_decider
    from ewval.core.review.asker import asker_of

    return asker_of(load_decider(model))


def _export(
    output: Output,
    folder: DataFolder,
    *,
    tasks: options.Ids,
    cells: options.Ids,
    who: str | None,
    task_data: Path | None,
) -> None:
    from ewval.core.ledger.reviews import ReviewStore, answers_of
    from ewval.core.review.export import export_lines, task_data_of
    from ewval.core.review.listing import among, parents_of
    from ewval.core.storage.files import write_atomically

    with closing(ReviewStore.open_existing(folder.reviews)) as store:
        reviews = list(store.settled(who=None if who is None else _name(who)))
    if tasks is not None or cells is not None:
        asked = among(folder, (review.task for review in reviews), tasks=tasks or (), cells=cells or ())
        reviews = [review for review in reviews if review.task in asked]
        if not reviews:
            output.note("ewval: nothing of what was asked for is settled")
    for line in export_lines(reviews):
        output.json_line(line)
    if task_data is not None:
        answers = answers_of(reviews)
        document = task_data_of(answers, parents_of(folder, answers))
        write_atomically(task_data, json_module.dumps(document).encode())


def _open_browser(address: str) -> bool:
    with suppress(webbrowser.Error):
        return webbrowser.open(address)
    return False


def _name(who: str | None) -> str:
    """Return the person's name.

    Raises:
        UsageError: It is empty, too long, or holds what no name does.
    """
    name = (_login() if who is None else who).strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UsageError(f"--as {name!r}: a name of 1 to {LONGEST_NAME} printable characters")
    return name


def _login() -> str:
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return "unknown"
