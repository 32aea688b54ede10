"""`ewval fetch`: tasks and volumes from Eyewire."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ewval.cli.errors import Exit, report
from ewval.cli.options import (
    API_DEFAULT,
    DATA_DEFAULT,
    Api,
    Data,
    Json,
    Quiet,
    TaskIds,
    TokenFile,
    Verbose,
    data_folder,
    parse_ids,
)
from ewval.cli.output import Output, open_output
from ewval.cli.progress import progress_bars
from ewval.core.constants import DEFAULT_CONTEXT
from ewval.core.credentials import read_token

if TYPE_CHECKING:
    from ewval.core.fetch_request import FetchSummary
    from ewval.core.plan import Plan


def fetch(
    task_ids: TaskIds = None,
    cell: Annotated[list[str] | None, typer.Option("--cell", help="All tasks of a cell.", metavar="ID")] = None,
    registry: Annotated[
        list[Path] | None, typer.Option("--registry", help="All mouse cells of a registry.", metavar="CSV")
    ] = None,
    data: Data = DATA_DEFAULT,
    context: Annotated[int, typer.Option(help="Ancestors fetched above each task.")] = DEFAULT_CONTEXT,
    metadata_only: Annotated[bool, typer.Option("--metadata-only", help="No volumes.")] = False,
    pack: Annotated[bool, typer.Option("--pack", help="Pack each volume as soon as it is complete.")] = False,
    drop_raw: Annotated[bool, typer.Option("--drop-raw", help="With --pack: delete what was downloaded.")] = False,
    api: Api = API_DEFAULT,
    token_file: TokenFile = None,
    api_rate: Annotated[float, typer.Option(help="Requests per second to the API, at most.")] = 5,
    bucket_rate: Annotated[float, typer.Option(help="Requests per second to the bucket, at most.")] = 100,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is to fetch.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to more than 10,000 requests.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fetch tasks, their aggregates and ancestors, and the volumes they lie in."""
    from ewval.core.fetch import FetchRequest, plan_fetch
    from ewval.core.fetch import fetch as fetch_all

    output = open_output(json=json, quiet=quiet, verbose=verbose)
    request = FetchRequest(
        folder=data_folder(data),
        tasks=parse_ids(task_ids),
        cells=parse_ids(cell, what="cell id"),
        registries=registry or (),
        context=context,
        metadata_only=metadata_only,
        pack=pack,
        drop_raw=drop_raw,
        api=api,
        token=read_token(token_file),
        api_rate=api_rate,
        bucket_rate=bucket_rate,
        yes=yes,
    )
    if dry_run:
        _show_plan(output, plan_fetch(request))
        return
    with progress_bars("tasks", "files", quiet=quiet) as (tasks, files):
        summary = fetch_all(request, progress=tasks, files=files)
    _show(output, summary)


def _show_plan(output: Output, plan: "Plan") -> None:
    document = {
        "tasks": plan.tasks,
        "cells": plan.cells,
        "volumes": plan.volumes,
        "files": plan.files,
        "bytes": plan.bytes,
        "requests": plan.api_requests + plan.files,
        "seconds": round(plan.seconds, 1),
    }
    text = (
        f"would fetch {plan.tasks} tasks and {plan.volumes} volumes: {document['requests']:,} requests,"
        f" {plan.files:,} files, {plan.bytes / 1e6:,.0f} MB, about {plan.seconds:,.0f} s"
    )
    output.result(document, text=text)


def _show(output: Output, summary: "FetchSummary") -> None:
    document = {
        "done": summary.done,
        "skipped": summary.skipped,
        "absent": summary.absent,
        "failed": [{"id": item.id, "reason": item.reason, "kind": item.kind} for item in summary.failed],
        "seconds": round(summary.seconds, 3),
        "bytes": summary.bytes,
        "volumes": summary.volumes,
        "requests": summary.requests,
    }
    text = f"fetched {summary.done} tasks and {summary.volumes} volumes"
    output.result(document, text=text)
    if summary.error is not None:
        raise typer.Exit(report(summary.error))
    if summary.failed or summary.stopped:
        raise typer.Exit(Exit.PARTLY)
