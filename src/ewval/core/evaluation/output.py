"""The end of an evaluation: from part files to metrics.json, tasks.csv, plots and the report."""

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ewval.core.errors import MissingError
from ewval.core.evaluation.guards import (
    MAX_TASKS,
    Guard,
    Probe,
    own_answer,
    shuffled_image,
    split_overlap,
    zeroed_context,
)
from ewval.core.evaluation.panel import Panel
from ewval.core.evaluation.parts import Part, PartFolder
from ewval.core.evaluation.report.drawing import Plot, Rendered
from ewval.core.evaluation.report.gallery import best_tasks, exhibits, worst_tasks
from ewval.core.evaluation.report.plots import plan_plots
from ewval.core.evaluation.report.report import build_report
from ewval.core.evaluation.request import EvalRequest
from ewval.core.evaluation.scoring import COLUMNS
from ewval.core.evaluation.summary import differences, summarize
from ewval.core.evaluation.tasks import TaskSet
from ewval.core.evaluation.totals import Totals
from ewval.core.models.card import ModelCard
from ewval.core.progress import SILENT, Progress
from ewval.core.storage.files import replacing, write_atomically
from ewval.core.version import __version__


@dataclass(frozen=True, slots=True)
class Run:
    """An evaluation whose parts are all there.

    Args:
        request: What was asked for.
        cards: Of the model, and of those it is compared with.
        panel: Who answered.
        tasks: The tasks.
        parts: Their scores.
        out: Where the results go.
        identity: What tells this evaluation from any other.
    """

    request: EvalRequest
    cards: Sequence[ModelCard]
    panel: Panel
    tasks: TaskSet
    parts: PartFolder
    out: Path
    identity: dict[str, Any]


def finish(run: Run, *, checking: Progress = SILENT, drawing: Progress = SILENT) -> dict[str, Any]:
    """Write all results and return what stands in metrics.json.

    Args:
        run: The evaluation.
        checking: Advanced by the questions of the guards, which may take as long as the scoring.
        drawing: Advanced by the pictures of the report.
    """
    totals, failed = gather(run)
    guards = check_guards(run, totals[run.panel.main], progress=checking)
    document = metrics_document(run, totals, guards) | {"failed": [{"id": i, "reason": r} for i, r in failed]}
    metrics = json.dumps(document, indent=1, allow_nan=False).encode()
    write_atomically(run.out / "metrics.json", metrics)
    if failed:
        write_atomically(run.out / "failed.txt", "".join(f"{i} # {reason}\n" for i, reason in failed).encode())
    if run.request.report:  # after the results: no picture may cost them
        write_report(run, totals, document, progress=drawing)
    if not failed:
        (run.out / "failed.txt").unlink(missing_ok=True)
        done = run.identity | {"metrics": digest_of(metrics)}
        write_atomically(run.out / "identity.json", json.dumps(done, allow_nan=False).encode())
        run.parts.remove()
    return document


def digest_of(metrics: bytes) -> str:
    """Return the checksum of metrics.json by which it is known to be whole."""
    return hashlib.sha256(metrics).hexdigest()


