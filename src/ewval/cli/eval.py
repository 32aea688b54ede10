"""`ewval eval`: how good a model is, and whether the figure can be believed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ewval.cli import options
from ewval.cli.errors import Exit
from ewval.cli.output import Output, message, open_output
from ewval.cli.progress import progress_bars
from ewval.cli.show.packing import answered_from_packed
from ewval.core.errors import GuardError
from ewval.core.torchrun import place

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ewval.core.evaluation.run import Evaluation
    from ewval.core.team import Team

Side = Annotated[str, typer.Option("--split", help="test, val, train or all.", metavar="SIDE")]
Loops = Annotated[
    str | None,
    typer.Option("--loops", help="Network passes to compare, such as 4,1.", metavar="N,N", show_default="4,1"),
]
Fold = Annotated[
    int | None, typer.Option("--fold", min=0, help="Use fold FOLD of `ewval index --folds`.", metavar="FOLD")
]
Limit = Annotated[int | None, typer.Option("--limit", help="Score a random sample of N tasks.", metavar="N")]
Compare = Annotated[
    list[str] | None, typer.Option("--compare", help="Another model to compare with; repeatable.", metavar="MODEL")
]
Baselines = Annotated[bool, typer.Option("--baselines/--no-baselines", help="Score the baselines as well.")]
Report = Annotated[bool, typer.Option("--report/--no-report", help="Draw plots and report.html.")]
Out = Annotated[Path | None, typer.Option("--out", help="Output folder; default: in the data folder.", metavar="DIR")]


def eval_(
    data: options.Data = options.DATA_DEFAULT,
    model: options.ModelName = None,
    split: Side = "test",
    loops: Loops = None,
    fold: Fold = None,
    limit: Limit = None,
    compare: Compare = None,
    baselines: Baselines = True,
    report: Report = True,
    device: options.Device = "auto",
    out: Out = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Score a model and the baselines on held-out tasks."""
    output = open_output(json=json, quiet=quiet, verbose=verbose)
    folder = options.data_folder(data, must_exist=True)
    from ewval.core.evaluation.request import parse_loops, parse_side
    from ewval.core.evaluation.run import EvalRequest, evaluate

    request = EvalRequest(
        folder=folder,
        out=out,
        model=model,
        side=parse_side(split),
        loops=None if loops is None else parse_loops(loops),
        fold=fold,
        limit=limit,
        compare=tuple(compare or ()),
        baselines=baselines,
        device=device,
        report=report,
    )
    options.checked_device(device)
    with _team(device) as team, progress_bars("eval", "guards", "report", quiet=quiet) as (tasks, guards, pictures):
        evaluation = evaluate(request, team=team, progress=tasks, checking=guards, drawing=pictures)
    if loops is not None and evaluation is not None and "default" in evaluation.document["settings"]:
        message(f"ewval: warning: --loops is ignored: model {evaluation.document['model']} has no loops")
    if evaluation is not None:
        _show(evaluation, output)
        _warn(evaluation)
        _end(evaluation)


def _team(device: str) -> "AbstractContextManager[Team]":
    """Return the processes of torchrun, which share the tasks; without it this process alone."""
    if place().is_shared:
        from ewval.nn.devices import pick_device
        from ewval.nn.distributed import join_team

        return join_team(pick_device(device))
    from contextlib import nullcontext

    from ewval.core.team import ALONE

    return nullcontext(ALONE)


def _show(evaluation: "Evaluation", output: Output) -> None:
    if output.json or output.quiet:
        output.result(evaluation.document, text="", ids=[evaluation.shown_in])
        return
    if evaluation.was_done:
        output.note("nothing to do: this evaluation is already here")
    document = evaluation.document
    what = f"{document['model']} on {document['tasks']} {document['split']} tasks"
    output.table(
        ["", "F1", "95 %", "by count", "IoU", "no seed"],
        [_row(name, figures) for kind in ("settings", "baselines") for name, figures in document[kind].items()],
        title=f"{what}; F1 by volume where something is to be added",
    )
    for name, guard in document["guards"].items():
        output.line(f"guard {name}: {guard['state']}: {guard['reason']}")
    output.line(f"report: {evaluation.shown_in}")


def _warn(evaluation: "Evaluation") -> None:
    """Say which figures stand for less than they seem to."""
    everyone = {**evaluation.document["settings"], **evaluation.document["baselines"]}
    count = max(figures.get("packed", 0) for figures in everyone.values())
    if count:
        message(answered_from_packed(count, what="figures"))


def _row(name: str, figures: dict[str, Any]) -> list[str]:
    extend = figures["segment"]["extend"]
    low, high = figures["ci95"].get("segment.extend.volume_f1", (None, None))
    numbers = (extend["volume_f1"], extend["count_f1"], figures["iou"], figures["seedless_iou"])
    volume, count, iou, seedless = ("-" if number is None else f"{number:.3f}" for number in numbers)
    return [name, volume, "-" if low is None else f"{low:.3f}-{high:.3f}", count, iou, seedless]


def _end(evaluation: "Evaluation") -> None:
    """Leave with the exit code that the outcome asks for.

    Raises:
        GuardError: A guard failed.
    """
    for failure in evaluation.document["failed"]:
        message(f"ewval: task {failure['id']}: {failure['reason']}")
    for name, reason in evaluation.failed_guards.items():
        raise GuardError(name, reason)
    if evaluation.document["failed"]:
        raise typer.Exit(Exit.PARTLY)
