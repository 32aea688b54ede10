"""`ewval demo`."""

import json as json_
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ewval.cli.options import Json, Quiet
from ewval.cli.output import Output, open_output
from ewval.cli.progress import progress_bar
from ewval.core.constants import DEFAULT_DATA, ENV_API, ENV_DEBUG, ENV_TOKEN, ENV_TOKEN_SEED_SYSTEM
from ewval.core.errors import UsageError
from ewval.core.folder import DataFolder
from ewval.core.storage.files import make_folder, write_atomically, writing

if TYPE_CHECKING:
    from ewval.core.sim.server import WireServer

TOKEN = "demo-token"
MARKER = "demo.json"
"""Says that a folder belongs to the demo, and which ports its server had."""
WORLD, RUN, SCORES, PREDICTIONS, PICTURE = "world", "run", "scores", "predictions", "slices.png"
EVAL_TASKS, SMALL_EVAL_TASKS = 20, 6
DEFAULT_MODEL = "graph"


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything the demo makes.", metavar="DIR")] = Path(
        "ewval-demo"
    ),
    small: Annotated[bool, typer.Option("--small", help="Use a smaller world, three times as fast.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run every command on a generated world, offline."""
    output = open_output(json=json, quiet=quiet, verbose=False)
    ports = _claim(out)
    from ewval.core.sim.server import WireServer

    world = _world(out, small=small, quiet=quiet)
    with WireServer(world, token=TOKEN, ports=ports) as server:
        _remember(out, server)
        shell = Shell(out, server.api_url, output)
        _learn(shell, small=small)
        task = _predict(shell, world)
    _show(output, out, world, task)


def _claim(out: Path) -> tuple[int, int]:
    """Make the folder; return the ports that an earlier demo in it used, zeros where there was none.

    Raises:
        UsageError: It cannot be made, or holds other things.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is not a folder")
    with writing(out):
        make_folder(out)
        if not (out / MARKER).is_file():
            if any(out.iterdir()):
                raise UsageError(f"--out {out} holds other things than a demo; choose a new or an empty folder")
            write_atomically(out / MARKER, b"{}\n")
        content = (out / MARKER).read_bytes()
    try:
        ports = json_.loads(content).get("ports", [0, 0])
        return int(ports[0]), int(ports[1])
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        raise UsageError(f"{out / MARKER} is damaged; delete it or choose another --out") from error


def _remember(out: Path, server: "WireServer") -> None:
    """Keep the ports: what was fetched names them, and a demo that was interrupted asks there again."""
    ports = [int(url.rpartition(":")[2]) for url in (server.api_url, server.bucket_url)]
    write_atomically(out / MARKER, json_.dumps({"ports": ports}).encode() + b"\n")


def _world(out: Path, *, small: bool, quiet: bool) -> Path:
    """Return the folder of the generated world, made where it is not complete yet."""
    from ewval.core.sim.world import TINY, WorldSpec, generate_world
    from ewval.core.sim.writing import REGISTRY, write_world

    folder = out / WORLD
    if not (folder / REGISTRY).is_file():
        with progress_bar("generate a world", quiet=quiet) as progress:
            world = generate_world(TINY if small else WorldSpec(), progress=progress)
        with progress_bar("write it", quiet=quiet) as progress, writing(out):
            write_world(world, folder, progress=progress)
    return folder


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs ewval commands as a user would: in the demo's folder, each one a process.

    Args:
        folder: Where they run.
        api: URL of the server.
        output: Where what they run is said.
    """

    folder: Path
    api: str
    output: Output

    def run(self, *words: str, scores: Path | None = None) -> None:
        """Run `ewval WORDS...`; a failure ends the demo with its exit code, but for guards that `scores` tells of."""
        self.say(f"\n$ ewval {' '.join(words)}")
        command = [sys.executable, "-P", "-m", "ewval", *words, *(["--quiet"] if self.output.quiet else [])]
        # The demo's own stdout is for its result where a script reads it.
        stdout = sys.__stderr__ if self.output.json or self.output.quiet else None
        ended = subprocess.run(command, cwd=self.folder, env=self._environment(), stdout=stdout, check=False)
        if ended.returncode and not (scores and _has_failed_guard(scores)):
            self.output.note(f"ewval: `ewval {words[0]}` ended with exit code {ended.returncode}, so the demo ends too")
            raise typer.Exit(ended.returncode)

    def say(self, text: str) -> None:
        """Say something where a person reads it."""
        if self.output.json:
            self.output.note(text)
        elif not self.output.quiet:
            self.output.line(text)

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name == ENV_DEBUG or not (name.startswith("EWVAL_") or name == ENV_TOKEN_SEED_SYSTEM)
        }
        return kept | {ENV_API: self.api, ENV_TOKEN: TOKEN, "PYTHONSAFEPATH": "1"}


def _has_failed_guard(scores: Path) -> bool:
    return scores.is_file() and any(guard["state"] == "fail" for guard in _read(scores)["guards"].values())


def _learn(shell: Shell, *, small: bool) -> None:
    """Fetch, pack, index, train and eval."""
    shell.say(f"Eyewire's place is taken by a server at {shell.api} ({ENV_API}); its token is in {ENV_TOKEN}.")
    shell.run("fetch", "--registry", f"{WORLD}/cells.csv", "--api-rate", "500", "--bucket-rate", "5000")
    shell.run("pack")
    shell.run("index", "--split", "cell", "--test-fraction", "0.3", "--val-fraction", "0.1")
    shell.run("train", "--run", RUN, "--recipe", "demo")
    # A guard that fails on so few tasks is said by eval, and no reason to stop: the scores are there.
    limit = str(SMALL_EVAL_TASKS if small else EVAL_TASKS)
    scored = shell.folder / SCORES / "metrics.json"
    shell.run("eval", "--limit", limit, "--out", SCORES, "--model", RUN, "--compare", DEFAULT_MODEL, scores=scored)


def _predict(shell: Shell, world: Path) -> int:
    """Predict the task that shows most; return its id."""
    from ewval.core.sim.showcase import telling_task

    split = _read(DataFolder(shell.folder / DEFAULT_DATA).split)
    task = telling_task(world, split["test"] or split["train"])
    shell.run("predict", str(task), "--out", PREDICTIONS, "--model", RUN)
    return task


def _show(output: Output, out: Path, world: Path, task: int) -> None:
    """Draw the picture and say where everything is."""
    from ewval.core.sim.showcase import Chosen, picture, read_truth

    answer = _read(out / PREDICTIONS / str(task) / "prediction.json")
    raw = DataFolder(out / DEFAULT_DATA).raw(answer["volume"])
    chosen = Chosen(answer["seed"], read_truth(world)[task].answer, answer["add"], answer["maybe"])
    picture(raw, chosen).save(out / PICTURE)
    wanted, added = set(chosen.truth) - set(chosen.seed), set(chosen.add)
    document = {
        "task": task,
        "truth": list(chosen.truth),
        "found": sorted(wanted & added),
        "missed": sorted(wanted - added),
        "wrong": sorted(added - wanted),
        "score_before": _score(out, DEFAULT_MODEL),
        "score_after": _score(out, None),
        "picture": str(out / PICTURE),
        "predictions": str(out / PREDICTIONS / str(task)),
        "scores": str(out / SCORES / "report.html"),
        "run": str(out / RUN),
        "data": str(out / DEFAULT_DATA),
        "world": str(world),
    }
    output.result(document, text=_closing(document), ids=[out / PICTURE])


def _score(out: Path, model: str | None) -> float:
    """Return the F1 of a model that was compared with, or of the trained one, on tasks with something to add."""
    metrics = _read(out / SCORES / "metrics.json")
    of = next(iter(metrics["settings"].values())) if model is None else metrics["baselines"][model]
    return float(of["segment"]["extend"]["volume_f1"])


def _closing(document: dict[str, Any]) -> str:
    found, missed, wrong = (len(document[key]) for key in ("found", "missed", "wrong"))
    lines = [
        f"\nTask {document['task']}: of {found + missed} segments to add, {found} are found; {wrong} others are added.",
        f"F1 on held-out cells: {document['score_before']:.2f} by the packaged model, "
        f"{document['score_after']:.2f} after training on this world's own cells.",
        "Where the results are:",
        f"  {document['picture']}: image, seed (blue), truth (cyan) and prediction (green add, orange maybe)",
        f"  {document['predictions']}: masks and answer of that task",
        f"  {document['scores']}: how well the model does",
        f"  {document['run']}: the training run",
        f"  {document['data']}: what was fetched, packed and indexed",
        f"  {document['world']}: the generated world, in Eyewire's wire format",
    ]
    return "\n".join(lines)


def _read(path: Path) -> Any:
    return json_.loads(path.read_bytes())
