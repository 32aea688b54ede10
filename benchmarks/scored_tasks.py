"""The table of models and baselines on the scored tasks of real data, cross-validated by cell.

    python benchmarks/scored_tasks.py ../shared OUT [--set SET ...] [--model NAME|PATH] [--compare NAME|PATH]

SHARED holds data/<set>/ in Eyewire's wire format, data/scored.json (which tasks are scored, and their folds) and
tools/score.py. Each set is fetched from a local server, packed, and scored fold by fold: what is tuned (the threshold
of growth over boundaries) is tuned on the other folds. {fold} in a model's path stands for the fold it was not trained
on. OUT keeps the data folders and the scores, so the same command again goes on where it stopped; it also receives
each answerer's predictions, which SHARED/tools/score.py must score the same, to the last digit it prints.

Prints a Markdown table: F1 by volume and by count on tasks with something to add, the seed left out, and F1 by volume
on all, with 95 % intervals over cells, and how far the model lies ahead of each other row.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ewval.core.evaluation.answerers import Answerer
from ewval.core.evaluation.panel import Models, Panel, load_models, make_panel
from ewval.core.evaluation.parts import PartFolder
from ewval.core.evaluation.request import EvalRequest
from ewval.core.evaluation.run import score_parts
from ewval.core.evaluation.scoring import Guess, named_segments
from ewval.core.evaluation.summary import differences, summarize
from ewval.core.evaluation.tasks import TaskSet, read_tasks
from ewval.core.evaluation.totals import Totals
from ewval.core.folder import DataFolder
from ewval.core.index.split import Split, write_split
from ewval.core.ledger.ledger import Ledger
from ewval.core.segments.decision import Question
from ewval.core.sim.server import WireServer
from ewval.core.tasks.seed_files import write_task_files
from ewval.core.tasks.table import TaskTable, files_of
from ewval.core.team import ALONE

FOLDS = 5
SETS = ("fib25", "gala", "pinky")
RIVALS = {"fib25": ("FFN, released segmentation", "rival-ffn.jsonl")}


@dataclass(frozen=True)
class Recorded:
    """Answers with what stands in a predictions file."""

    chosen: dict[int, list[int]]
    reads_graph = False

    def answer(self, questions: Sequence[Question]) -> list[Guess]:
        return [named_segments(question, self.chosen.get(question.sample.task, ())) for question in questions]


@dataclass(frozen=True)
class Recording:
    """Writes down what another answers."""

    answerer: Answerer
    path: Path

    @property
    def reads_graph(self) -> bool:
        return self.answerer.reads_graph

    def answer(self, questions: Sequence[Question]) -> list[Guess]:
        guesses = self.answerer.answer(questions)
        with self.path.open("a") as stream:
            for question, guess in zip(questions, guesses, strict=True):
                stream.write(json.dumps({"task": question.sample.task, "add": sorted(guess.chosen)}) + "\n")
        return guesses


def build_folder(shared: Path, name: str, root: Path) -> DataFolder:
    """Fetch, pack and index the set, every scored task of it."""
    folder = DataFolder(root)
    if not folder.task_data.is_file():
        with WireServer(shared / "data" / name) as server:
            scored = json.loads((shared / "data" / "scored.json").read_text())["tasks"][name]
            words = ["fetch", "-", "--data", str(root), "--api-rate", "1000", "--bucket-rate", "10000", "--yes", "-q"]
            environment = os.environ | {"EWVAL_TOKEN": "secret", "EWVAL_API": server.api_url}
            ids = "".join(f"{row['task']}\n" for row in scored)
            run_ewval(words, input=ids, env=environment)
            run_ewval(["pack", "--data", str(root), "-q"])
        ledger = Ledger.open_existing(folder.ledger)
        write_task_files(folder, files_of(TaskTable.from_records(ledger.records(wanted=False))))
        ledger.close()
    return folder


def run_ewval(words: list[str], **options: object) -> None:
    """Run a command of ewval; its output is of no interest, its failure ends this script."""
    command = [sys.executable, "-m", "ewval", *words]
    subprocess.run(command, text=True, check=True, stdout=subprocess.DEVNULL, **options)


def fold_tasks(folder: DataFolder, rows: list[dict], fold: int, *, context: int) -> TaskSet:
    """Return the tasks of one fold; all others are there to tune on."""
    fold_of = np.array([row["fold"] for row in rows])
    ids, none = np.array([row["task"] for row in rows]), np.zeros(0, np.int64)
    split = Split(train=none, val=ids[fold_of != fold], test=ids[fold_of == fold], gap=none, rule="cell")
    write_split(split, folder, fold=fold)
    return read_tasks(folder, "test", limit=None, seed=0, context=context, fold=fold)


def score_fold(
    args: argparse.Namespace, name: str, folder: DataFolder, rows: list[dict], fold: int
) -> dict[str, Totals]:
    """Return the totals of everyone on one fold."""

    def path(text: str | None) -> str | None:
        return None if text is None else text.replace("{fold}", str(fold))

    request = EvalRequest(
        folder, model=path(args.model), compare=tuple(map(path, args.compare)), loops=args.loops, device=args.device
    )
    models = load_models(request)
    tasks = fold_tasks(folder, rows, fold, context=models.context)
    panel = make_panel(request, models, tasks)
    everyone = {**named(args, models, panel), **rival(args.shared, name)}
    out = args.out / name
    recording = {who: Recording(answerer, predictions_path(out, who)) for who, answerer in everyone.items()}
    identity = {"models": models.identity(), "who": list(everyone), "tasks": tasks.digest(), "notes": dict(panel.notes)}
    parts = PartFolder(out / f"parts-{fold}", identity)
    parts.open()
    score_parts(parts, tasks, recording, team=ALONE)
    totals = {who: Totals() for who in everyone}
    for part in parts.read_all(len(tasks.chunks())):
        for who, total in totals.items():
            total.add(part, who)
    for who, note in panel.notes.items():
        print(f"{name} fold {fold}: {who}: {note}", file=sys.stderr)
    return totals


def named(args: argparse.Namespace, models: Models, panel: Panel) -> dict[str, Answerer]:
    """Return all who answer by what the table calls them: models of each fold by one name."""
    main = label(args.model, models.main.name)
    settings = {main if len(args.loops) == 1 else f"{main}, {who}": panel.settings[who] for who in panel.settings}
    others = {who: label(text, who) for text, who in zip(args.compare, models.others, strict=True)}
    return settings | {others.get(who, who): answerer for who, answerer in panel.baselines.items()}


def label(text: str | None, name: str) -> str:
    return Path(text.replace("{fold}", "")).stem.strip("-_.") if text and "{fold}" in text else name


def rival(shared: Path, name: str) -> dict[str, Answerer]:
    """Return the recorded answers of another system, where the set has some."""
    if name not in RIVALS:
        return {}
    title, file = RIVALS[name]
    lines = map(json.loads, (shared / "data" / name / file).read_text().splitlines())
    return {title: Recorded({line["task"]: line["segments"] for line in lines})}


def predictions_path(out: Path, who: str) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    return out / f"predictions-{re.sub('[^a-z0-9]+', '-', who.lower())}.jsonl"


def merged(folds: list[dict[str, Totals]]) -> dict[str, Totals]:
    """Return the totals of all folds together."""
    together: dict[str, Totals] = {}
    for totals in folds:
        for who, total in totals.items():
            together.setdefault(who, Totals()).merge(total)
    return together


def table(name: str, totals: dict[str, Totals]) -> list[str]:
    """Return the Markdown table of one set."""
    first, *others = totals
    ahead = differences(totals[first], {who: totals[who] for who in others})
    lines = [f"| {name} | F1 by volume | F1 by count | F1, all tasks | {first} is ahead by |", "|---|---|---|---|---|"]
    for who, total in totals.items():
        figures = summarize(total)
        cells = [
            with_interval(figures["segment"][part][key], figures["ci95"][f"segment.{part}.{key}"])
            for part, key in (("extend", "volume_f1"), ("extend", "count_f1"), ("all", "volume_f1"))
        ]
        gap = ahead.get(who, {}).get("segment.extend.volume_f1")
        cells.append("" if gap is None else f"{gap[0]:+.3f} [{gap[1]:+.3f}, {gap[2]:+.3f}]")
        lines.append(f"| {who} | {' | '.join(cells)} |")
    return lines


def with_interval(value: float, interval: list[float]) -> str:
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def check_against_scorer(args: argparse.Namespace, name: str, totals: dict[str, Totals]) -> None:
    """Compare each F1 with what the independent scorer says of the same predictions; stop where one differs."""
    for who, total in totals.items():
        command = [
            sys.executable,
            str(args.shared / "tools" / "score.py"),
            name,
            str(predictions_path(args.out / name, who)),
        ]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        segment = summarize(total)["segment"]
        for part in ("extend", "all"):
            ours = [f"{segment[part][key]:.3f}" for key in ("volume_f1", "count_f1")]
            theirs = re.search(rf"{part}\s+n=\s*\d+\s+volume_f1 ([\d.]+).*count_f1 ([\d.]+)", text)
            assert theirs is not None, text
            assert ours == list(theirs.groups()), f"{who}: {ours} here, {theirs.groups()} by score.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", action="append", choices=SETS, dest="sets")
    parser.add_argument("--model", help="default: the packaged model")
    parser.add_argument("--compare", action="append", default=[])
    parser.add_argument("--loops", type=lambda text: tuple(map(int, text.split(","))), default=(4,))
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    scored = json.loads((args.shared / "data" / "scored.json").read_text())["tasks"]
    for name in args.sets or SETS:
        folder = build_folder(args.shared, name, args.out / name / "data")
        totals = merged([score_fold(args, name, folder, scored[name], fold) for fold in range(FOLDS)])
        check_against_scorer(args, name, totals)
        print("\n".join(table(name, totals)) + "\n", flush=True)


if __name__ == "__main__":
    main()
