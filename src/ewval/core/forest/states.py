"""Half-grown objects to learn from: any part of an answer can be the seed, and the rest is the target."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.candidates import Surroundings
from ewval.core.forest.growth import begin
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.ranges import AT_LEAST_NOTHING, AT_LEAST_ONE, CHANCE, check_ranges

__all__ = ["SamplingConfig", "States", "draw_seed", "sample_states"]

MEAN_ODDS = 1
"""Column of a candidate's numbers that holds the mean log-odds of its contact with the object."""
HOPELESS = -2.5
"""Candidates below these mean log-odds are mostly left out."""


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How objects are grown for learning.

    Args:
        growths: From different seeds, for each cell of a cube; each of several cubes needs fewer, see `examples`.
        least: Growths in all: where cells are few, each gives more.
        states: Kept from each growth, about.
        noise: Of the order in which true segments join, in log-odds.
        mistakes: Chance that a wrong segment that looks right joins.
        hopeless_share: Of candidates with little to say for them that are kept.
    """

    growths: int = 12
    least: int = 400
    states: int = 8
    noise: float = 0.7
    mistakes: float = 0.05
    hopeless_share: float = 0.1

    def __post_init__(self) -> None:
        ranges = {
            "growths": AT_LEAST_ONE,
            "least": AT_LEAST_NOTHING,
            "states": AT_LEAST_ONE,
            "noise": AT_LEAST_NOTHING,
            "mistakes": CHANCE,
            "hopeless_share": CHANCE,
        }
        check_ranges(self, ranges)


@dataclass(frozen=True, slots=True)
class States:
    """Candidates in half-grown objects: float32[n, numbers], whether each belongs, its voxels and its row."""

    numbers: NDArray[np.float32]
    truth: NDArray[np.bool_]
    voxels: NDArray[np.float64]
    rows: NDArray[np.int64]


def sample_states(
    volume: LabelledVolume,
    around: Surroundings,
    cell: int,
    *,
    config: SamplingConfig,
    random: np.random.Generator,
) -> States | None:
    """Return candidates met while `cell` grows from many seeds; None where nothing was ever left to decide."""
    members = np.zeros(len(around.voxels), dtype=bool)
    members[volume.cells[cell]] = True
    found: list[States] = []
    for _ in range(config.growths):
        seed = draw_seed(volume, around, cell, random)
        if len(seed) < members.sum() or random.random() < 0.3:
            found += _grow(around, seed, members, ~volume.is_withheld, config=config, random=random)
    if not sum(len(s.truth) for s in found):
        return None
    return States(
        *[np.concatenate([getattr(s, name) for s in found]) for name in ("numbers", "truth", "voxels", "rows")]
    )


def _grow(
    around: Surroundings,
    seed: NDArray[np.int64],
    members: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    *,
    config: SamplingConfig,
    random: np.random.Generator,
) -> list[States]:
    """Grow along the truth, most certain segment first, with noise and a few mistakes, among segments of `usable`."""
    growing, left = begin(around, seed), int(members.sum()) - len(seed)
    at_once, step, next_kept = max(1, round(0.04 * left)), 0, 0
    found: list[States] = []
    while True:
        rows, numbers = growing.described()
        rows, numbers = rows[usable[rows]], numbers[usable[rows]]
        if not len(rows):
            return found
        truth = members[rows]
        if step >= next_kept or not truth.any():
            found.append(_keep(States(numbers, truth, around.voxels[rows], rows), config=config, random=random))
            next_kept += max(1, left // config.states)
        if not truth.any():
            return found
        score = numbers[:, MEAN_ODDS] + random.gumbel(0, config.noise, len(rows))
        order = np.argsort(-score)
        joining = rows[order[truth[order]][:at_once]]
        wrong = rows[(score > 1) & ~truth & (random.random(len(rows)) < config.mistakes / 5)]
        growing.join(np.concatenate([joining, wrong[:1]]))
        step += len(joining)


def _keep(met: States, *, config: SamplingConfig, random: np.random.Generator) -> States:
    lucky = random.random(len(met.truth)) < config.hopeless_share
    kept = met.truth | (met.numbers[:, MEAN_ODDS] > HOPELESS) | lucky
    return States(met.numbers[kept], met.truth[kept], met.voxels[kept], met.rows[kept])


def draw_seed(
    volume: LabelledVolume, around: Surroundings, cell: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Return a seed: one that a task had, what reaches one side of the cube, or any connected part."""
    rows = volume.cells[cell]
    given = [seed for seed in volume.seeds.get(cell, ()) if len(seed) < len(rows)]
    draw = random.random()
    if draw < 0.35 and given:
        return given[random.integers(len(given))]
    at_side = rows[volume.graph.sides[rows, random.integers(6)]]
    if draw < 0.7 and 0 < len(at_side) < len(rows):
        return np.asarray(at_side, dtype=np.int64)
    size = 1 if random.random() < 0.5 else int(np.ceil(len(rows) * random.uniform(0.02, 0.8)))
    return _connected_part(around, rows, size=size, random=random)


def _connected_part(
    around: Surroundings, rows: NDArray[np.int64], *, size: int, random: np.random.Generator
) -> NDArray[np.int64]:
    weight = np.sqrt(around.voxels[rows]) if random.random() < 0.7 else np.ones(len(rows))
    members, inside = (np.zeros(len(around.voxels), dtype=bool) for _ in range(2))
    members[rows] = True
    inside[random.choice(rows, p=weight / weight.sum())] = True
    while (count := int(inside.sum())) < size:
        touched = np.unique(around.here[inside[around.there] & ~inside[around.here] & members[around.here]])
        if not len(touched):
            break
        inside[random.permutation(touched)[: max(1, min(size // 6, size - count))]] = True
    return np.flatnonzero(inside)
