"""Forests for cubes of one look, learned from generated ones: they answer there, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from block_cube import block_volume
from ewval.core.errors import DamagedError
from ewval.core.forest.adapt import adapt_head
from ewval.core.forest.boosting import BoostingConfig, Forest
from ewval.core.forest.candidates import survey
from ewval.core.forest.fit import FittedHead, Start, count_forests, fit_head
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.labelled_folder import share_out
from ewval.core.forest.learn import LearnConfig
from ewval.core.forest.model import SegmentHead
from ewval.core.forest.states import SamplingConfig

TREES = BoostingConfig(trees=8, depth=3, rate=0.3, row_share=0.7, least_weight=1.0, ridge=1.0)
SMALL = LearnConfig(TREES, TREES, SamplingConfig(growths=2, least=0, states=3), rounds=1, draws=1, away=False)


def looking_otherwise(volume: LabelledVolume) -> LabelledVolume:
    """The same with all numbers of contacts elsewhere."""
    return replace(volume, stored=replace(volume.graph, evidence=volume.graph.evidence + np.float32(4)))


HOME = block_volume(3)
LOOK = replace(looking_otherwise(block_volume(4)), name="look/4", kind="apart")
PARTS = share_out([HOME, LOOK], parts=3)


@pytest.fixture(scope="module")
def fitted() -> FittedHead:
    return fit_head([HOME, LOOK], PARTS, config=SMALL)


@pytest.fixture(scope="module")
def head(fitted: FittedHead) -> SegmentHead:
    return fitted.head


def odds(head: SegmentHead, volume: LabelledVolume) -> list[float]:
    return head.surroundings(volume.graph).odds.tolist()


def odds_by(forest: Forest, volume: LabelledVolume) -> list[float]:
    return survey(volume.graph, forest.log_odds(volume.graph.evidence)).odds.tolist()


def share_in(head: SegmentHead, evidence: NDArray[np.float32]) -> float:
    return head._familiar(evidence)[1]


def test_the_other_forests_are_those_that_would_be_learned_without_it(head: SegmentHead) -> None:
    alone = fit_head([HOME], {cell: PARTS[cell] for cell in HOME.cells}, config=SMALL).head
    assert alone.specialist is None
    assert np.array_equal(head.pairs.leaf, alone.pairs.leaf)
    assert np.array_equal(head.candidates.leaf, alone.candidates.leaf)
    assert head.settings == alone.settings


def test_its_forests_are_counted(head: SegmentHead) -> None:
    names: set[str] = set()
    fit_head([HOME, LOOK], PARTS, config=SMALL, keep=lambda name, fit: names.add(name) or fit())
    assert len(names) == count_forests([HOME, LOOK], parts=3, config=SMALL)
    assert sum(name.startswith("specialist-") for name in names) == 3 + SMALL.rounds


def test_it_answers_for_cubes_of_its_look_and_for_no_other(head: SegmentHead) -> None:
    specialist = head.specialist
    assert specialist is not None
    assert share_in(head, LOOK.graph.evidence) > 0.999
    assert share_in(head, HOME.graph.evidence) == 0.0
    assert odds(head, LOOK) == pytest.approx(odds_by(specialist.pairs, LOOK), abs=0.01)
    assert odds(head, HOME) == odds_by(head.pairs, HOME)


def test_its_look_is_not_familiar(head: SegmentHead) -> None:
    assert head.familiarity is not None
    assert head.familiarity.of(LOOK.graph.evidence) < 1.0  # no settings were chosen on it


def test_in_a_cube_between_both_it_has_a_share(head: SegmentHead) -> None:
    between = replace(HOME.graph, evidence=HOME.graph.evidence + np.float32(1.5))
    known = head.familiarity
    assert known is not None
    look = replace(head.specialist, familiarity=known)  # as familiar with what is at home as the head
    share = share_in(replace(head, specialist=look), between.evidence)
    assert share == pytest.approx((1 - known.of(between.evidence)) * known.of(between.evidence))
    assert 0 < share < 0.5


def test_candidates_are_shared_like_contacts(head: SegmentHead) -> None:
    seed = LOOK.graph.ids[LOOK.seeds[min(LOOK.cells)][0]].tolist()
    specialist = head.specialist
    assert specialist is not None
    both, own = head.score(LOOK.graph, seed), replace(head, specialist=None).score(LOOK.graph, seed)
    mine = replace(head, pairs=specialist.pairs, candidates=specialist.candidates, specialist=None)
    assert both.ids.tolist() == mine.score(LOOK.graph, seed).ids.tolist()
    assert both.probability == pytest.approx(mine.score(LOOK.graph, seed).probability, abs=1e-3)
    assert not np.array_equal(both.probability, own.probability)


def test_for_one_tissue_its_share_can_be_settled(head: SegmentHead) -> None:
    settled = head.without_specialist([HOME.graph.evidence, LOOK.graph.evidence])
    share = share_in(head, LOOK.graph.evidence) / 2  # none at home
    assert settled.specialist is None
    rows = HOME.graph.evidence
    mixed = (1 - share) * head.pairs.log_odds(rows) + share * head.specialist.pairs.log_odds(rows)
    assert settled.pairs.log_odds(rows) == pytest.approx(mixed, abs=1e-5)
    assert head.without_specialist([]).pairs is head.pairs


def test_a_head_with_one_comes_back_from_its_tensors(head: SegmentHead) -> None:
    again = SegmentHead.from_arrays(head.arrays(), what="model x")
    assert odds(again, LOOK) == odds(head, LOOK)
    assert again.arrays().keys() == head.arrays().keys()


def test_half_a_specialist_is_damage(head: SegmentHead) -> None:
    tensors = {key: value for key, value in head.arrays().items() if key != "specialist.familiarity.sketches"}
    with pytest.raises(DamagedError, match="segment head is not whole"):
        SegmentHead.from_arrays(tensors, what="model x")


def test_cells_of_its_look_are_blended_with_it(fitted: FittedHead) -> None:
    cells = replace(LOOK, name="mine/4", kind="real")
    start = Start(fitted.head, fitted.tuned.thresholds)
    adapted = adapt_head([cells], share_out([cells], parts=3), config=SMALL, start=start).fitted.head
    assert adapted.specialist is None
    own = {tuple(tree) for tree in fitted.head.specialist.pairs.column.tolist()}
    assert own <= {tuple(tree) for tree in adapted.pairs.column.tolist()}
