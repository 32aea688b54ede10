"""`ewval train`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ewval.cli import options
from ewval.cli.output import open_output
from ewval.cli.progress import progress_bar
from ewval.core.constants import DEFAULT_CONTEXT, DEFAULT_LOOPS
from ewval.core.errors import UsageError

if TYPE_CHECKING:
    from ewval.nn.training.run import RunRequest, RunSummary

INTERRUPTED = 130


def train(
    run: Annotated[Path, typer.Option("--run", help="Folder of the run; an interrupted one goes on.", metavar="DIR")],
    data: options.Data = options.DATA_DEFAULT,
    arch: Annotated[str, typer.Option(help="lwunet or rsunet.")] = "lwunet",
    widths: Annotated[str | None, typer.Option(help="rsunet: channels by level, such as 16,32,48,64.")] = None,
    boundary: Annotated[bool, typer.Option("--boundary", help="lwunet: the segments' boundaries as input.")] = False,
    standardise: Annotated[
        bool, typer.Option("--standardise", help="lwunet: image at zero mean and unit variance.")
    ] = False,
    init: Annotated[str | None, typer.Option(help="Begin with this model's weights.", metavar="NAME|PATH")] = None,
    loss: Annotated[str, typer.Option(help="bayes, sampled or bce.")] = "bayes",
    every_loop: Annotated[bool, typer.Option("--every-loop", help="Loss on all loops, not the last alone.")] = False,
    seed_weight: Annotated[float, typer.Option(min=0, help="Weight of the seed's own voxels.")] = 1.0,
    target_weight: Annotated[float, typer.Option(min=0, help="Weight of the voxels to be added.")] = 1.0,
    segment_loss: Annotated[
        bool, typer.Option("--segment-loss", help="Loss on segments that touch the seed; needs --vary-seed.")
    ] = False,
    erosion: Annotated[int, typer.Option(min=0, help="Leave out the target's outer voxels, this deep.")] = 0,
    loops: Annotated[int, typer.Option(min=1, help="Runs over the network's own answer.")] = DEFAULT_LOOPS,
    context: Annotated[int, typer.Option(min=0, help="Ancestors' masks among the inputs.")] = DEFAULT_CONTEXT,
    epochs: Annotated[int, typer.Option(min=1, help="Times through the drawn tasks.")] = 4,
    steps: Annotated[int | None, typer.Option(min=1, help="Stop after so many steps, whatever --epochs.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Tasks a step, all processes together.")] = 16,
    sample_fraction: Annotated[float, typer.Option(help="Share of the tasks that an epoch draws.")] = 0.25,
    extend_only: Annotated[bool, typer.Option("--extend-only", help="Only tasks with something to add.")] = False,
    vary_seed: Annotated[
        int, typer.Option(min=0, help="Seeds drawn from each answer an epoch, any part of it; 0: the task's own.")
    ] = 0,
    crop: Annotated[int | None, typer.Option(min=4, help="Packed voxels along a sample's edge.")] = None,
    fold: Annotated[int | None, typer.Option(min=0, help="Use split-FOLD.json.")] = None,
    optimizer: Annotated[str, typer.Option(help="adam or adamw.")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="Before the schedule.")] = 1e-3,
    weight_decay: Annotated[float, typer.Option(help="Pull towards zero.")] = 5e-4,
    schedule: Annotated[str, typer.Option(help="step (a tenth every 2 epochs), cosine or constant.")] = "step",
    warmup: Annotated[int, typer.Option(min=0, help="Steps of warm-up, for cosine.")] = 100,
    clip: Annotated[float, typer.Option(min=0, help="Largest norm of the gradient; 0 for any.")] = 1.0,
    ema: Annotated[float, typer.Option(help="Decay of the running mean of the weights; 0 for none.")] = 0.0,
    augment: Annotated[str, typer.Option(help="none, symmetries or full.")] = "symmetries",
    symmetries: Annotated[str, typer.Option(help="keep-z (16) or all (48).")] = "keep-z",
    patience: Annotated[
        int | None,
        typer.Option(min=0, help="Epochs without gain before stopping; 0 for never.", show_default="4; with --steps 0"),
    ] = None,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    recompute: Annotated[bool, typer.Option("--recompute", help="Less memory, more time.")] = False,
    parts: Annotated[int, typer.Option(min=0, help="Tasks at once through the network; 0 finds it out.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load samples.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Insist on a checkpoint to go on from.")] = False,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="The same bits each time.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Curves for TensorBoard too.")] = False,
    device: options.Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of every random draw.")] = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a network on the data folder's train side; the same command again continues."""
    out = open_output(json=json, quiet=quiet, verbose=verbose)
    request = _request(locals())
    from ewval.nn.training.run import train_run

    with progress_bar("train", quiet=quiet) as progress:
        summary = train_run(request, progress=progress)
    if summary.is_reporter:
        out.result(_document(summary), text=_text(summary), ids=[summary.model] if summary.model.exists() else [])
    if summary.fit.why == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _request(chosen: dict[str, Any]) -> "RunRequest":
    """Return the request that the options describe.

    Raises:
        UsageError: A value that makes no sense.
    """
    from ewval.nn.data.tasks import SourceRequest
    from ewval.nn.training.fit import FitPlan
    from ewval.nn.training.run import RunRequest

    if chosen["segment_loss"] and not chosen["vary_seed"]:
        raise UsageError("--segment-loss goes with --vary-seed")
    try:
        return RunRequest(
            data=options.data_folder(chosen["data"], must_exist=True).root,
            run=_run_folder(chosen["run"]),
            train=_train_config(chosen),
            plan=FitPlan(epochs=chosen["epochs"], steps=chosen["steps"], patience=_patience(chosen)),
            source=SourceRequest(
                **_pick(chosen, "context batch_size sample_fraction fold extend_only vary_seed crop workers seed")
            ),
            network=_network(chosen),
            **_pick(chosen, "arch init resume deterministic device tensorboard"),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def _patience(chosen: dict[str, Any]) -> int:
    """Return the epochs without gain to wait for; whoever asks for a number of steps gets so many."""
    from ewval.nn.training.fit import FitPlan

    if chosen["patience"] is not None:
        return int(chosen["patience"])
    return FitPlan().patience if chosen["steps"] is None else 0


def _train_config(chosen: dict[str, Any]) -> Any:
    from ewval.nn.training.augment import FULL, PLAIN, AugmentConfig
    from ewval.nn.training.loss import LossConfig
    from ewval.nn.training.optimization import OptimizerConfig
    from ewval.nn.training.step import TrainConfig

    augments = {
        "none": PLAIN,
        "symmetries": AugmentConfig(symmetries=chosen["symmetries"]),
        "full": AugmentConfig(chosen["symmetries"], FULL.intensity, FULL.noise, FULL.defect),
    }
    if chosen["augment"] not in augments:
        raise UsageError(f"--augment {chosen['augment']} is none of {', '.join(augments)}")
    return TrainConfig(
        loss=LossConfig(
            name=chosen["loss"],
            segments=chosen["segment_loss"],
            **_pick(chosen, "every_loop seed_weight target_weight erosion"),
        ),
        optimizer=OptimizerConfig(
            name=chosen["optimizer"],
            warmup_steps=chosen["warmup"],
            **_pick(chosen, "learning_rate weight_decay schedule clip ema"),
        ),
        augment=augments[chosen["augment"]],
        **_pick(chosen, "loops precision recompute parts seed"),
    )


def _network(chosen: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the network's configuration that the options change."""
    is_light = chosen["arch"] == "lwunet"
    fields: dict[str, Any] = {key: True for key in ("boundary", "standardise") if chosen[key]}
    if fields and not is_light:
        raise UsageError(f"--{next(iter(fields))} goes with --arch lwunet; rsunet always has it")
    if chosen["widths"] is not None:
        fields["widths"] = _widths(chosen["widths"], arch=chosen["arch"])
    return fields


def _pick(chosen: dict[str, Any], names: str) -> dict[str, Any]:
    return {name: chosen[name] for name in names.split()}


def _run_folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise UsageError(f"--run {path} is not a folder")
    return path


def _widths(text: str, *, arch: str) -> tuple[int, ...]:
    if arch == "lwunet":
        raise UsageError("--widths goes with --arch rsunet")
    if not all(word.isascii() and word.isdigit() for word in text.split(",")):
        raise UsageError(f"--widths {text!r} are not whole numbers with commas between them")
    return tuple(int(word) for word in text.split(","))


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
        "early": "stopped early, no gain any more",
        "interrupted": "interrupted; the same command goes on",
        "nothing": "nothing to do, the run was finished before",
    }[fit.why]
    best = "" if fit.best_loss is None else f", lowest loss {fit.best_loss:.4f}"
    quality = "" if fit.seedless_iou is None else f", validation IoU without the seed {fit.seedless_iou:.3f}"
    return f"{how}: {fit.steps} steps, {fit.epochs} epochs{best}{quality}\n" + (
        f"model: {summary.model}" if summary.model.exists() else "no model yet, since no epoch was finished"
    )
