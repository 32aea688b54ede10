"""`ewval index`: what is trained on, and what is not, and why."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ewval.cli.errors import Exit
from ewval.cli.options import DATA_DEFAULT, Data, Json, Quiet, Verbose, Workers, data_folder, hold_nothing, parse_ids
from ewval.cli.output import Output, message, open_output
from ewval.cli.progress import progress_bar

if TYPE_CHECKING:
    from ewval.core.index.build import IndexSummary
    from ewval.core.index.examples import Examples

FEW_TASKS = 10
"""With fewer tasks the temperature and the thresholds that val decides on mean little."""


def index(
    data: Data = DATA_DEFAULT,
    split: Annotated[str, typer.Option(help="volume, cell, or cell:ID (cells below ID train).")] = "volume",
    test_fraction: Annotated[float, typer.Option(help="Fraction of tasks to test on.")] = 0.1,
    val_fraction: Annotated[float, typer.Option(help="Fraction of tasks to validate on.")] = 0.01,
    folds: Annotated[
        int | None, typer.Option(help="Also write K cross-validation splits by cell.", metavar="K")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the split.")] = 0,
    consensus: Annotated[
        str, typer.Option(help="Which segments count: rule, all, or a confidence.", metavar="rule|all|FLOAT")
    ] = "rule",
    min_weight: Annotated[float | None, typer.Option(help="Drop tasks with fewer votes.", metavar="W")] = None,
    keep_empty: Annotated[
        bool, typer.Option("--keep-empty", help="Keep tasks with empty answers for testing.")
    ] = False,
    cell: Annotated[list[str] | None, typer.Option(help="Only this cell; repeatable.", metavar="ID")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the selection as a new data folder.", metavar="DIR")] = None,
    skip_volumes: Annotated[bool, typer.Option("--skip-volumes", help="Do not check the packed volumes.")] = False,
    reviews: Annotated[
        bool, typer.Option("--reviews", help="Final answers of `ewval review` replace the players'.")
    ] = False,
    workers: Workers = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Build the task table and split it into train, val and test."""
    from ewval.core.index.assignment import Fractions
    from ewval.core.index.build import IndexRequest
    from ewval.core.index.build import index as index_folder
    from ewval.core.tasks.consensus import parse_rule

    output = open_output(json=json, quiet=quiet, verbose=verbose)
    cells = parse_ids(cell, what="cell id")
    request = IndexRequest(
        data_folder(data, must_exist=True),
        split=split,
        fractions=Fractions(test_fraction, val_fraction),
        folds=folds,
        seed=seed,
        consensus=parse_rule(consensus),
        min_weight=min_weight,
        keep_empty=keep_empty,
        cells=cells,
        out=None if out is None else data_folder(out).root,
        check_volumes=not skip_volumes,
        workers=workers,
        reviews=reviews,
    )
    if hold_nothing(cells):
        output.nothing_to_do("the list holds no cell ids")
        return
    with progress_bar("index", quiet=quiet) as progress:
        summary = index_folder(request, progress=progress)
    _show(output, summary)
    if summary.damaged:
        raise typer.Exit(Exit.PARTLY)


def _show(output: Output, summary: "IndexSummary") -> None:
    for note in _notes(summary):
        output.note(f"ewval: {note}")
    for problem in summary.damaged.values():
        message(f"ewval: {problem}; delete it and run `ewval pack` again")
    if output.json or output.quiet:
        output.result(_document(summary), text="", ids=summary.files)
        return
    counts = summary.split.counts
    output.table(["side", "tasks"], [(name, counts[name]) for name in ("train", "val", "test", "gap")])
    if counts["dropped"]:
        output.table(["dropped because", "tasks"], list(counts["dropped"].items()))
    if summary.examples is not None:
        output.line(_examples_text(summary.examples))
    output.line(f"{counts['tasks']} tasks in {summary.seconds:.1f} s: {', '.join(map(str, summary.files))}")


def _examples_text(examples: "Examples") -> str:
    """Return what there is to learn from, in one line."""
    line = f"to learn from: {examples.cells} cells, {examples.tasks} tasks in {examples.volumes} volumes"
    if examples.contacts is None and examples.cells:
        return f"{line}, none of them with a segment graph; `ewval pack` measures it"
    if examples.contacts is None:
        return line
    about = "about " if examples.is_estimate else ""
    return f"{line}, {about}{examples.contacts} contacts"


def _notes(summary: "IndexSummary") -> list[str]:
    split, notes = summary.split, []
    if len(split.reviewed):
        notes.append(f"{len(split.reviewed)} answers are reviewers', all others the players'")
    if split.fallback:
        notes.append(
            f"the volumes are too few or too close for --split {split.rule}: split by {split.fallback} instead, so "
            "train and test may share images"
        )
    if summary.listed_only:
        notes.append("the JSON files hold no confidences: every segment that they list counts")
    if withheld := split.counts["withheld_context"]:
        notes.append(f"{withheld} training tasks do without an ancestor's answer that is scored")
    notes += [f"the {name} side is empty" for name in ("train", "val", "test") if not len(split.side(name))]
    if 0 < len(split.val) < FEW_TASKS:
        notes.append(f"the val side holds {len(split.val)} of {split.counts['tasks']} tasks; raise --val-fraction")
    return notes


def _document(summary: "IndexSummary") -> dict[str, Any]:
    split = summary.split
    return {
        "done": split.counts["tasks"],
        "skipped": sum(split.counts["dropped"].values()),
        "absent": split.counts["dropped"].get("missing_volume", 0),
        "failed": [{"id": volume, "reason": problem} for volume, problem in summary.damaged.items()],
        "seconds": round(summary.seconds, 3),
        "bytes": summary.bytes,
        "rule": split.rule,
        "fallback": split.fallback,
        "consensus": split.consensus,
        "counts": split.counts,
        "examples": None if summary.examples is None else asdict(summary.examples),
        "files": [str(path) for path in summary.files],
    }
