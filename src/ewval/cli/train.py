"""`ewval train`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ewval.cli import options
from ewval.cli.output import Output, message, open_output
from ewval.cli.progress import progress_bar, progress_bars
from ewval.cli.show.training import graph_document, graph_text, network_document, network_text
from ewval.core.constants import DEFAULT_DATA, ENV_DATA
from ewval.core.errors import SettingError

if TYPE_CHECKING:
    from ewval.core.training.run import GraphRunRequest
    from ewval.nn.training.recipe import NetworkRecipe
    from ewval.nn.training.run import RunRequest

INTERRUPTED = 130
DEFAULT_ARCH = "graph"
ARCHS = (DEFAULT_ARCH, "lwunet")
SIDES = ("train", "val", "test")
NETWORKS = "Networks (--arch lwunet)"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was asked for, whatever kind of model is trained; `table` is the recipe before it is checked."""

    run: Path
    data: list[Path]
    recipe: str
    table: dict[str, Any]
    init: str | None
    sides: str
    fold: int | None
    seed: int
    workers: int
    resume: bool


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """What was asked for of a network alone; None leaves it to the recipe."""

    epochs: int | None = None
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    device: str = "auto"
    deterministic: bool = False
    tensorboard: bool = False

    def changes(self) -> dict[str, Any]:
        """Return the values that stand over those of the recipe, by its keys."""
        return {
            "length.epochs": self.epochs,
            "length.steps": self.steps,
            "samples.batch_size": self.batch_size,
            "optimizer.learning_rate": self.learning_rate,
        }

    def ignored(self) -> list[str]:
        """Return the names of those that change nothing for forests: these have no steps and need no accelerator."""
        changes_nothing = {"device": self.device not in ("auto", "cpu"), "tensorboard": self.tensorboard}
        return [name for name, is_given in changes_nothing.items() if is_given]


