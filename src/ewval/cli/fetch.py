"""`ewval fetch`: tasks and volumes from Eyewire."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ewval.cli import options
from ewval.cli.errors import Exit, describe, exit_code, report
from ewval.cli.output import Output, message, open_output
from ewval.cli.progress import progress_bars
from ewval.cli.show.packing import without_graph
from ewval.core.constants import DEFAULT_CONTEXT, ENV_CONTACT
from ewval.core.errors import ConsentError, UsageError
from ewval.core.eyewire.credentials import read_token
from ewval.core.folder import DataFolder
from ewval.core.storage.files import write_atomically

if TYPE_CHECKING:
    from ewval.core.fetch.estimate import Plan
    from ewval.core.fetch.request import FetchRequest, FetchSummary

SHOWN_FAILURES = 10


def fetch(
    task_ids: options.TaskIds = None,
    cell: options.Cells = None,
    registry: Annotated[
        list[Path] | None,
        typer.Option("--registry", help="Fetch all completed mouse cells in a registry file.", metavar="CSV"),
    ] = None,
    data: options.Data = options.DATA_DEFAULT,
    context: Annotated[int, typer.Option(help="Generations of ancestors to fetch.")] = DEFAULT_CONTEXT,
    metadata_only: Annotated[
        bool, typer.Option("--metadata-only", help="Fetch tasks and answers only, no volumes.")
    ] = False,
    pack: Annotated[bool, typer.Option("--pack", help="Pack each volume as soon as it is complete.")] = False,
    no_graph: Annotated[bool, typer.Option("--no-graph", help="With --pack: skip segment graphs.")] = False,
    drop_raw: Annotated[bool, typer.Option("--drop-raw", help="With --pack: delete raw files once packed.")] = False,
    predict: Annotated[
        Path | None,
        typer.Option("--predict", help="With --pack: answer the tasks meanwhile, into this folder.", metavar="DIR"),
    ] = None,
    model: options.ModelName = None,
    api: options.Api = options.API_DEFAULT,
    token_file: options.TokenFile = None,
    api_rate: Annotated[float, typer.Option(help="Maximum API requests per second.")] = 5,
    bucket_rate: Annotated[float, typer.Option(help="Maximum bucket requests per second.")] = 100,
    contact: Annotated[
        str | None,
        typer.Option("--contact", envvar=ENV_CONTACT, help="Contact e-mail, sent with every request.", metavar="TEXT"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be fetched, fetch nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Allow more than 10,000 requests without asking.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Fetch tasks, their answers and ancestors, and their volumes."""
    from ewval.core.fetch.run import FetchRequest, plan_fetch

    output = open_output(json=json, quiet=quiet, verbose=verbose)
    if not (task_ids or cell or registry):
        raise UsageError("nothing to fetch: give task ids, --cell ID or --registry CSV")
    if predict is not None and (not pack or no_graph):
        raise UsageError("--predict answers from packed volumes and their graphs; add --pack, leave --no-graph out")
    tasks, cells = options.parse_ids(task_ids), options.parse_ids(cell, what="cell id")
    request = FetchRequest(
        folder=options.data_folder(data),
        tasks=tasks or (),
        cells=cells or (),
        registries=registry or (),
        context=context,
        metadata_only=metadata_only,
        pack=pack,
        graph=not no_graph,
        drop_raw=drop_raw,
        api=api,
        token=read_token(token_file),
        api_rate=api_rate,
        bucket_rate=bucket_rate,
        yes=yes,
        contact=contact,
        list_tasks=(quiet and not json) or predict is not None,
    )
    if dry_run:
        if code := _show_plan(output, plan_fetch(request)):
            raise typer.Exit(code)
        return
    if not registry and options.hold_nothing(tasks, cells):
        output.nothing_to_do("the list holds no ids")
        return
    answers = None if predict is None else Answers(predict, model)
    if answers is not None:
        request = answers.begin(request)
    summary = _fetch(output, request)
    _write_failed(request.folder, summary)
    unanswered = 0 if answers is None else answers.finish(request, summary, quiet=quiet)
    _show(output, request, summary, answers=answers)
    if code := _exit(summary) or (Exit.PARTLY if unanswered else Exit.DONE):
        raise typer.Exit(code)


@dataclass(slots=True)
class Answers:
    """The answers that `--predict` asks for.

    Args:
        out: Where to.
        model: Packaged name or path; None for the default.
        done: Tasks that have an answer, once all is fetched.
    """

    out: Path
    model: str | None
    done: int = 0

    def begin(self, request: "FetchRequest") -> "FetchRequest":
        """Return the request with what is done to each volume."""
        from ewval.core.predict.pipeline import open_answers
        from ewval.core.predict.work import WorkerModel

        return replace(request, then=open_answers(request.folder, self.out, model=WorkerModel((self.model,))))

    def finish(self, request: "FetchRequest", summary: "FetchSummary", *, quiet: bool) -> int:
        """Answer what is left, say which tasks have no answer, and return how many these are."""
        from ewval.core.predict.pipeline import answer_rest
        from ewval.core.predict.work import Found, WorkerModel

        failed: dict[int, str] = {}
        with progress_bars("predict", quiet=quiet) as (progress,):
            model = WorkerModel((self.model,))
            for result in answer_rest(request.folder, tuple(summary.tasks), self.out, model=model, progress=progress):
                if isinstance(result, Found):
                    self.done += 1
                else:
                    failed[result.task] = describe(result.error)
        for task, reason in list(failed.items())[:SHOWN_FAILURES]:
            message(f"ewval: task {task} has no answer: {reason}")
        if (more := len(failed) - SHOWN_FAILURES) > 0:
            message(f"ewval: and {more:,} more, listed in {self.out / 'failed.txt'}")
        return len(failed)


