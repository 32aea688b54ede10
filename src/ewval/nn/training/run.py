"""One `ewval train`: from a data folder and options to a run folder."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ewval.core.errors import ExtraError, MissingError, SettingError
from ewval.core.folder import DataFolder
from ewval.core.models.card import ModelCard
from ewval.core.progress import SILENT, Progress
from ewval.core.recipe import write_recipe
from ewval.core.segments.views import VolumeSource
from ewval.core.sim.lessons import write_lessons
from ewval.core.training.run_folder import RunFolder, check_begun, write_config
from ewval.nn.data.tasks import SourceRequest, Sources, fitting_parts, open_sources, tuning_tasks
from ewval.nn.devices import pick_device
from ewval.nn.distributed import Team, join_team
from ewval.nn.joining.fit import fit_joining, tune_least
from ewval.nn.joining.joining import JOIN_LOOPS
from ewval.nn.networks.architectures import build_network
from ewval.nn.networks.network import Network
from ewval.nn.training.fit import Board, Fit, FitSummary
from ewval.nn.training.recipe import NetworkRecipe
from ewval.nn.training.step import TrainConfig, Trainer
from ewval.nn.weights import Model, load_network, save_network

NO_MODEL = "none"
"""For `init`: begin with random weights, whatever the recipe says."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Everything that `ewval train` was asked for.

    Args:
        data: The data folder.
        run: The run folder.
        recipe: How the network is trained.
        init: Model whose weights are the first ones, `none` for random ones, None for what the recipe says.
        fold: Which fold's split, or None for split.json.
        seed: Of every random draw.
        workers: Processes that load samples.
        resume: A checkpoint must be there to go on from.
        deterministic: Only operations that give the same bits each time.
        device: auto, cpu, cuda or cuda:N.
        tensorboard: Whether curves are written for TensorBoard too.
    """

    data: Path
    run: Path
    recipe: NetworkRecipe
    init: str | None = None
    fold: int | None = None
    seed: int = 0
    workers: int = 0
    resume: bool = False
    deterministic: bool = False
    device: str = "auto"
    tensorboard: bool = False

    @property
    def source(self) -> SourceRequest:
        """On which samples."""
        recipe = self.recipe
        return SourceRequest(recipe.samples, recipe.network.context, self.fold, self.workers, self.seed)

    @property
    def train(self) -> TrainConfig:
        """How a step is done."""
        recipe = self.recipe
        return TrainConfig(
            recipe.loss, recipe.optimizer, recipe.augment, recipe.compute, loops=recipe.network.loops, seed=self.seed
        )


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
        return _run(request, team=team, progress=progress if team.is_first else SILENT)


def _run(request: RunRequest, *, team: Team, progress: Progress) -> RunSummary:
    sources = open_sources(DataFolder(request.data), request.source, team=team)
    folder = RunFolder(request.run)
    _check_resumed(request, folder)
    options = _options(request, sources)
    check_begun(folder, options)  # before the pretraining, which writes into the folder
    if _is_pretrained(request) and not folder.last.is_file():
        first = _run(_first_stage(request, team=team, progress=progress), team=team, progress=progress)
        if first.fit.why == "interrupted":
            return replace(first, model=folder.model)
    fit = _prepare(request, sources, folder, options, team=team, progress=progress)
    summary = fit.run()
    if team.is_first and summary.why == "nothing":
        _check_finished(folder)
    if team.is_first and request.recipe.loss.segments and summary.why != "interrupted":
        _complete(request, fit.folder.model, progress=progress)
    return RunSummary(summary, fit.folder.model, sources.tasks, sources.validation_tasks, team.is_first)


def _is_pretrained(request: RunRequest) -> bool:
    return request.init is None and request.recipe.pretraining is not None


def _stage_folder(run: Path) -> RunFolder:
    return RunFolder(run / "pretraining")


def _first_stage(request: RunRequest, *, team: Team, progress: Progress) -> RunRequest:
    """Return the request of the pretraining, its generated cubes written."""
    stage = request.recipe.pretraining
    assert stage is not None
    lessons = DataFolder(_stage_folder(request.run).root / "cubes")
    if team.is_first and not lessons.split.exists():
        shutil.rmtree(lessons.root, ignore_errors=True)  # cubes without a split are those of an interrupted run
        write_lessons(lessons, stage.lessons(), progress=progress)
    team.sum([0.0])  # nobody reads the cubes before they are there
    return replace(
        request,
        data=lessons.root,
        run=_stage_folder(request.run).root,
        recipe=request.recipe.first_stage(),
        init=NO_MODEL,
        fold=None,
        resume=False,
    )


def _check_finished(folder: RunFolder) -> None:
    """Read the model of a finished run; one that was deleted is made again from the best checkpoint.

    Raises:
        DamagedError: It cannot be read.
    """
    if folder.model.is_file():
        load_network(folder.model)
    elif folder.best.is_file():
        save_network(folder.model, load_network(folder.best))


def _complete(request: RunRequest, path: Path, *, progress: Progress) -> None:
    """Fit how a model of segments decides, unless that stands in its card already."""
    device = pick_device(request.device)
    if not path.is_file() or (model := load_network(path, device=device)).card.joining is not None:
        return
    data = DataFolder(request.data)
    source, packed = VolumeSource(data), VolumeSource(data, full_resolution=False)
    parts = fitting_parts(data, request.source)
    rules = fit_joining(model, parts, [source, packed], device=device, progress=progress)
    rule = rules.get("full", rules["packed"])
    tasks = tuning_tasks(parts, seed=request.seed)
    least = tune_least(model, rule, parts.builder, tasks, source, loops=JOIN_LOOPS, device=device, progress=progress)
    card = replace(
        model.card,
        joining={"full": rule.to_card(), "packed": rules["packed"].to_card()},
        loops=JOIN_LOOPS,
        add_threshold=least,
        maybe_threshold=least / 2,
        description="Trained with `ewval train`; its thresholds come from the validation side, or the train side.",
    )
    save_network(path, replace(model, card=card))


def _set_up_torch(request: RunRequest) -> None:
    if request.deterministic:
        # cuBLAS reads this when it is first used, and gives the same bits only with it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(request.deterministic)
    torch.backends.cudnn.benchmark = not request.deterministic
    torch.manual_seed(request.seed)


def _check_resumed(request: RunRequest, folder: RunFolder) -> None:
    begun = folder.last.is_file() or _stage_folder(request.run).last.is_file()
    if request.resume and not begun:
        raise MissingError(f"checkpoint {folder.last}", hint="there is no run to resume here")


def _prepare(
    request: RunRequest,
    sources: Sources,
    folder: RunFolder,
    options: Mapping[str, Any],
    *,
    team: Team,
    progress: Progress,
) -> Fit:
    """Return the training, fresh or where it stopped; nothing is written before everything has been checked."""
    first = _first_model(request)
    trainer = Trainer(_network(request, first).to(team.device), request.train, team=team)
    board = _board(request, team)
    fit = Fit(
        trainer,
        sources.training,
        validation=lambda: sources.validation,
        folder=folder,
        card=_card(request, sources, first),
        plan=request.recipe.length,
        progress=progress,
        board=board,
    )
    if folder.last.is_file():
        fit.resume()
    elif team.is_first:
        write_config(folder, options)
        write_recipe(folder.recipe, request.recipe)
    return fit


def _first_model(request: RunRequest) -> Model | None:
    """Return the model whose weights training begins with, None for random ones."""
    if _is_pretrained(request):
        path = _stage_folder(request.run).model
        if not path.is_file():
            return None  # a later stage goes on from its own checkpoint
        model = load_network(path)
        # Generated cells and volumes are numbered anew in every folder: their ids say nothing about real ones.
        return replace(model, card=replace(model.card, cells=[], volumes=[]))
    return None if request.init in (None, NO_MODEL) else load_network(request.init)


def _network(request: RunRequest, first: Model | None) -> Network:
    """Return the network that is trained, with the weights of `first` where there is one."""
    network = build_network(request.recipe.arch, asdict(request.recipe.network))
    if first is None:
        return network
    try:
        network.load_state_dict(first.network.state_dict())
    except RuntimeError as error:
        problem = f"{first.card.name} is a {first.card.arch} with other layers than the recipe's network"
        raise SettingError(problem, setting="init") from error
    return network


def _options(request: RunRequest, sources: Sources) -> dict[str, Any]:
    """Return every option that the result depends on, as config.json holds it."""
    recipe = request.recipe
    return {
        "data": str(request.data.resolve()),
        "split_sha256": sources.split_sha256,
        "arch": recipe.arch,
        "network": asdict(recipe.network),
        "init": request.init,
        "pretraining": asdict(recipe.pretraining) if _is_pretrained(request) and recipe.pretraining else None,
        "loss": asdict(recipe.loss),
        "optimizer": asdict(recipe.optimizer),
        "augment": asdict(recipe.augment),
        "context": recipe.network.context,
        "loops": recipe.network.loops,
        **asdict(recipe.compute),
        **asdict(recipe.length),
        **asdict(recipe.samples),
        "fold": request.fold,
        "workers": request.workers,
        "seed": request.seed,
        "deterministic": request.deterministic,
        "device": request.device,
        "tensorboard": request.tensorboard,
    }


def _card(request: RunRequest, sources: Sources, first: Model | None) -> ModelCard:
    recipe = request.recipe
    return ModelCard(
        name=request.run.resolve().name,
        arch=recipe.arch,
        context=recipe.network.context,
        description="Trained with `ewval train`; its thresholds are the defaults, not tuned on validation tasks.",
        data={
            "folder": request.data.resolve().name,
            "split": sources.rule,
            "split_sha256": sources.split_sha256,
            "tasks": sources.tasks,
            "validation_tasks": sources.validation_tasks,
        },
        training={
            "loss": asdict(recipe.loss),
            "optimizer": asdict(recipe.optimizer),
            "augment": asdict(recipe.augment),
            "batch_size": recipe.samples.batch_size,
            "seed": request.seed,
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