def train(
    run: Annotated[str, typer.Option("--run", help="Run folder; an interrupted run resumes.", metavar="DIR")],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            envvar=ENV_DATA,
            help="Data folder; repeatable for graph.",
            show_default=DEFAULT_DATA,
            metavar="DIR",
        ),
    ] = None,
    arch: Annotated[str | None, typer.Option(help="Kind of model: graph or lwunet.", show_default=DEFAULT_ARCH)] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Training recipe, packaged or a file.", metavar="NAME|FILE.toml", show_default="as --arch"),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Start from this model; none: from scratch.",
            metavar="MODEL|none",
            show_default="packaged model; networks: as the recipe",
        ),
    ] = None,
    sides: Annotated[str, typer.Option(help="graph: sides of the split to learn from.", metavar="SIDES")] = "train,val",
    fold: Annotated[int | None, typer.Option(min=0, help="Train on fold FOLD of `ewval index --folds`.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load samples.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Fail unless there is a checkpoint to resume from.")] = False,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the sampled tasks.", rich_help_panel=NETWORKS)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimizer steps, instead of --epochs.", rich_help_panel=NETWORKS)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Tasks per step, over all processes.", rich_help_panel=NETWORKS)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Initial learning rate.", rich_help_panel=NETWORKS)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=NETWORKS)] = "auto",
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Bit-reproducible, slower.", rich_help_panel=NETWORKS)
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also log to TensorBoard.", rich_help_panel=NETWORKS)
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a model on your tasks; the same command resumes."""
    out = open_output(json=json, quiet=quiet, verbose=verbose)
    from ewval.core.recipe import read_recipe

    if arch is not None and arch not in ARCHS:
        raise SettingError(f"{arch!r} is none of {', '.join(ARCHS)}", setting="arch")
    name = recipe or arch or DEFAULT_ARCH
    table = read_recipe(name)
    if arch is not None and table.get("arch") != arch:
        raise SettingError(f"{arch} is not that of recipe {name}, which is for {table.get('arch')}", setting="arch")
    folders = [options.data_folder(path, must_exist=True).root for path in data or [options.DATA_DEFAULT]]
    chosen = Chosen(_run_folder(run), folders, name, table, init, sides, fold, seed, workers, resume)
    network = NetworkOptions(epochs, steps, batch_size, learning_rate, device, deterministic, tensorboard)
    (_train_graph if table.get("arch") == "graph" else _train_network)(out, chosen, network)


def _train_graph(out: Output, chosen: Chosen, network: NetworkOptions) -> None:
    """Train forests."""
    from ewval.core.training.run import train_graph

    for name, value in network.changes().items():
        if value is not None:
            raise SettingError(f"is for networks, not for --arch {DEFAULT_ARCH}", setting=name.rpartition(".")[2])
    for name in network.ignored():
        message(f"ewval: warning: --{name} is ignored: --arch {DEFAULT_ARCH} has no network")
    request = _graph_request(chosen)
    with progress_bars("cubes", "train", quiet=out.quiet) as (cubes, forests):
        summary = train_graph(request, cubes=cubes, forests=forests)
    for note in summary.notes:
        out.note(f"ewval: {note}")
    out.result(graph_document(summary), text=graph_text(summary), ids=[summary.model] if summary.model.exists() else [])
    if summary.why == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _graph_request(chosen: Chosen) -> "GraphRunRequest":
    from ewval.core.recipe import check_recipe
    from ewval.core.training.recipe import GraphRecipe
    from ewval.core.training.run import GraphRunRequest

    sides = tuple(dict.fromkeys(chosen.sides.split(",")))
    if unknown := [side for side in sides if side not in SIDES]:
        raise SettingError(f"{unknown[0]!r} is none of {', '.join(SIDES)}", setting="sides")
    return GraphRunRequest(
        data=tuple(chosen.data),
        run=chosen.run,
        recipe=check_recipe(GraphRecipe, chosen.table, name=chosen.recipe),
        init=chosen.init,
        sides=sides,
        fold=chosen.fold,
        seed=chosen.seed,
        resume=chosen.resume,
    )


def _train_network(out: Output, chosen: Chosen, network: NetworkOptions) -> None:
    """Train a network."""
    from ewval.nn.training.run import train_run

    request = _network_request(chosen, network)
    with progress_bar("train", quiet=out.quiet) as progress:
        summary = train_run(request, progress=progress)
    if summary.is_reporter:
        out.result(
            network_document(summary), text=network_text(summary), ids=[summary.model] if summary.model.exists() else []
        )
    if summary.fit.why == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _network_request(chosen: Chosen, network: NetworkOptions) -> "RunRequest":
    from ewval.nn.training.run import RunRequest

    if len(chosen.data) > 1:
        raise SettingError("takes one folder for a network; `ewval index --out` joins several", setting="data")
    return RunRequest(
        data=chosen.data[0],
        run=chosen.run,
        recipe=_network_recipe(chosen.recipe, chosen.table, network),
        init=chosen.init,
        fold=chosen.fold,
        seed=chosen.seed,
        workers=chosen.workers,
        resume=chosen.resume,
        deterministic=network.deterministic,
        device=network.device,
        tensorboard=network.tensorboard,
    )


def _network_recipe(name: str, table: dict[str, Any], network: NetworkOptions) -> "NetworkRecipe":
    """Return the recipe that the options describe.

    Raises:
        RecipeError: It cannot be used.
    """
    from ewval.core.recipe import check_recipe, override
    from ewval.nn.training.recipe import NetworkRecipe

    changes = network.changes()
    if network.steps:
        changes["length.patience"] = 0  # whoever asks for a number of steps gets that many
    elif network.epochs:
        table.get("length", {}).pop("steps", None)
    return check_recipe(NetworkRecipe, override(table, changes), name=name)


def _run_folder(name: str) -> Path:
    """Return the run folder; the empty name, as of an unset variable, would be the current folder."""
    path = Path(name)
    if not name:
        raise SettingError("needs the name of a folder", setting="run")
    if path.exists() and not path.is_dir():
        raise SettingError(f"{path} is not a folder", setting="run")
    return path
