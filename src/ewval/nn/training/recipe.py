"""The recipe of a network: what `--recipe` may hold for `--arch lwunet`, and the stage that comes before."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from pydantic import model_validator

from ewval.core.recipe import Recipe
from ewval.core.sim.lessons import LessonPlan
from ewval.nn.data.tasks import SampleConfig
from ewval.nn.loss import LossConfig
from ewval.nn.networks.lwunet import LWUNetConfig
from ewval.nn.training.augment import AugmentConfig
from ewval.nn.training.fit import FitPlan
from ewval.nn.training.optimization import OptimizerConfig
from ewval.nn.training.step import ComputeConfig


@dataclass(frozen=True, slots=True)
class Pretraining:
    """A first stage on generated cubes; whatever is not named here is as in the stage that follows.

    Args:
        cubes: Generated volumes, the last twentieth of them for validation.
        tasks: Tasks of each at most.
        seed: Of the generated cubes.
        magnify: 2 or 4 generates coarser cubes and enlarges them: faster, and less like tissue.
        steps: Length of the stage.
        learning_rate: Initial learning rate.
        vary_seed: Seeds drawn from each answer an epoch.
    """

    cubes: int
    tasks: int
    steps: int
    learning_rate: float
    vary_seed: int
    seed: int = 0
    magnify: int = 1

    def __post_init__(self) -> None:
        if self.cubes < 2 or self.tasks < 1 or self.steps < 1:
            raise ValueError("cubes must be >= 2 (the last validates), tasks and steps >= 1")
        if self.magnify not in (1, 2, 4):
            raise ValueError(f"magnify {self.magnify} is not 1, 2 or 4")

    def lessons(self) -> LessonPlan:
        """Return what to generate."""
        return LessonPlan(self.cubes, self.tasks, self.seed, self.magnify)


class NetworkRecipe(Recipe):
    """How a network is trained, whatever it is trained on."""

    arch: Literal["lwunet"]
    network: LWUNetConfig = LWUNetConfig()
    samples: SampleConfig = SampleConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()
    length: FitPlan = FitPlan()
    compute: ComputeConfig = ComputeConfig()
    pretraining: Pretraining | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.samples.vary_seed and self.network.context:
            raise ValueError("samples.vary_seed needs network.context = 0: a part of an answer has no ancestors")
        if self.loss.segments and not self.samples.vary_seed:
            raise ValueError("loss.segments needs samples.vary_seed: only drawn seeds have segments to judge")
        return self

    def first_stage(self) -> "NetworkRecipe":
        """Return the recipe of the pretraining.

        Raises:
            ValueError: There is no pretraining.
        """
        if self.pretraining is None:
            raise ValueError("this recipe has no pretraining")
        stage = self.pretraining
        return self.model_copy(
            update={
                "samples": replace(self.samples, vary_seed=stage.vary_seed),
                "optimizer": replace(self.optimizer, learning_rate=stage.learning_rate),
                "length": replace(self.length, steps=stage.steps, patience=0),
                "pretraining": None,
            }
        )
