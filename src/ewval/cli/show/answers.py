"""How the answers of `ewval predict` are shown: as they come, or at the end where they have to be sorted first."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from ewval.cli.errors import Exit, describe, exit_code
from ewval.cli.output import Output, message
from ewval.cli.show.packing import answered_from_packed
from ewval.core.constants import FOREIGN
from ewval.core.errors import EwvalError

if TYPE_CHECKING:
    from ewval.core.predict.report import Reporter
    from ewval.core.predict.run import Result

Document = Mapping[str, Any]
Form = Literal["json", "segments", "quiet", "text"]
ROWS = {"add": 30, "maybe": 20, "doubted": 15, "reject": 5}
"""Segments that the terminal lists of each kind, the most probable first; JSON has every one."""


@dataclass(slots=True)
class Presenter:
    """Shows answers in the form that was asked for.

    Args:
        output: Where to.
        form: One JSON line, one line of segment ids, bare ids, or tables.
        rank: Those with the highest review priority first.
        single: One task is asked for: its segments are shown, not a row.
        first: The first answer, once there is one.
    """

    output: Output
    form: Form
    rank: bool = False
    single: bool = False
    first: Document | None = None
    _kept: list[Document] = field(default_factory=list)
    _failed: dict[int, EwvalError] = field(default_factory=dict)
    _shown: int = 0
    _packed: int = 0
    _foreign: dict[int, float] = field(default_factory=dict)

    def take(self, result: "Result", *, reporter: "Reporter | None" = None) -> None:
        """Take what came of one task."""
        from ewval.core.predict.run import Found

        if isinstance(result, Found):
            self.show(result.document)
            if reporter is not None:
                reporter.take(result)
        else:
            self.fail(result.task, result.error)

    def report(self, reporter: "Reporter", path: Path) -> None:
        """Write the report and say where it is; without an answer there is nothing to report."""
        if self._shown:
            reporter.write(path, rank=self.rank)
            self.output.note(f"report: {path}")

    def show(self, document: Document) -> None:
        """Take one answer; it is written at once where nothing has to wait for the others."""
        self._shown += 1
        self._packed += document["resolution"] == "packed"
        if document.get("familiarity") is not None and document["familiarity"] < FOREIGN:
            self._foreign[document["volume"]] = document["familiarity"]
        self.first = self.first or document
        if self.rank or (self.form == "text" and not self.single):
            self._kept.append(_slim(document) if self.form == "text" else document)
        else:
            self._write(document)

    def fail(self, task: int, error: EwvalError) -> None:
        """Take a task that has no answer."""
        self._failed[task] = error

    def finish(self, *, reads_contacts: bool, failed_cells: Mapping[int, EwvalError] = MappingProxyType({})) -> Exit:
        """Write what had to wait, warn, name the failures on stderr, and return the exit code.

        Args:
            reads_contacts: Whether the model decides by where segments touch.
            failed_cells: Cells of which no task is known, and why.
        """
        kept = sorted(self._kept, key=lambda d: (-d["review_priority"], d["task"])) if self.rank else self._kept
        if self.form == "text" and kept:
            self._table(kept)
        elif kept:
            for document in kept:
                self._write(document)
        if self._packed and reads_contacts:
            message(answered_from_packed(self._packed, what="verdicts"))
        elif self._foreign:
            message(_foreign_warning(self._foreign))
        for line in (*failure_lines(failed_cells, noun="cell"), *failure_lines(self._failed)):
            message(f"ewval: {line}")
        return end([*failed_cells.values(), *self._failed.values()], answered=self._shown)

    def _write(self, document: Document) -> None:
        if self.form == "json":
            self.output.json_line(document)
        elif self.form == "segments":
            ids = ",".join(str(i) for i in sorted({*document["seed"], *document["add"]}))
            self.output.line(ids if self.single else f"{document['task']}\t{ids}")
        elif self.form == "quiet":
            for line in [document["task"]] if self.rank else document["add"]:
                self.output.line(str(line))
        else:
            self._one(document)

    def _table(self, documents: Iterable[Document]) -> None:
        columns = ["task", "cell", "volume", "add", "maybe", "remove", "agreement", "priority"]
        self.output.table(columns, [_summary_row(document) for document in documents])

    def _one(self, document: Document) -> None:
        rows = _segment_rows(document)
        self.output.table(
            ["segment", "voxels", "probability", "uncertainty", "verdict", "players"], rows, title=_title(document)
        )
        for line in _closing_lines(document, left_out=len(document["segments"]) - len(rows)):
            self.output.line(line)


def _foreign_warning(foreign: Mapping[int, float]) -> str:
    least = min(foreign, key=lambda volume: foreign[volume])
    volumes = f"volume {least} is" if len(foreign) == 1 else f"{len(foreign):,} volumes, {least} most of all, are"
    return (
        f"ewval: warning: {volumes} unlike anything that the model learned from (familiarity {foreign[least]:.2f});"
        " its probabilities are wide there: `ewval train` on tasks of this tissue makes a model that knows it"
    )


def failure_lines(failed: Mapping[int, EwvalError], *, noun: str = "task") -> list[str]:
    """Return what went wrong, one line a reason: the reason, what to do, and the tasks (or cells) that it hit."""
    hit_by: dict[str, list[int]] = {}
    for item, error in failed.items():
        hit_by.setdefault(describe(error), []).append(item)
    return [_failure_line(reason, items, noun=noun) for reason, items in hit_by.items()]


def end(failed: Collection[EwvalError], *, answered: int) -> Exit:
    """Return the exit code: that of the failures where nothing was answered and all have the same, else 3."""
    codes = {exit_code(error) for error in failed}
    if not failed:
        return Exit.DONE
    return codes.pop() if not answered and len(codes) == 1 else Exit.PARTLY


def _failure_line(reason: str, items: list[int], *, noun: str) -> str:
    if len(items) == 1:
        name = f"{noun} {items[0]}"
        return reason if name in reason else f"{name}: {reason}"
    return f"{reason} ({len(items):,} {noun}s: {', '.join(map(str, items))})"


def _slim(document: Document) -> Document:
    return {key: value for key, value in document.items() if key != "segments"}


def _summary_row(document: Document) -> list[object]:
    counts = [len(document[name]) for name in ("add", "maybe", "remove")]
    agreement = document["agreement"]
    return [
        document["task"],
        "-" if document["cell"] is None else document["cell"],
        document["volume"],
        *counts,
        "-" if agreement is None else f"{agreement:.2f}",
        f"{document['review_priority']:.2f}",
    ]


def _segment_rows(document: Document) -> list[list[object]]:
    consensus, remove = document["consensus"], set(document["remove"])
    left = dict(ROWS)
    rows: list[list[object]] = []
    for score in document["segments"]:
        verdict = "doubted" if score["id"] in remove else score["verdict"]
        if left[verdict] > 0:
            left[verdict] -= 1
            players = "-" if consensus is None else ("yes" if score["id"] in consensus else "no")
            chances = (f"{score['probability']:.3f}", f"{score['uncertainty']:.3f}")
            rows.append([score["id"], score["voxels"], *chances, verdict, players])
    return rows


def _title(document: Document) -> str:
    cell = "unknown cell" if document["cell"] is None else f"cell {document['cell']}"
    counts = ", ".join(f"{name} {len(document[name])}" for name in ("add", "maybe", "remove"))
    return f"task {document['task']}, {cell}, volume {document['volume']}: {counts}"


def _closing_lines(document: Document, *, left_out: int) -> list[str]:
    lines = []
    if left_out:
        lines.append(f"{left_out} more segments: --json lists them all")
    if not document["add"]:
        lines.append("nothing to add")
    if document["consensus"] is None:
        lines.append("no players' consensus to compare with")
    else:
        lines.append(f"agreement with the players {document['agreement']:.2f}")
    lines += [
        f"look again at {doubt['id']}: {doubt['reason']}"
        for doubt in document["doubts"]
        if doubt["reason"] != "unlikely"
    ]
    familiarity = document.get("familiarity")
    known = "" if familiarity is None else f", familiarity of the volume {familiarity:.2f}"
    lines.append(f"review priority {document['review_priority']:.2f}{known}")
    if document["resolution"] == "packed":
        lines.append(
            "scored at 64^3, sizes are estimates: segments too small for it are not listed (no raw volume at hand)"
        )
    if document["unscored"]:
        lines.append(f"too small to be scored: {', '.join(map(str, document['unscored']))}")
    return lines
