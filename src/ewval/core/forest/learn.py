"""Training of the forests, each step on judgements of cells that the step before had not seen."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, partial
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.blend import Blend
from ewval.core.forest.boosting import Binned, BoostingConfig, Forest, fit_forest, merge_forests
from ewval.core.forest.candidates import CANDIDATE_NAMES, Surroundings, survey
from ewval.core.forest.examples import (
    Bounds,
    CandidateExamples,
    PairExamples,
    draw_candidates,
    draw_pairs,
    parts_of,
    withheld_by,
)
from ewval.core.forest.labelled import UNKNOWN, LabelledVolume, cells_of
from ewval.core.forest.states import SamplingConfig
from ewval.core.graph.names import CONTACT_NAMES
from ewval.core.progress import SILENT, Progress

__all__ = [
    "Keep",
    "LearnConfig",
    "LearnedCandidates",
    "PairJudgement",
    "fit_anew",
    "learn_candidates",
    "learn_pairs",
    "named",
]


Examples = TypeVar("Examples", PairExamples, CandidateExamples)

Keep = Callable[[str, Callable[[], Forest]], Forest]
"""From a name and how to fit it to a forest: fitted now, or kept from before."""


def fit_anew(name: str, fit: Callable[[], Forest]) -> Forest:  # noqa: ARG001 - a Keep that keeps nothing
    """Return what `fit` returns."""
    return fit()


def named(keep: Keep, prefix: str) -> Keep:
    """Return the same keep with a prefix to all names."""

    def kept(name: str, fit: Callable[[], Forest]) -> Forest:
        return keep(prefix + name, fit)

    return kept


PAIR_TREES = BoostingConfig(trees=100, depth=5, rate=0.15, row_share=0.7, column_share=0.3)
CANDIDATE_TREES = BoostingConfig(
    trees=100, depth=4, rate=0.15, row_share=0.5, column_share=0.25, least_weight=8.0, ridge=10.0
)
SAMPLING = SamplingConfig()
JUDGEMENTS_KEPT = 400
"""Cubes whose judgements stay in memory, 0.1 MB each."""


@dataclass(frozen=True, slots=True)
class LearnConfig:
    """How the forests learn.

    Args:
        pairs: Trees that judge contacts; one forest for each part of the cells that is left out.
        candidates: Trees that judge candidates.
        sampling: Of half-grown objects.
        bounds: How much is learned from at most.
        rounds: Forests of candidates, each from other objects; they are averaged.
        draws: How often all is learned, each time with other parts of the cells; the forests are averaged, since
            another deal alone changes what a few hard tasks come to.
        away: Whether each tissue is left out once, to learn what holds away from home.
        left_out: Names of numbers, of contacts or candidates, that nothing is learned from; a name may end in `*`.
        alike: Names of data sets of one tissue, where there are several; otherwise each is one of its own.
        seed: Of every random choice.
    """

    pairs: BoostingConfig = PAIR_TREES
    candidates: BoostingConfig = CANDIDATE_TREES
    sampling: SamplingConfig = SAMPLING
    bounds: Bounds = field(default_factory=Bounds)
    rounds: int = 2
    draws: int = 2
    away: bool = True
    left_out: tuple[str, ...] = ()
    alike: tuple[tuple[str, ...], ...] = ()
    seed: int = 0

    def ignored(self, names: Sequence[str]) -> frozenset[int]:
        """Return the places of those `names` that nothing is learned from."""
        return frozenset(i for i, name in enumerate(names) if any(fnmatchcase(name, left) for left in self.left_out))


@dataclass(frozen=True, slots=True)
class PairJudgement:
    """Forests that judge contacts, and what they say of the cubes they were learned from.

    Args:
        forest: The mean of all, blended with the start where there was one.
        parts: From each cell to its part.
        without: By part, the forest that was learned without it.
        start: What was there before, or None.
        blend: Of both.
    """

    forest: Forest
    parts: Mapping[int, int]
    without: Mapping[int, Forest]
    start: Forest | None = None
    blend: Blend | None = None
    _kept: "OrderedDict[str, NDArray[np.float64]]" = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )

    def log_odds(self, volume: LabelledVolume) -> NDArray[np.float64]:
        """Return the log-odds of every pair of a volume, by forests that have not learned from it.

        Between two cells, each of two forests may know the one that was not withheld from it.
        """
        if volume.name not in self._kept:
            self._kept[volume.name] = self._blended(volume, _unseen_log_odds(volume, self.parts, self.without))
            while len(self._kept) > JUDGEMENTS_KEPT:
                self._kept.popitem(last=False)
        return self._kept[volume.name]

    def around(self, volume: LabelledVolume) -> Surroundings:
        """Return the surroundings in which the volume's objects grow."""
        return survey(volume.graph, self.log_odds(volume))

    def _blended(self, volume: LabelledVolume, own: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.start is None or self.blend is None:
            return own
        return self.blend.log_odds(self.start.log_odds(volume.graph.evidence), own)


@dataclass(frozen=True, slots=True)
class LearnedCandidates:
    """Forests that judge candidates: learned from all cells, and by part, from the cells of the others."""

    forest: Forest
    without: Mapping[int, Forest]


def learn_pairs(
    volumes: Sequence[LabelledVolume],
    parts: Mapping[int, int],
    *,
    config: LearnConfig,
    start: Forest | None = None,
    keep: Keep = fit_anew,
    progress: Progress = SILENT,
) -> PairJudgement:
    """Learn which touching segments are one cell.

    Args:
        volumes: With known cells.
        parts: From each of their cells to its part, at least two in all.
        config: How.
        start: Judges contacts already; what is learned is blended with it.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced once for each part.

    Raises:
        ValueError: Without some part nothing is known, or only one kind of contact.
    """
    random = np.random.default_rng(config.seed)
    draw = partial(draw_pairs, volumes, parts, most=config.bounds.pairs, expected=start, random=random)
    drawn = _Drawn(draw, bins=config.pairs.bins, ignored=config.ignored(CONTACT_NAMES))
    without: dict[int, Forest] = {}
    for place, part in enumerate(sorted(set(parts.values()))):
        fit = partial(_fit, drawn, place, config=config.pairs, seed=config.seed * 1000 + part)
        without[part] = keep(f"pairs-{part}", fit)
        progress.advance(1)
    own = merge_forests(list(without.values()))
    if start is None:
        return PairJudgement(own, parts, without)
    blend = _blend_pairs(drawn.examples, start, list(without.values()), cells=len(cells_of(volumes)))
    return PairJudgement(blend.forest(start, own), parts, without, start, blend)


def learn_candidates(
    volumes: Sequence[LabelledVolume],
    judgement: PairJudgement,
    *,
    config: LearnConfig,
    start: Forest | None = None,
    by_part: bool = True,
    keep: Keep = fit_anew,
    progress: Progress = SILENT,
) -> LearnedCandidates:
    """Learn which candidates belong to a half-grown object.

    Args:
        volumes: With known cells.
        judgement: Of their contacts.
        config: How.
        start: Judges candidates already; what is learned is blended with it.
        by_part: Whether forests without each part are wanted; a blend with the start needs them.
        keep: Where forests are kept, so that an interrupted training goes on.
        progress: Advanced once for each forest.

    Raises:
        ValueError: Nothing is left to decide, or only one kind of candidate was met.
    """
    first: _Drawn[CandidateExamples] | None = None
    forests: list[Forest] = []
    for index in range(config.rounds):
        seed = config.seed * 1000 + index
        draw = partial(_candidates, volumes, judgement, config=config, seed=seed)
        drawn = _Drawn(draw, bins=config.candidates.bins, ignored=config.ignored(CANDIDATE_NAMES))
        forests.append(keep(f"candidates-{index}", partial(_fit, drawn, None, config=config.candidates, seed=seed)))
        progress.advance(1)
        first = first or drawn
    assert first is not None
    without: dict[int, Forest] = {}
    for place, part in enumerate(sorted(set(judgement.parts.values())) if by_part else ()):
        fit = partial(_fit, first, place, config=config.candidates, seed=config.seed * 1000)
        without[part] = keep(f"candidates-without-{part}", fit)
        progress.advance(1)
    own = merge_forests(forests)
    if start is None:
        return LearnedCandidates(own, without)
    blend = _blend_candidates(first.examples, start, list(without.values()), cells=len(cells_of(volumes)))
    return LearnedCandidates(
        blend.forest(start, own), {part: blend.forest(start, forest) for part, forest in without.items()}
    )


class _Drawn(Generic[Examples]):
    """What forests learn from, drawn once and only when one of them is not kept yet: drawing takes the most time."""

    def __init__(self, draw: Callable[[], Examples], *, bins: int, ignored: Collection[int]) -> None:
        self._draw: Callable[[], Examples] = draw
        self._bins, self._ignored = bins, ignored

    @cached_property
    def examples(self) -> Examples:
        """The examples."""
        return self._draw()

    @cached_property
    def binned(self) -> Binned:
        """Their rows, for the trees."""
        return Binned.of(self.examples.rows, bins=self._bins, ignored=self._ignored)


def _fit(
    drawn: "_Drawn[PairExamples] | _Drawn[CandidateExamples]", place: int | None, *, config: BoostingConfig, seed: int
) -> Forest:
    """Fit the forest without the part at `place`, or with all."""
    examples, binned = drawn.examples, drawn.binned
    used = np.ones(len(binned), dtype=bool) if place is None else examples.usable[:, place]
    rows = binned if used.all() else binned.take(used)
    return fit_forest(rows, examples.truth[used], weight=examples.weight[used], config=config, seed=seed)


def _candidates(
    volumes: Sequence[LabelledVolume], judgement: PairJudgement, *, config: LearnConfig, seed: int
) -> CandidateExamples:
    examples = draw_candidates(
        volumes, judgement.parts, judgement.around, sampling=config.sampling, most=config.bounds.cells, seed=seed
    )
    if examples is None:
        raise ValueError("no cell left anything to decide")
    return examples


def _blend_pairs(examples: PairExamples, start: Forest, without: Sequence[Forest], *, cells: int) -> Blend:
    own, count = np.zeros(len(examples.truth)), examples.unseen.sum(axis=1)
    for place, forest in enumerate(without):
        unseen = examples.unseen[:, place]
        own[unseen] += forest.log_odds(examples.rows[unseen])
    asked = count > 0
    return Blend.fit(
        start.log_odds(examples.rows[asked]),
        own[asked] / count[asked],
        examples.truth[asked],
        weight=examples.weight[asked],
        cells=cells,
    )


def _blend_candidates(examples: CandidateExamples, start: Forest, without: Sequence[Forest], *, cells: int) -> Blend:
    own = np.zeros(len(examples.truth))
    for place, forest in enumerate(without):
        unseen = examples.part == place
        own[unseen] = forest.log_odds(examples.rows[unseen])
    return Blend.fit(start.log_odds(examples.rows), own, examples.truth, weight=examples.weight, cells=cells)


def _unseen_log_odds(
    volume: LabelledVolume, parts: Mapping[int, int], without: Mapping[int, Forest]
) -> NDArray[np.float64]:
    """Return each pair's mean log-odds by the forests that one of its cells was withheld from.

    Of pairs without a cell: by those that one of its segments was withheld from, if any; by all of them else.
    """
    graph = volume.graph
    part_of, withheld = parts_of(volume, parts)[graph.pairs], withheld_by(volume, parts)
    is_nobodys = (part_of == UNKNOWN).all(axis=1)
    unseen, count, everyone = (np.zeros(len(graph.pairs)) for _ in range(3))
    for part, forest in without.items():
        said = forest.log_odds(graph.evidence)
        is_unseen = withheld[part][graph.pairs].any(axis=1) & (is_nobodys | (part_of == part).any(axis=1))
        unseen += np.where(is_unseen, said, 0.0)
        count += is_unseen
        everyone += said / len(without)
    return np.where(count > 0, unseen / np.maximum(count, 1), everyone)
