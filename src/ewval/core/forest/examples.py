"""Examples to learn from: drawn cube by cube into sets of bounded size, however many cubes there are.

Each set is drawn once and serves all forests of a course: which rows a forest may see stands beside them.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.boosting import Forest
from ewval.core.forest.candidates import Surroundings
from ewval.core.forest.labelled import UNKNOWN, LabelledVolume, known_pairs
from ewval.core.forest.ranges import AT_LEAST_ONE, check_ranges
from ewval.core.forest.states import SamplingConfig, sample_states

__all__ = ["Bounds", "CandidateExamples", "PairExamples", "draw_candidates", "draw_cells", "draw_pairs", "withheld_by"]

LEAST_SURPRISE = 0.1
"""Added to how far a contact's truth is from what was expected, so that no contact is never drawn."""

Judge = Callable[[LabelledVolume], Surroundings]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is learned from at most; memory and time depend on these, not on how much data there is.

    Args:
        volumes: Cubes that are looked into.
        pairs: Contacts, 0.7 kB each.
        cells: Cells of cubes whose half-grown objects are learned from.
        trials: Cells of cubes that settings are chosen by.
    """

    volumes: int = 8000
    pairs: int = 1_000_000
    cells: int = 3000
    trials: int = 1000

    def __post_init__(self) -> None:
        check_ranges(self, dict.fromkeys(("volumes", "pairs", "cells", "trials"), AT_LEAST_ONE))


@dataclass(frozen=True, slots=True)
class PairExamples:
    """Contacts whose truth is known.

    Args:
        rows: float32[n, e], their evidence.
        truth: bool[n], whether both segments are one cell.
        weight: float64[n].
        usable: bool[n, parts], whether the forest without that part may learn from it.
        unseen: bool[n, parts], whether that forest answers for it: one of its cells was withheld.
    """

    rows: NDArray[np.float32]
    truth: NDArray[np.bool_]
    weight: NDArray[np.float64]
    usable: NDArray[np.bool_]
    unseen: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CandidateExamples:
    """Candidates of half-grown objects whose truth is known.

    Args:
        rows: float32[n, c], their numbers.
        truth: bool[n], whether they belong.
        weight: float64[n].
        part: int64[n], place of the part that the object's cell is in.
        usable: bool[n, parts], whether the forest without that part may learn from it.
    """

    rows: NDArray[np.float32]
    truth: NDArray[np.bool_]
    weight: NDArray[np.float64]
    part: NDArray[np.int64]
    usable: NDArray[np.bool_]


def draw_pairs(
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    *,
    most: int,
    expected: Forest | None,
    random: np.random.Generator,
) -> PairExamples:
    """Return contacts to learn from.

    Where there are too many, those are drawn rather whose truth surprises, and count for the less: sums over the
    examples stay the sums over all.

    Args:
        volumes: With known cells.
        parts: From each cell to its part.
        most: How many, about.
        expected: What says beforehand how likely contacts are; None where nothing does.
        random: Of the draw.

    Raises:
        ValueError: There are none.
    """
    share = most / max(len(volumes), 1)
    drawn = [_draw_pairs(v, parts=parts, most=share, expected=expected, random=random) for v in volumes if v.cells]
    if not drawn:
        raise ValueError("no contact is known")
    names = ("rows", "truth", "weight", "usable", "unseen")
    return PairExamples(*[np.concatenate([getattr(examples, name) for examples in drawn]) for name in names])


def _draw_pairs(
    volume: LabelledVolume,
    *,
    parts: Mapping[int, int],
    most: float,
    expected: Forest | None,
    random: np.random.Generator,
) -> PairExamples:
    graph, (chosen, truth) = volume.graph, known_pairs(volume)
    weight = volume.weight * np.sqrt(graph.area[chosen])
    if len(chosen) > most:
        surprise = 1.0 if expected is None else _surprise(expected.log_odds(graph.evidence[chosen]), truth)
        wanted = weight * (LEAST_SURPRISE + surprise)
        chance = np.minimum(wanted / wanted.sum() * most, 1.0)
        kept = random.random(len(chosen)) < chance
        chosen, truth, weight = chosen[kept], truth[kept], (weight / chance)[kept]
    pairs = graph.pairs[chosen]
    part_of = parts_of(volume, parts)[pairs]
    withheld = np.stack([w[pairs].any(axis=1) for w in withheld_by(volume, parts).values()], axis=1)
    is_of = np.stack([(part_of == part).any(axis=1) for part in sorted(set(parts.values()))], axis=1)
    return PairExamples(graph.evidence[chosen], truth, weight, ~withheld & ~_left(part_of, parts), withheld & is_of)


def _left(part_of: NDArray[np.int64], parts: Mapping[int, int]) -> NDArray[np.bool_]:
    """Return, for each part, whether without it nothing is known of a pair."""
    has = [((part_of != UNKNOWN) & (part_of != part)).any(axis=1) for part in sorted(set(parts.values()))]
    return ~np.stack(has, axis=1)


def _surprise(log_odds: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(np.where(truth, log_odds, -log_odds))))


def parts_of(volume: LabelledVolume, parts: Mapping[int, int]) -> NDArray[np.int64]:
    """Return the part that each segment's cell is in, int64[n]; -1 where it has none."""
    found = np.full(len(volume.owner), UNKNOWN, dtype=np.int64)
    for cell, rows in volume.cells.items():
        found[rows] = parts.get(cell, UNKNOWN)
    return found


