"""One `ewval train`: from a data folder and options to a run folder."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ewval.core.errors import ExtraError, MissingError, UsageError
from ewval.core.folder import DataFolder
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.views import VolumeSource
from ewval.nn.card import ModelCard
from ewval.nn.data.tasks import SourceRequest, Sources, fitting_parts, open_sources, tuning_tasks
from ewval.nn.devices import pick_device
from ewval.nn.distributed import Team, join_team
from ewval.nn.joining.fit import fit_joining, tune_least
from ewval.nn.joining.joining import JOIN_LOOPS
from ewval.nn.networks.architectures import build_network
from ewval.nn.networks.network import Network
from ewval.nn.training.fit import Board, Fit, FitPlan, FitSummary
from ewval.nn.training.run_folder import RunFolder, check_same_run, write_config
from ewval.nn.training.step import TrainConfig, Trainer
from ewval.nn.weights import Model, load_model, save_model


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Everything that `ewval train` was asked for.

    Args:
        data: The data folder.
        run: The run folder.
        train: How the network is trained.
        plan: How long.
        source: On which samples.
        arch: Name of the architecture.
        network: Fields of its configuration that differ from the defaults.
        init: Model whose weights are the first ones, or None.
        resume: A checkpoint must be there to go on from.
        deterministic: Only operations that give the same bits each time.
        device: auto, cpu, cuda or cuda:N.
        tensorboard: Whether curves are written for TensorBoard too.
    """

    data: Path
    run: Path
    train: TrainConfig = field(default_factory=TrainConfig)
    plan: FitPlan = field(default_factory=FitPlan)
    source: SourceRequest = field(default_factory=SourceRequest)
    arch: str = "lwunet"
    network: Mapping[str, Any] = field(default_factory=dict)
    init: str | None = None
    resume: bool = False
    deterministic: bool = False
    device: str = "auto"
    tensorboard: bool = False


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to: how training ended, the model's file, how many tasks it learned from and was judged by.

    `is_reporter` is false in all but one of the processes of a team.
    """

    fit: FitSummary
    model: Path
    tasks: int
    validation_tasks: int
    is_reporter: bool = True


def train_run(request: RunRequest, *, progress: Progress = SILENT) -> RunSummary:
    """Train as `request` says, or go on where the same request stopped before.

    Raises:
        UsageError: Options that make no sense, or differ from those the run was begun with.
        MissingError: No split, no task to train on, no model to start from, or no checkpoint to resume.
        DamagedError: A file does not hold what it should.
        DeviceError: The device is not there, or has too little memory.
        ExtraError: TensorBoard is asked for and not installed.
        DivergedError: The loss is no longer a number.
    """
    _set_up_torch(request)
    with join_team(pick_device(request.device)) as team:
        sources = open_sources(DataFolder(request.data), request.source, team=team)
        fit = _prepare(request, sources, team=team, progress=progress if team.is_first else SILENT)
        summary = fit.run()
        if team.is_first and request.train.loss.segments and summary.why != "interrupted":
            _complete(request, fit.folder.model, progress=progress)
        return RunSummary(summary, fit.folder.model, sources.tasks, sources.validation_tasks, team.is_first)


def _complete(request: RunRequest, path: Path, *, progress: Progress) -> None:
    """Fit how a model of segments decides, unless that stands in its card already."""
    device = pick_device(request.device)
    if not path.is_file() or (model := load_model(path, device=device)).card.joining is not None:
        return
    data = DataFolder(request.data)
    source, packed = VolumeSource(data), VolumeSource(data, full_resolution=False)
    parts = fitting_parts(data, request.source)
    rules = fit_joining(model, parts, [source, packed], device=device, progress=progress)
    rule = rules.get("full", rules["packed"])
    tasks = tuning_tasks(parts, seed=request.source.seed)
    least = tune_least(model, rule, parts.builder, tasks, source, loops=JOIN_LOOPS, device=device, progress=progress)
    card = replace(
        model.card,
        joining={"full": rule.to_card(), "packed": rules["packed"].to_card()},
        loops=JOIN_LOOPS,
        add_threshold=least,
        maybe_threshold=least / 2,
        description="Trained with `ewval train`; its thresholds come from the validation side, or the train side.",
    )
    save_model(path, replace(model, card=card))


def _set_up_torch(request: RunRequest) -> None:
    if request.deterministic:
        # cuBLAS reads this when it is first used, and gives the same bits only with it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(request.deterministic)
    torch.backends.cudnn.benchmark = not request.deterministic
    torch.manual_seed(request.train.seed)


def _prepare(request: RunRequest, sources: Sources, *, team: Team, progress: Progress) -> Fit:
    """Return the training, fresh or where it stopped; nothing is written before everything has been checked."""
    folder = RunFolder(request.run)
    options = _options(request, sources)
    continues = folder.last.is_file()
    if continues:
        check_same_run(folder, options)
    elif request.resume:
        raise MissingError(f"checkpoint {folder.last}", hint="leave out --resume to begin a run")
    first = None if request.init is None else load_model(request.init)
    trainer = Trainer(_network(request, first).to(team.device), request.train, team=team)
    board = _board(request, team)
    fit = Fit(
        trainer,
        sources.training,
        validation=lambda: sources.validation,
        folder=folder,
        card=_card(request, sources, first),
        plan=request.plan,
        progress=progress,
        board=board,
    )
    if continues:
        fit.resume()
    elif team.is_first:
        write_config(folder, options)
    return fit


def _network(request: RunRequest, first: Model | None) -> Network:
    """Return the network that is trained, with the weights of `first` where there is one."""
    network = build_network(
        request.arch,
        {**request.network, "context": request.source.context, "loops": request.train.loops},
    )
    if first is None:
        return network
    try:
        network.load_state_dict(first.network.state_dict())
    except RuntimeError as error:
        raise UsageError(
            f"--init {request.init} is a {first.card.arch} with other layers than this {request.arch}; "
            "match --arch, --context and --widths"
        ) from error
    return network


def _options(request: RunRequest, sources: Sources) -> dict[str, Any]:
    """Return every option that the result depends on, as config.json holds it."""
    train = asdict(request.train)
    optimizer, augment, loss = train.pop("optimizer"), train.pop("augment"), train.pop("loss")
    return {
        "data": str(request.data.resolve()),
        "split_sha256": sources.split_sha256,
        "arch": request.arch,
        "network": {key: list(value) if isinstance(value, tuple) else value for key, value in request.network.items()},
        "init": request.init,
        "loss": loss,
        "optimizer": optimizer,
        "augment": augment,
        **train,
        **asdict(request.plan),
        **asdict(request.source),
        "deterministic": request.deterministic,
        "device": request.device,
        "tensorboard": request.tensorboard,
    }


def _card(request: RunRequest, sources: Sources, first: Model | None) -> ModelCard:
    loss, optimizer = request.train.loss, request.train.optimizer
    return ModelCard(
        name=request.run.resolve().name,
        arch=request.arch,
        context=request.source.context,
        description="Trained with `ewval train`; its thresholds are the defaults, not tuned on validation tasks.",
        data={
            "folder": request.data.resolve().name,
            "split": sources.rule,
            "split_sha256": sources.split_sha256,
            "tasks": sources.tasks,
            "validation_tasks": sources.validation_tasks,
        },
        training={
            "loss": asdict(loss),
            "optimizer": asdict(optimizer),
            "augment": asdict(request.train.augment),
            "batch_size": request.source.batch_size,
            "seed": request.train.seed,
        },
        cells=sorted({*sources.cells, *(first.card.cells if first else ())}),
        volumes=sorted({*sources.volumes, *(first.card.volumes if first else ())}),
    )


def _board(request: RunRequest, team: Team) -> Board | None:
    if not (request.tensorboard and team.is_first):
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ExtraError("tb", "tensorboard") from error
    writer: Board = SummaryWriter(str(request.run / "tensorboard"))
    return writer