def gather(run: Run) -> tuple[dict[str, Totals], list[tuple[int, str]]]:
    """Read the parts one at a time: write tasks.csv, return the totals of each answerer and the failed tasks.

    Raises:
        MissingError: Not one task could be scored.
    """
    totals = {name: Totals() for name in run.panel.everyone}
    failed: list[tuple[int, str]] = []
    with replacing(run.out / "tasks.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["task", "cell", "volume", "split", *COLUMNS])
        for part in run.parts.read_all(len(run.tasks.chunks())):
            failed += part.failed
            for name, total in totals.items():
                total.add(part, name)
            writer.writerows(_csv_rows(part, run.panel.main, run.tasks.sides_of(part.tasks)))
        if not len(totals[run.panel.main].tasks):
            raise MissingError(f"a task that can be scored ({failed[0][1]})", hint="`ewval pack` makes the volumes")
    return totals, failed


def check_guards(run: Run, main: Totals, *, progress: Progress = SILENT) -> dict[str, Guard]:
    """Return the outcome of every guard, on a sample of at most 64 tasks."""
    rng = np.random.default_rng(run.request.seed)
    extend = np.flatnonzero(main.column("extend") > 0)
    pool = extend if len(extend) else np.arange(len(main.tasks))
    at = np.sort(rng.choice(pool, min(MAX_TASKS, len(pool)), replace=False))
    score = main.column("volume_f1")[at]
    probe = Probe(run.tasks, main.tasks[at], score, 1.0 - main.column("extend")[at])
    answerer = run.panel.settings[run.panel.main]
    progress.start(probe.questions, unit="questions")
    return {
        "own_answer": own_answer(run.tasks, probe.ids, progress=progress),
        "shuffled_image": shuffled_image(probe, answerer, progress=progress),
        "zeroed_context": zeroed_context(probe, answerer, progress=progress),
        "split_overlap": split_overlap(run.tasks, run.cards),
    }


def metrics_document(run: Run, totals: dict[str, Totals], guards: dict[str, Guard]) -> dict[str, Any]:
    """Return what stands in metrics.json."""
    baselines = {name: totals[name] for name in run.panel.baselines}
    settings = {}
    for name in run.panel.settings:
        settings[name] = summarize(totals[name]) | {"ahead_of": differences(totals[name], baselines)}
    documents = {name: summarize(total) for name, total in baselines.items()}
    for name, note in run.panel.notes.items():
        documents[name]["note"] = note
    return {
        "model": run.cards[0].name,
        "split": run.request.side,
        "tasks": len(totals[run.panel.main].tasks),
        "limit": run.request.limit,
        "without_answer": run.tasks.unanswered,
        "settings": settings,
        "baselines": documents,
        "guards": {name: guard.to_document() for name, guard in guards.items()},
    }


def write_report(run: Run, totals: dict[str, Totals], document: dict[str, Any], *, progress: Progress = SILENT) -> None:
    """Write the plots, and report.html with the tasks that went worst and best."""
    main = totals[run.panel.main]
    worst, best, plan = worst_tasks(main), best_tasks(main), plan_plots(document, totals)
    progress.start(len(plan.all) + len({*worst, *best}), unit="pictures")
    plots = plan.each(lambda plot: _drawn(plot, run.out / "plots", progress))
    shown = {}
    for exhibit in exhibits({*worst, *best}, run.tasks, run.panel.settings[run.panel.main]):
        shown[exhibit.task] = exhibit
        progress.advance()
    of_worst, of_best = ([shown[task] for task in chosen] for chosen in (worst, best))
    html = build_report(document, plots, worst=of_worst, best=of_best, about=_about(run, main))
    write_atomically(run.out / "report.html", html.encode())


def _drawn(plot: Plot, folder: Path, progress: Progress) -> Rendered:
    rendered = plot.render()
    rendered.save(folder)  # at once: where there is no room, nothing else is drawn in vain
    progress.advance()
    return rendered


def _about(run: Run, main: Totals) -> str:
    cells, volumes = (
        len(main.clusters().tasks),
        len(np.unique(run.tasks.table.volume[run.tasks.table.rows(main.tasks)])),
    )
    drawn = "" if run.request.limit is None else f", a sample drawn with seed {run.request.seed}"
    left_out = f"; {run.tasks.unanswered:,} without players' answer left out" if run.tasks.unanswered else ""
    what = f"{_count(len(main.tasks), 'task')} of {_count(cells, 'cell')} in {_count(volumes, 'volume')}"
    rule = run.tasks.split.fallback or run.tasks.split.rule
    return f"{what}{drawn}{left_out}. Split by {rule}. ewval {__version__}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _csv_rows(part: Part, name: str, sides: list[str]) -> Iterable[list[Any]]:
    ids = zip(part.tasks, part.cells, part.volumes, sides, strict=True)
    for head, row in zip(ids, part.rows[name], strict=True):
        yield [*head, *(_cell(value) for value in row)]


def _cell(value: float) -> str:
    if np.isnan(value):
        return ""
    return str(int(value)) if value == int(value) else repr(float(value))
