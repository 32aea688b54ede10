"""What forests reach on cells, and on whole tissues, that they have not seen."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ewval.core.forest.boosting import Forest, merge_forests
from ewval.core.forest.candidates import Surroundings, survey
from ewval.core.forest.examples import draw_cells
from ewval.core.forest.growth import grow
from ewval.core.forest.labelled import LabelledVolume, validating
from ewval.core.forest.learn import Keep, LearnConfig, learn_candidates, learn_pairs, named
from ewval.core.forest.states import draw_seed
from ewval.core.forest.tune import Trial
from ewval.core.progress import SILENT, Progress

__all__ = [
    "Elsewhere",
    "common_of",
    "count_away",
    "courses_of",
    "learn_away",
    "learn_once",
    "tissues_of",
    "try_cells",
    "try_forests",
]

LEAST_TISSUES = 3
"""With fewer, what is left to learn from is one kind of tissue, and says little about a model of several."""
DRAWN_SEEDS, LEAST_DRAWN = 2, 200
"""Seeds drawn for each cell of a cube in validation, and in all: a few cells have too few tasks to choose by."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What was learned without one tissue, and what it reaches there.

    Args:
        tissue: Its name.
        others: The volumes that were learned from.
        pairs: Judges contacts.
        candidates: Judges candidates.
        trials: Tasks of the tissue, grown by both.
    """

    tissue: str
    others: tuple[LabelledVolume, ...]
    pairs: Forest
    candidates: Forest
    trials: tuple[Trial, ...]


def learn_away(
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    *,
    config: LearnConfig,
    keep: Keep,
    progress: Progress = SILENT,
) -> list[Elsewhere]:
    """Leave out each tissue in turn and learn from the others, in the courses that a head is the mean of.

    Args:
        volumes: With known cells; those that are apart are left aside.
        parts: From each of their cells to its part.
        config: How to learn.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced once for each forest.

    Returns:
        One for each tissue that settings may be chosen on; none where there are too few tissues to tell.
    """
    volumes, found = common_of(volumes), []
    for name, mine in sorted(tissues_of(volumes, config).items()):
        others = [volume for volume in volumes if volume not in mine]
        mean = learn_once(others, parts, config=config, keep=named(keep, f"without-{name}-"), progress=progress)
        found.append(Elsewhere(name, tuple(others), *mean, tuple(try_forests(mine, *mean, config=config))))
    return found


def learn_once(
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    *,
    config: LearnConfig,
    keep: Keep,
    progress: Progress = SILENT,
) -> tuple[Forest, Forest]:
    """Learn in the courses that a head is the mean of, each once.

    Args:
        volumes: With known cells.
        parts: From each of their cells to its part.
        config: How to learn.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced once for each forest.

    Returns:
        What judges contacts and what judges candidates.
    """
    once, pairs, candidates = replace(config, rounds=1), [], []
    for number, taught in enumerate(courses_of(volumes)):
        known = {cell: parts[cell] for volume in taught for cell in volume.cells}
        here = named(keep, f"{number}-")
        judgement = learn_pairs(taught, known, config=once, keep=here, progress=progress)
        learned = learn_candidates(taught, judgement, config=once, by_part=False, keep=here, progress=progress)
        pairs.append(judgement.forest)
        candidates.append(learned.forest)
    return merge_forests(pairs), merge_forests(candidates)


def count_away(volumes: Sequence[LabelledVolume], *, parts: int, config: LearnConfig) -> int:
    """Return how many forests `learn_away` fits."""
    tissues = tissues_of(volumes, config).values()
    courses = sum(len(courses_of([volume for volume in volumes if volume not in mine])) for mine in tissues)
    return courses * (parts + 1)


def common_of(volumes: Sequence[LabelledVolume]) -> list[LabelledVolume]:
    """Return what teaches the forests that are asked everywhere."""
    return [volume for volume in volumes if volume.kind != "apart"]


def courses_of(volumes: Sequence[LabelledVolume]) -> list[list[LabelledVolume]]:
    """Return the sets of volumes to learn from: those of tissue that is there, in whatever form, and all."""
    own = [volume for volume in volumes if volume.kind != "generated"]
    return [list(volumes)] if len(own) in (0, len(volumes)) else [own, list(volumes)]


def tissues_of(volumes: Sequence[LabelledVolume], config: LearnConfig) -> dict[str, list[LabelledVolume]]:
    """Return the tissues that are left out in turn; none if there are too few, and none that choose no settings.

    Generated cubes are one kind of tissue, whatever their looks.
    """
    tissue = {name: names[0] for names in config.alike for name in names}
    found: dict[str, list[LabelledVolume]] = {}
    for volume in volumes:
        if volume.cells:
            own = "generated" if volume.kind == "generated" else tissue.get(volume.dataset, volume.dataset)
            found.setdefault(own, []).append(volume)
    if not config.away or len(found) < LEAST_TISSUES:
        return {}
    return {name: mine for name, mine in found.items() if any(volume.validates for volume in mine)}


def try_forests(
    volumes: Sequence[LabelledVolume], pairs: Forest, candidates: Forest, *, config: LearnConfig
) -> list[Trial]:
    """Grow the tasks of volumes that two forests know nothing of."""
    return try_cells(
        volumes,
        lambda volume: survey(volume.graph, pairs.log_odds(volume.graph.evidence)),
        lambda _: candidates,
        config=config,
    )


def try_cells(
    volumes: Sequence[LabelledVolume],
    look: Callable[[LabelledVolume], Surroundings],
    judge_of: Callable[[int], Forest],
    *,
    config: LearnConfig,
) -> list[Trial]:
    """Grow the tasks of the cells that settings are chosen on, `config.bounds.trials` of them at most.

    Args:
        volumes: With known cells.
        look: From a volume to its surroundings.
        judge_of: From a cell to the forest that judges its candidates.
        config: For its bounds and its seed.
    """
    random = np.random.default_rng(config.seed)
    asked = list(draw_cells(validating(volumes), most=config.bounds.trials, random=random))
    drawn = max(DRAWN_SEEDS, math.ceil(LEAST_DRAWN / max(sum(len(cells) for _, cells in asked), 1)))
    trials: list[Trial] = []
    for volume, cells in asked:
        around = look(volume)
        for cell in cells:
            trials += _try_cell(volume, around, cell, forest=judge_of(cell), drawn=drawn, seed=config.seed)
    return trials


def _try_cell(
    volume: LabelledVolume, around: Surroundings, cell: int, *, forest: Forest, drawn: int, seed: int
) -> list[Trial]:
    """Grow the cell's tasks, and from further seeds drawn as in training."""
    random = np.random.default_rng([seed, volume.id, cell % 2**32])
    voxels = volume.graph.voxels.astype(np.float64)
    given, further = volume.seeds.get(cell, ()), [draw_seed(volume, around, cell, random) for _ in range(drawn)]
    trials = []
    for number, rows in enumerate([*given, *further]):
        to_add = volume.to_add(cell, rows)
        if number >= len(given) and not len(to_add):
            continue
        target = np.zeros(len(voxels), dtype=bool)
        target[to_add] = True
        trials.append(Trial(volume.dataset, grow(around, rows, judge=forest), voxels, target))
    return trials