def _fetch(output: Output, request: "FetchRequest") -> "FetchSummary":
    from ewval.core.fetch.run import fetch as fetch_all

    try:
        with progress_bars("tasks", "files", quiet=output.quiet) as (tasks, files):
            return fetch_all(request, progress=tasks, files=files)
    except ConsentError as error:
        if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        if not typer.confirm(f"{error}; continue?", err=True):
            raise typer.Exit(Exit.USAGE) from error
        return _fetch(output, replace(request, yes=True))


def _write_failed(folder: DataFolder, summary: "FetchSummary") -> None:
    """Leave a file that the next run takes as input, or none; where nothing was done, or not all, it stays as it is."""
    if not summary.failed:
        if summary.stopped is None and (summary.done or summary.skipped):
            folder.failed.unlink(missing_ok=True)
        return
    lines = [f"{task}  # {' '.join(reason.split())}" for task, reason in sorted(summary.failed_tasks.items())]
    lines += [f"# cell {item.id}: {' '.join(item.reason.split())}" for item in summary.failed if item.kind == "cell"]
    write_atomically(folder.failed, ("\n".join(lines) + "\n").encode("ascii", "backslashreplace"))


def _show_plan(output: Output, plan: "Plan") -> Exit:
    """Print what there is to do; return how the command ends: cells that could not be asked about are named."""
    requests = plan.api_requests + plan.files
    document = {
        "tasks": plan.tasks,
        "cells": plan.cells,
        "volumes": plan.volumes,
        "files": plan.files,
        "bytes": plan.bytes,
        "requests": requests,
        "seconds": round(plan.seconds, 1),
    }
    text = (
        f"would fetch {_count(plan.tasks, 'task')} and up to {_count(plan.volumes, 'volume')}:"
        f" {requests:,} requests, {_count(plan.files, 'file')}, {_size(plan.bytes)}, about {_duration(plan.seconds)}"
    )
    alone = next(iter(plan.errors.values()), None) if len(plan.errors) == 1 and not plan.tasks else None
    if alone is None or output.json:
        output.result(document, text=text if requests else "nothing to do: all of it is there")
    if alone is not None:
        report(alone)
        return exit_code(alone)
    for cell, error in list(plan.errors.items())[:SHOWN_FAILURES]:
        message(f"ewval: cell {cell} failed: {describe(error)}")
    if (more := len(plan.errors) - SHOWN_FAILURES) > 0:
        message(f"ewval: and {more:,} more")
    return Exit.PARTLY if plan.errors else Exit.DONE


def _show(output: Output, request: "FetchRequest", summary: "FetchSummary", *, answers: Answers | None = None) -> None:
    document = {
        "done": summary.done,
        "skipped": summary.skipped,
        "absent": summary.absent,
        "failed": [{"id": item.id, "kind": item.kind, "reason": item.reason} for item in summary.failed],
        "seconds": round(summary.seconds, 3),
        "bytes": summary.bytes,
        "volumes": summary.volumes,
        "requests": summary.requests,
        "dropped": dict(summary.dropped),
    } | ({} if answers is None else {"answers": answers.done})
    if summary.dropped:
        dropped = ", ".join(f"{count:,} {rule}" for rule, count in summary.dropped.items())
        output.note(f"registry: left out {_count(sum(summary.dropped.values()), 'row')}: {dropped}")
    if summary.error is None or output.json:
        told = "" if answers is None else f"; {_count(answers.done, 'answer')} in {answers.out}"
        output.result(document, text=_text(summary) + told, ids=summary.tasks)
    if summary.without_graph:
        output.note(f"ewval: {without_graph(summary.without_graph)}")
    if len(summary.failed) > 1 or summary.error is None:
        _show_failed(request.folder, summary)
    if summary.error is not None:
        report(summary.error)
    elif summary.stopped is not None:
        message(f"ewval: stopped before the end: {describe(summary.stopped)}")


def _text(summary: "FetchSummary") -> str:
    absent = f"; {summary.absent:,} ancestors or their volumes do not exist" if summary.absent else ""
    if not (summary.requests or summary.volumes or summary.skipped):
        return "nothing to do: the request names no task"
    if not (summary.requests or summary.volumes):
        return f"nothing to do: {_count(summary.skipped, 'task')} and all that belongs to them are there{absent}"
    before = f"; {summary.skipped:,} were there before" if summary.skipped else ""
    return (
        f"fetched {_count(summary.done, 'task')} and {_count(summary.volumes, 'volume')}, {_size(summary.bytes)},"
        f" in {_duration(summary.seconds)}{before}{absent}"
    )


def _show_failed(folder: DataFolder, summary: "FetchSummary") -> None:
    for item in summary.failed[:SHOWN_FAILURES]:
        message(f"ewval: {item.kind} {item.id} failed: {' '.join(item.reason.split())}")
    if more := len(summary.failed[SHOWN_FAILURES:]):
        message(f"ewval: and {more:,} more")
    if summary.failed:
        message(f"ewval: run the same command to retry them; {folder.failed} lists them")


def _exit(summary: "FetchSummary") -> Exit:
    if summary.error is not None:
        return exit_code(summary.error)
    return Exit.PARTLY if summary.failed or summary.stopped else Exit.DONE


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:,.1f} h"
