"""Who is asked: the model in each way of running it, the baselines, and the models to compare with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ewval.core.evaluation.answerers import AllTouching, Answerer, ModelAnswerer, SeedAlone
from ewval.core.evaluation.growth import tune_growth
from ewval.core.evaluation.request import EvalRequest
from ewval.core.evaluation.tasks import TaskSet
from ewval.core.models.card import ModelCard
from ewval.core.models.decider import Decider
from ewval.core.models.registry import load_decider
from ewval.core.segments.decision import Looks

SEED_ALONE = "seed alone"
ALL_TOUCHING = "all touching segments"
GROWTH = "growth by image evidence"
ONLY_WAY = "default"
"""The setting of a model that has no loops."""


@dataclass(frozen=True, slots=True)
class Models:
    """The model under evaluation, and those to compare it with, by name."""

    main: Decider
    others: Mapping[str, Decider] = field(default_factory=dict)

    @property
    def context(self) -> int:
        """Ancestors that the hungriest of them wants."""
        return max(decider.context for decider in (self.main, *self.others.values()))

    @property
    def cards(self) -> list[ModelCard]:
        """Their cards, that of the model under evaluation first."""
        return [card for decider in (self.main, *self.others.values()) for card in decider.cards]

    def identity(self) -> dict[str, Any]:
        """Return what tells these models from any others."""
        return {"main": dict(self.main.identity)} | {name: dict(one.identity) for name, one in self.others.items()}


@dataclass(frozen=True, slots=True)
class Panel:
    """All who answer.

    Args:
        settings: The model, by `loops=N`, or by `default` where it has no loops.
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


def load_models(request: EvalRequest) -> Models:
    """Return the models that the request names.

    Raises:
        MissingError: There is no such model.
        DamagedError: It is no model.
        UsageError: It wants volumes of another resolution.
    """
    main = load_decider(request.model, device=request.device)
    others: dict[str, Decider] = {}
    for name in request.compare:
        decider = load_decider(name, device=request.device)
        others[_free_name(decider.name, taken=others)] = decider
    return Models(main, others)


def make_panel(request: EvalRequest, models: Models, tasks: TaskSet) -> Panel:
    """Return all who answer; tunes the baseline that needs tuning."""

    def ask(decider: Decider, loops: int | None = None) -> ModelAnswerer:
        return ModelAnswerer(decider, tasks.sources, Looks(loops=loops, batch_size=request.batch_size))

    compared = models.main.compared_loops and (request.loops or models.main.compared_loops)
    settings = {f"loops={loops}": ask(models.main, loops) for loops in compared} or {ONLY_WAY: ask(models.main)}
    others = {name: ask(decider) for name, decider in models.others.items()}
    baselines: dict[str, Answerer] = {}
    notes = {}
    if request.baselines:
        growth, tuned_on = tune_growth(tasks, seed=request.seed)
        baselines = {SEED_ALONE: SeedAlone(), ALL_TOUCHING: AllTouching(), GROWTH: growth}
        notes[GROWTH] = f"threshold {growth.threshold:g}, tuned on {tuned_on}"
    return Panel(settings, baselines | others, notes)


def _free_name(name: str, *, taken: Mapping[str, Decider]) -> str:
    names = [name, *(f"{name} ({number})" for number in range(2, len(taken) + 3))]
    return next(candidate for candidate in names if candidate not in taken)
