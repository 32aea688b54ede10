"""Who is asked: the model at each number of loops, the baselines, and the models to compare with."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from ewval.core.constants import FACTOR
from ewval.core.errors import UsageError
from ewval.nn.card import ModelCard
from ewval.nn.evaluation.answerers import AllTouching, Answerer, ModelAnswerer, SeedAlone
from ewval.nn.evaluation.growth import tune_growth
from ewval.nn.evaluation.request import EvalRequest
from ewval.nn.evaluation.tasks import TaskSet
from ewval.nn.weights import Model, load_model

SEED_ALONE = "seed alone"
ALL_TOUCHING = "all touching segments"
GROWTH = "growth by image evidence"


@dataclass(frozen=True, slots=True)
class Models:
    """The model under evaluation, and those to compare it with, by name."""

    main: Model
    others: Mapping[str, Model] = field(default_factory=dict)

    @property
    def context(self) -> int:
        """Ancestors that the hungriest of them wants."""
        return max(card.context for card in self.cards)

    @property
    def cards(self) -> list[ModelCard]:
        """Their cards, that of the model under evaluation first."""
        return [model.card for model in (self.main, *self.others.values())]

    def identity(self) -> dict[str, Any]:
        """Return what tells these models from any others."""
        return {"main": _fingerprint(self.main)} | {name: _fingerprint(model) for name, model in self.others.items()}


@dataclass(frozen=True, slots=True)
class Panel:
    """All who answer.

    Args:
        settings: The model, by `loops=N`.
        baselines: Baselines and other models, by name.
        notes: One sentence on a baseline that needs one.
    """

    settings: Mapping[str, ModelAnswerer]
    baselines: Mapping[str, Answerer]
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def everyone(self) -> dict[str, Answerer]:
        """Settings and baselines."""
        return {**self.settings, **self.baselines}

    @property
    def main(self) -> str:
        """The setting that the report is about."""
        return next(iter(self.settings))


def load_models(request: EvalRequest, *, device: torch.device) -> Models:
    """Return the models that the request names.

    Raises:
        MissingError: There is no such model.
        DamagedError: It is no model.
        UsageError: It wants volumes of another resolution.
    """
    main = load_model(request.model, device=device)
    others: dict[str, Model] = {}
    for name in request.compare:
        model = load_model(name, device=device)
        others[_free_name(model.card.name, taken=others)] = model
    for model in (main, *others.values()):
        if model.card.factor != FACTOR:
            raise UsageError(f"model {model.card.name} wants volumes packed by {model.card.factor}, not {FACTOR}")
    return Models(main, others)


def make_panel(request: EvalRequest, models: Models, tasks: TaskSet, *, device: torch.device) -> Panel:
    """Return all who answer; tunes the baseline that needs tuning."""

    def ask(model: Model, loops: int | None) -> ModelAnswerer:
        return ModelAnswerer(model, tasks.sources, loops, device, request.batch_size)

    settings = {f"loops={loops}": ask(models.main, loops) for loops in request.settled_for(models.main).loops or ()}
    compared = {name: ask(model, None) for name, model in models.others.items()}
    baselines: dict[str, Answerer] = {}
    notes = {}
    if request.baselines:
        growth, tuned_on = tune_growth(tasks, seed=request.seed)
        baselines = {SEED_ALONE: SeedAlone(), ALL_TOUCHING: AllTouching(), GROWTH: growth}
        notes[GROWTH] = f"threshold {growth.threshold:g}, tuned on {tuned_on}"
    return Panel(settings, baselines | compared, notes)


def _free_name(name: str, *, taken: Mapping[str, Model]) -> str:
    names = [name, *(f"{name} ({number})" for number in range(2, len(taken) + 3))]
    return next(candidate for candidate in names if candidate not in taken)


def _fingerprint(model: Model) -> dict[str, Any]:
    digest = hashlib.sha256()
    heads = {} if model.head is None else model.head.tensors()
    for key, tensor in sorted({**model.network.state_dict(), **{f"head.{k}": v for k, v in heads.items()}}.items()):
        digest.update(key.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    card = asdict(model.card)
    return {"sha256": digest.hexdigest(), **{key: card[key] for key in sorted(card) if key in _DECISIVE}}


_DECISIVE = (
    "name",
    "arch",
    "loss",
    "loops",
    "context",
    "temperature",
    "add_threshold",
    "maybe_threshold",
    "head",
    "joining",
)
"""Fields of a card that change what a model answers."""
