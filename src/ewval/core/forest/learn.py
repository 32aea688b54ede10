"""Training of the segment head, each step on judgements of cells that the step before had not seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.boosting import BoostingConfig, Forest, fit_forest, merge_forests
from ewval.core.forest.candidates import Surroundings
from ewval.core.forest.labelled import LabelledVolume, known_pairs
from ewval.core.forest.states import SamplingConfig, States, sample_states
from ewval.core.progress import SILENT, Progress

__all__ = ["Keep", "LearnConfig", "PairJudgement", "fit_anew", "learn_candidates", "learn_pairs", "leave_out"]


Keep = Callable[[str, Callable[[], Forest]], Forest]
"""From a name and how to fit it to a forest: fitted now, or kept from before."""


def fit_anew(name: str, fit: Callable[[], Forest]) -> Forest:  # noqa: ARG001 - a Keep that keeps nothing
    """Return what `fit` returns."""
    return fit()


PAIR_TREES = BoostingConfig(trees=100, depth=5, rate=0.15, row_share=0.7, column_share=0.3)
CANDIDATE_TREES = BoostingConfig(
    trees=100, depth=4, rate=0.15, row_share=0.5, column_share=0.25, least_weight=8.0, ridge=10.0
)
SAMPLING = SamplingConfig()


@dataclass(frozen=True, slots=True)
class LearnConfig:
    """How the head learns.

    Args:
        pairs: Trees that judge contacts; one forest for each part of the cells that is left out.
        candidates: Trees that judge candidates.
        sampling: Of half-grown objects.
        rounds: Forests of candidates, each from other objects; they are averaged.
        draws: How often all is learned, each time with other parts of the cells; the forests are averaged, since
            another deal alone changes what a few hard tasks come to.
        seed: Of every random choice.
    """

    pairs: BoostingConfig = PAIR_TREES
    candidates: BoostingConfig = CANDIDATE_TREES
    sampling: SamplingConfig = SAMPLING
    rounds: int = 2
    draws: int = 2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class PairJudgement:
    """Forests that judge contacts, and what they say of the cubes they were learned from.

    Args:
        forest: The mean of all.
        log_odds: By volume name, for every pair: from forests that have not learned from it. Between two cells, each of
            two forests may know the one that was not withheld from it.
    """

    forest: Forest
    log_odds: Mapping[str, NDArray[np.float64]]


def leave_out(volumes: Sequence[LabelledVolume], parts: Mapping[int, int], part: int) -> list[LabelledVolume]:
    """Return the volumes without one part of their cells, the surroundings of these withheld."""
    cells = {cell for cell, of in parts.items() if of == part}
    return [volume.without(cells) for volume in volumes]


def learn_pairs(
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    *,
    config: LearnConfig,
    keep: Keep = fit_anew,
    progress: Progress = SILENT,
) -> PairJudgement:
    """Learn which touching segments are one cell.

    Args:
        volumes: With known cells.
        parts: From each of their cells to its part, at least two in all.
        config: How.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced once for each part.
    """
    unseen = {part: leave_out(volumes, parts, part) for part in sorted(set(parts.values()))}
    forests: dict[int, Forest] = {}
    for part, others in unseen.items():
        seed = config.seed * 1000 + part
        forests[part] = keep(f"pairs-{part}", partial(_fit_pairs, others, config=config, seed=seed))
        progress.advance(1)
    withheld = {v.name: {part: unseen[part][i].is_withheld for part in forests} for i, v in enumerate(volumes)}
    judged = {v.name: _unseen_log_odds(v, parts, forests, withheld=withheld[v.name]) for v in volumes}
    return PairJudgement(merge_forests(list(forests.values())), judged)


def learn_candidates(
    volumes: Sequence[LabelledVolume],
    around: Mapping[str, Surroundings],
    *,
    config: LearnConfig,
    name: str = "candidates",
    keep: Keep = fit_anew,
    progress: Progress = SILENT,
) -> Forest:
    """Learn which candidates belong to a half-grown object.

    Args:
        volumes: With known cells.
        around: By volume name, its surroundings, with judgements of its pairs by forests that have not seen them.
        config: How.
        name: What the forests are kept under.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced once for each round.
    """
    forests = []
    for index in range(config.rounds):
        seed = config.seed * 1000 + index
        forests.append(keep(f"{name}-{index}", partial(_fit_candidates, volumes, around, config, seed)))
        progress.advance(1)
    return merge_forests(forests)


def _fit_candidates(
    volumes: Sequence[LabelledVolume], around: Mapping[str, Surroundings], config: LearnConfig, seed: int
) -> Forest:
    states, weight = _draw(volumes, around, config=config, random=np.random.default_rng(seed))
    return fit_forest(states.numbers, states.truth, weight=weight, config=config.candidates, seed=seed)


def _fit_pairs(volumes: Sequence[LabelledVolume], *, config: LearnConfig, seed: int) -> Forest:
    known = [(v, *known_pairs(v)) for v in volumes]
    return fit_forest(
        np.concatenate([v.graph.evidence[chosen] for v, chosen, _ in known]),
        np.concatenate([truth for _, _, truth in known]),
        weight=np.concatenate([v.weight * np.sqrt(v.graph.area[chosen]) for v, chosen, _ in known]),
        config=config.pairs,
        seed=seed,
    )


def _unseen_log_odds(
    volume: LabelledVolume,
    parts: Mapping[int, int],
    forests: Mapping[int, Forest],
    *,
    withheld: Mapping[int, NDArray[np.bool_]],
) -> NDArray[np.float64]:
    """Return each pair's mean log-odds by the forests that one of its cells was withheld from.

    Of pairs without a cell: by those that one of its segments was withheld from, if any; by all of them else.

    Args:
        volume: Whose pairs are judged.
        parts: From each cell to its part.
        forests: By the part that each was learned without.
        withheld: By part, the segments that its forest has not seen.
    """
    pairs = volume.graph.pairs
    part_of = np.array([parts.get(int(cell), -1) for cell in volume.owner], dtype=np.int64)[pairs]
    is_nobodys = (part_of == -1).all(axis=1)
    said = {part: forest.log_odds(volume.graph.evidence) for part, forest in forests.items()}
    is_unseen = {
        part: withheld[part][pairs].any(axis=1) & (is_nobodys | (part_of == part).any(axis=1)) for part in forests
    }
    unseen = sum(np.where(is_unseen[part], said[part], 0.0) for part in forests)
    count = sum(is_unseen[part].astype(np.float64) for part in forests)
    everyone = np.mean(list(said.values()), axis=0)
    return np.asarray(np.where(count > 0, unseen / np.maximum(count, 1), everyone))


def _draw(
    volumes: Sequence[LabelledVolume],
    around: Mapping[str, Surroundings],
    *,
    config: LearnConfig,
    random: np.random.Generator,
) -> tuple[States, NDArray[np.float64]]:
    """Return half-grown objects of all cells, and weights: a large cell must not drown the small ones."""
    found, weights = [], []
    for volume in volumes:
        sampling = _share_growths(config.sampling, volume, volumes)
        for cell in sorted(volume.cells):
            states = sample_states(volume, around[volume.name], cell, config=sampling, random=random)
            if states is not None:
                found.append(states)
                of_size = (states.voxels / states.voxels.mean()) ** 0.35
                weights.append(volume.weight * of_size / np.sqrt(len(states.truth)))
    numbers, truth, voxels = (np.concatenate([getattr(s, n) for s in found]) for n in ("numbers", "truth", "voxels"))
    return States(numbers, truth, voxels), np.concatenate(weights)


def _share_growths(
    sampling: SamplingConfig, volume: LabelledVolume, volumes: Sequence[LabelledVolume]
) -> SamplingConfig:
    """Return the sampling of one cube: a data set of several cubes takes fewer growths from each."""
    cubes = sum(v.dataset == volume.dataset for v in volumes)
    return replace(sampling, growths=max(2, round(sampling.growths / cubes)))
