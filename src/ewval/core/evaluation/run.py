"""How good a model is: one call that scores it, the baselines and other models on one side of a split.

    tasks ─in parts─▶ questions ─▶ answerers (models, baselines) ─▶ rows + sums ─▶ part files
    part files ─one at a time─▶ totals ─▶ metrics.json, tasks.csv, plots, report.html

Nothing but the totals stays in memory, so any number of tasks can be scored; parts survive an interruption and may come
from many processes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import ewval.core
from ewval.core.errors import DataError, MemoryShortError
from ewval.core.evaluation.answerers import Answerer
from ewval.core.evaluation.at_hand import at_hand
from ewval.core.evaluation.gathered import Gathered
from ewval.core.evaluation.output import Run, digest_of, finish
from ewval.core.evaluation.panel import Models, load_models, make_panel
from ewval.core.evaluation.parts import Part, PartFolder
from ewval.core.evaluation.request import EvalRequest
from ewval.core.evaluation.scoring import COLUMNS, Truth, score_guess
from ewval.core.evaluation.tasks import Int64s, TaskSet, read_tasks
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.decision import Question
from ewval.core.storage.reading import read_bytes
from ewval.core.storage.text import parse_json
from ewval.core.team import ALONE, Team, is_out_of_memory
from ewval.core.version import __version__

__all__ = ["EvalRequest", "Evaluation", "evaluate"]

_GROUP = 8
"""Tasks in memory at once."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of an evaluation.

    Args:
        document: What stands in metrics.json.
        out: The folder with metrics.json, tasks.csv, plots and report.html.
        was_done: Whether all of it had been there before.
        with_report: Whether it has a report; a report.html in `out` may be that of an evaluation before.
    """

    document: Mapping[str, Any]
    out: Path
    was_done: bool = False
    with_report: bool = False

    @property
    def shown_in(self) -> Path:
        """The file to look at: its report, or its figures where it has none."""
        report = self.out / "report.html"
        return report if self.with_report and report.is_file() else self.out / "metrics.json"

    @property
    def failed_guards(self) -> dict[str, str]:
        """The guards that failed, and why."""
        guards: dict[str, dict[str, str]] = self.document["guards"]
        return {name: guard["reason"] for name, guard in guards.items() if guard["state"] == "fail"}


def evaluate(
    request: EvalRequest,
    *,
    team: Team = ALONE,
    progress: Progress = SILENT,
    checking: Progress = SILENT,
    drawing: Progress = SILENT,
) -> Evaluation | None:
    """Score what `request` names and write the results; return them, or None in all processes but the first.

    Source: the protocol of docs/evaluation.md.

    Args:
        request: What is asked.
        team: The processes that share the tasks.
        progress: Advanced by tasks that are scored.
        checking: Advanced by questions of the guards.
        drawing: Advanced by pictures of the report.

    Raises:
        MissingError: There is no split, no task to score, no such model, or no volume of any task.
        DamagedError: A file does not hold what it should.
        DeviceError: The device is not there.
        UsageError: The model cannot be used with these volumes.
    """
    models = load_models(request)
    tasks = read_tasks(
        request.folder, request.side, fold=request.fold, limit=request.limit, seed=request.seed, context=models.context
    )
    out = request.out or _default_out(request, models.main.name)
    identity = _identity(request, models, tasks)
    known = read_done(out, identity)
    team.wait()
    if known is not None:
        return Evaluation(known, out, was_done=True, with_report=request.report) if team.is_first else None
    panel = make_panel(request, models, tasks)
    parts = PartFolder(out / "parts", identity)
    if team.is_first:
        parts.open()
    team.wait()
    with _enough_memory(request.device):
        score_parts(parts, tasks, panel.everyone, team=team, progress=progress)
    team.wait()
    if not team.is_first:
        return None
    run = Run(request, models.cards, panel, tasks, parts, out, identity)
    return Evaluation(finish(run, checking=checking, drawing=drawing), out, with_report=request.report)


def score_parts(
    parts: PartFolder, tasks: TaskSet, answerers: Mapping[str, Answerer], *, team: Team, progress: Progress = SILENT
) -> None:
    """Score this process's share of the parts that are not done yet.

    Raises:
        DataError: Not one task of a part could be asked, and the first failed for this reason.
    """
    chunks = list(enumerate(tasks.chunks()))[team.rank :: team.size]
    progress.start(sum(len(ids) for _, ids in chunks), unit="tasks")
    for index, ids in chunks:
        if not parts.has(index):
            parts.write(index, score_chunk(tasks, ids, answerers))
        progress.advance(len(ids))


def score_chunk(tasks: TaskSet, ids: Int64s, answerers: Mapping[str, Answerer]) -> Part:
    """Return the scores of all answerers on the tasks `ids`."""
    gathered = {name: Gathered() for name in answerers}
    rows: dict[str, list[Any]] = {name: [] for name in answerers}
    failed: list[tuple[int, str]] = []
    asked: list[int] = []
    with_graph = any(answerer.reads_graph for answerer in answerers.values())
    for some in tasks.groups(ids, size=_GROUP):
        group = _ask(tasks, some, failed, with_graph=with_graph)
        asked += [question.sample.task for question, _ in group]
        for name, answerer in answerers.items():
            guesses = answerer.answer([question for question, _ in group])
            for guess, (question, truth) in zip(guesses, group, strict=True):
                rows[name].append(score_guess(guess, question, truth, gathered=gathered[name]))
                gathered[name].packed += answerer.reads_graph and guess.is_packed
    at = tasks.table.rows(asked)
    table = {name: np.array(found).reshape(-1, len(COLUMNS)) for name, found in rows.items()}
    columns = (tasks.table.cell[at], tasks.table.group[at], tasks.table.volume[at])
    return Part(np.array(asked, dtype=np.int64), *columns, rows=table, gathered=gathered, failed=tuple(failed))


def _ask(
    tasks: TaskSet, ids: Sequence[int], failed: list[tuple[int, str]], *, with_graph: bool
) -> list[tuple[Question, Truth]]:
    """Return the questions that can be asked; the others go to `failed`."""
    group = []
    for task in ids:
        try:
            group.append(tasks.question(int(task), with_graph=with_graph))
        except DataError as error:
            failed.append((int(task), str(error)))
    return group


def read_done(out: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return metrics.json of a finished evaluation of the same thing.

    None where there is none, or where it is not as it was written: both files can be made again.

    Raises:
        UnreadableError: A file is there and may not be read.
    """
    try:
        known, metrics = parse_json(read_bytes(out / "identity.json")), read_bytes(out / "metrics.json")
        if known != json.loads(json.dumps(identity, allow_nan=False)) | {"metrics": digest_of(metrics)}:
            return None
        document: dict[str, Any] = parse_json(metrics)
    except (FileNotFoundError, ValueError):
        return None
    return document


def _identity(request: EvalRequest, models: Models, tasks: TaskSet) -> dict[str, Any]:
    """Return everything that the figures depend on."""
    return {
        "version": __version__,
        "code": _code_stamp(),
        "models": models.identity(),
        "loops": list(request.loops or ()),
        "side": request.side,
        "fold": request.fold,
        "limit": request.limit,
        "seed": request.seed,
        "baselines": request.baselines,
        "report": request.report,
        "tasks": tasks.digest(),
        "volumes": at_hand(request.folder, tasks.table.volume[tasks.table.rows(tasks.ids)]),
    }


def _default_out(request: EvalRequest, model: str) -> Path:
    fold = "" if request.fold is None else f"-{request.fold}"
    return request.folder.root / "eval" / f"{model}-{request.side}{fold}"


@contextmanager
def _enough_memory(device: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise MemoryShortError(device, "a batch of tasks") from error
        raise


@cache
def _code_stamp() -> int:
    """Return when ewval's source last changed, so that figures of other code are never taken for this one's."""
    return max(path.stat().st_mtime_ns for path in Path(ewval.core.__file__).parents[1].rglob("*.py"))
