"""`ewval train`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ewval.cli import options
from ewval.cli.output import open_output
from ewval.cli.progress import progress_bar
from ewval.core.errors import SettingError

if TYPE_CHECKING:
    from ewval.nn.training.recipe import NetworkRecipe
    from ewval.nn.training.run import RunSummary

INTERRUPTED = 130
DEFAULT_ARCH = "lwunet"
NETWORKS = "Networks (--arch lwunet)"


def train(
    run: Annotated[Path, typer.Option("--run", help="Run folder; an interrupted run resumes.", metavar="DIR")],
    data: options.Data = options.DATA_DEFAULT,
    arch: Annotated[str | None, typer.Option(help="Kind of model: lwunet.", show_default=DEFAULT_ARCH)] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Training recipe, packaged or a file.", metavar="NAME|FILE.toml", show_default="as --arch"),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(help="Start from this model; none: from scratch.", metavar="MODEL|none"),
    ] = None,
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
    from ewval.nn.training.run import RunRequest, train_run

    changes = {
        "length.epochs": epochs,
        "length.steps": steps,
        "samples.batch_size": batch_size,
        "optimizer.learning_rate": learning_rate,
    }
    request = RunRequest(
        data=options.data_folder(data, must_exist=True).root,
        run=_run_folder(run),
        recipe=_network_recipe(recipe, arch=arch, changes=changes),
        init=init,
        fold=fold,
        seed=seed,
        workers=workers,
        resume=resume,
        deterministic=deterministic,
        device=device,
        tensorboard=tensorboard,
    )
    with progress_bar("train", quiet=quiet) as progress:
        summary = train_run(request, progress=progress)
    if summary.is_reporter:
        out.result(_document(summary), text=_text(summary), ids=[summary.model] if summary.model.exists() else [])
    if summary.fit.why == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _network_recipe(which: str | None, *, arch: str | None, changes: dict[str, Any]) -> "NetworkRecipe":
    """Return the recipe that the options describe.

    Raises:
        SettingError: `--arch` is not that of the recipe.
        MissingError: There is no such recipe.
        RecipeError: It cannot be used.
    """
    from ewval.core.recipe import check_recipe, override, read_recipe
    from ewval.nn.training.recipe import NetworkRecipe

    name = which or arch or DEFAULT_ARCH
    table = read_recipe(name)
    if arch is not None and table.get("arch") != arch:
        raise SettingError(f"{arch} is not that of recipe {name}, which is for {table.get('arch')}", setting="arch")
    if changes["length.steps"]:
        changes = {**changes, "length.patience": 0}  # whoever asks for a number of steps gets that many
    elif changes["length.epochs"]:
        table.get("length", {}).pop("steps", None)
    return check_recipe(NetworkRecipe, override(table, changes), name=name)


def _run_folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise SettingError(f"{path} is not a folder", setting="run")
    return path


def _document(summary: "RunSummary") -> dict[str, Any]:
    return {
        **asdict(summary.fit),
        "model": str(summary.model),
        "tasks": summary.tasks,
        "validation_tasks": summary.validation_tasks,
    }


def _text(summary: "RunSummary") -> str:
    fit = summary.fit
    how = {
        "done": "trained",
        "early": "stopped early, no further gain",
        "interrupted": "interrupted; the same command resumes",
        "nothing": "nothing to do, the run is finished",
    }[fit.why]
    best = "" if fit.best_loss is None else f", lowest loss {fit.best_loss:.4f}"
    quality = "" if fit.seedless_iou is None else f", validation IoU without the seed {fit.seedless_iou:.3f}"
    return f"{how}: {fit.steps} steps, {fit.epochs} epochs{best}{quality}\n" + (
        f"model: {summary.model}" if summary.model.exists() else "no model yet: no epoch is finished"
    )