def withheld_by(volume: LabelledVolume, parts: Mapping[int, int]) -> dict[int, NDArray[np.bool_]]:
    """Return, for each part, the segments that the forest without it has not seen, bool[n]."""
    return {
        part: volume.without({cell for cell in volume.cells if parts.get(cell) == part}).is_withheld
        for part in sorted(set(parts.values()))
    }


def draw_cells(
    volumes: Sequence[LabelledVolume], *, most: int, random: np.random.Generator
) -> Iterator[tuple[LabelledVolume, tuple[int, ...]]]:
    """Yield volumes with some of their cells: all there are or `most` of them, every cell in turn."""
    places: dict[int, list[int]] = {}
    for number in random.permutation(len(volumes)).tolist():
        for cell in sorted(volumes[number].cells):
            places.setdefault(cell, []).append(number)
    turns = zip_longest(*[[(number, cell) for number in places[cell]] for cell in sorted(places)])
    entries = [entry for turn in turns for entry in turn if entry is not None]
    taken: dict[int, list[int]] = {}
    for number, cell in entries[:most]:
        taken.setdefault(number, []).append(cell)
    for number in sorted(taken):
        yield volumes[number], tuple(sorted(taken[number]))


def draw_candidates(
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    judge: Judge,
    *,
    sampling: SamplingConfig,
    most: int,
    seed: int,
) -> CandidateExamples | None:
    """Return candidates to learn from; None where no cell left anything to decide.

    Args:
        volumes: With known cells.
        parts: From each cell to its part.
        judge: From a volume to its surroundings, its pairs judged by forests that have not seen them.
        sampling: Of half-grown objects.
        most: Cells of cubes, at most.
        seed: Of the draw.
    """
    drawn, asked = [], list(draw_cells(volumes, most=most, random=np.random.default_rng(seed)))
    least = math.ceil(sampling.least / max(sum(len(cells) for _, cells in asked), 1))
    for volume, cells in asked:
        around, withheld = judge(volume), np.stack(list(withheld_by(volume, parts).values()), axis=1)
        config = _share_growths(sampling, volume, volumes, least=least)
        for cell in cells:
            # Of its own cell and cube alone, so that nothing hangs on which others are drawn.
            random = np.random.default_rng([seed, volume.id, cell % 2**32])
            found = _draw_candidates(volume, around, cell, parts=parts, withheld=withheld, config=config, random=random)
            drawn += [] if found is None else [found]
    if not drawn:
        return None
    names = ("rows", "truth", "weight", "part", "usable")
    return CandidateExamples(*[np.concatenate([getattr(examples, name) for examples in drawn]) for name in names])


def _draw_candidates(
    volume: LabelledVolume,
    around: Surroundings,
    cell: int,
    *,
    parts: Mapping[int, int],
    withheld: NDArray[np.bool_],
    config: SamplingConfig,
    random: np.random.Generator,
) -> CandidateExamples | None:
    states = sample_states(volume, around, cell, config=config, random=random)
    if states is None:
        return None
    # A large cell must not drown the small ones.
    of_size = (states.voxels / states.voxels.mean()) ** 0.35
    weight = volume.weight * of_size / np.sqrt(len(states.truth))
    place = sorted(set(parts.values())).index(parts[cell])
    usable = ~withheld[states.rows]
    usable[:, place] = False
    return CandidateExamples(states.numbers, states.truth, weight, np.full(len(weight), place), usable)


def _share_growths(
    sampling: SamplingConfig, volume: LabelledVolume, volumes: Sequence[LabelledVolume], *, least: int
) -> SamplingConfig:
    """Return the sampling of one cube: a data set of several cubes takes fewer growths from each."""
    cubes = sum(v.dataset == volume.dataset for v in volumes)
    return replace(sampling, growths=max(2, least, round(sampling.growths / cubes)))
