"""How forests over the segment graph are trained: the form of their recipes."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ewval.core.forest.boosting import BoostingConfig
from ewval.core.forest.candidates import CANDIDATE_NAMES
from ewval.core.forest.examples import Bounds
from ewval.core.forest.learn import CANDIDATE_TREES, PAIR_TREES, LearnConfig
from ewval.core.forest.ranges import ABOVE_NOTHING, AT_LEAST_NOTHING, AT_LEAST_ONE, check_ranges
from ewval.core.forest.states import SamplingConfig
from ewval.core.graph.names import CONTACT_NAMES
from ewval.core.recipe import Recipe
from ewval.core.training.augmented import AugmentedCubes

__all__ = ["GeneratedCubes", "GraphRecipe", "Look"]

Look = Literal["any", "detected", "retina", "retina-like"]


@dataclass(frozen=True, slots=True)
class GeneratedCubes:
    """Generated cubes of one look that are learned from, too, and choose no settings.

    Args:
        cubes: How many.
        tasks: In each.
        seed: That they are drawn with.
        weight: Of their examples, beside those of real tissue.
        apart: Whether they teach forests of their own, asked in cubes that look like them alone.
    """

    cubes: int = 16
    tasks: int = 12
    seed: int = 1
    weight: float = 0.05
    apart: bool = False

    def __post_init__(self) -> None:
        ranges = {"cubes": AT_LEAST_ONE, "tasks": AT_LEAST_ONE, "seed": AT_LEAST_NOTHING, "weight": ABOVE_NOTHING}
        check_ranges(self, ranges)


class GraphRecipe(Recipe):
    """A recipe of `--arch graph`; what its keys may not be is refused with the key's name.

    Args:
        parts: Cells are dealt into so many parts, each of which is left out once.
        draws: How often all is learned, each time with other parts.
        rounds: Forests of candidates in each.
        curve: Whether a run ends with its learning curve.
        left_out: Names of numbers that nothing is learned from, since what they say holds in one tissue alone; a name
            may end in `*`.
        alike: Names of data folders that hold one tissue; each tissue is left out once, to learn what holds away.
        augmented: Changed forms of the cubes to learn from as well, or None.
        generated: Generated cubes to learn from as well, by their look (`ewval.core.sim.lessons.LOOKS`).
        pairs: Trees that judge contacts.
        candidates: Trees that judge candidates.
        sampling: Of half-grown objects.
        bounds: How much is learned from at most.
    """

    arch: Literal["graph"] = "graph"
    parts: int = Field(default=5, ge=2)
    draws: int = Field(default=1, ge=1)
    rounds: int = Field(default=2, ge=1)
    curve: bool = True
    left_out: tuple[str, ...] = ()
    alike: tuple[tuple[str, ...], ...] = ()
    augmented: AugmentedCubes | None = None
    generated: Mapping[Look, GeneratedCubes] = Field(default_factory=dict)
    pairs: BoostingConfig = PAIR_TREES
    candidates: BoostingConfig = CANDIDATE_TREES
    sampling: SamplingConfig = SamplingConfig()
    bounds: Bounds = Bounds()

    @field_validator("left_out")
    @classmethod
    def _know_what_is_left_out(cls, left_out: tuple[str, ...]) -> tuple[str, ...]:
        """A misspelt name would leave nothing out, and a name such as `*` would leave nothing to learn from."""
        for name in left_out:
            if not fnmatch.filter([*CONTACT_NAMES, *CANDIDATE_NAMES], name):
                raise ValueError(f"no number of contacts or candidates is called {name}")
        config = LearnConfig(left_out=left_out)
        for names in (CONTACT_NAMES, CANDIDATE_NAMES):
            if len(config.ignored(names)) == len(names):
                raise ValueError("no number of contacts, or of candidates, is left to learn from")
        return left_out

    @model_validator(mode="after")
    def _tell_cubes_apart(self) -> Self:
        """Cubes of two looks drawn with one seed would share the ids of their cells."""
        seeds = [cubes.seed for cubes in self.generated.values()]
        if len(set(seeds)) < len(seeds):
            raise ValueError("generated cubes of different looks need different seeds")
        return self

    def learning(self, *, seed: int) -> LearnConfig:
        """Return how the forests learn."""
        return LearnConfig(
            self.pairs,
            self.candidates,
            self.sampling,
            self.bounds,
            rounds=self.rounds,
            draws=self.draws,
            left_out=self.left_out,
            alike=self.alike,
            seed=seed,
        )
