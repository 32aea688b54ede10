"""Agglomeration, candidates, growth and where it stops."""

import itertools
import math

import numpy as np
import pytest

from block_cube import block_cube
from ewval.core.forest.agglomeration import agglomerate
from ewval.core.forest.candidates import POOLED_EVIDENCE, Surroundings, survey
from ewval.core.forest.growth import NEXT_TO_NOTHING, best_cut, grow
from ewval.core.graph.graph import SegmentGraph, build_graph

MEAN_ODDS = 1


def clusters(pairs: list[tuple[int, int, float, float]], *, count: int, bounds: list[float]) -> list[list[set[int]]]:
    """Clusters by bound, from (one, other, area, log-odds)."""
    table = np.array(pairs, dtype=float)
    found = agglomerate(table[:, :2].astype(int), count=count, area=table[:, 2], log_odds=table[:, 3], bounds=bounds)
    return [sorted((set(np.flatnonzero(of == c).tolist()) for c in np.unique(of)), key=min) for of in found]


def test_clusters_join_by_the_mean_over_their_whole_contact() -> None:
    # 0 and 1 are surely one; 2 likes 0 but is denied by its larger contact with 1.
    pairs = [(0, 1, 10, 5.0), (0, 2, 10, 2.0), (1, 2, 30, -2.0)]
    assert clusters(pairs, count=3, bounds=[1.0]) == [[{0, 1}, {2}]]
    assert clusters(pairs, count=3, bounds=[-1.5]) == [[{0, 1, 2}]]


def test_lower_bounds_only_join_further() -> None:
    pairs = [(0, 1, 1, 4.0), (1, 2, 1, 2.0), (2, 3, 1, 0.5), (3, 4, 1, -3.0)]
    found = clusters(pairs, count=6, bounds=[3.0, 1.5, 0.0])
    assert found[0] == [{0, 1}, {2}, {3}, {4}, {5}]
    assert found[1] == [{0, 1, 2}, {3}, {4}, {5}]
    assert found[2] == [{0, 1, 2, 3}, {4}, {5}]


@pytest.fixture(scope="module")
def cube() -> dict[str, np.ndarray]:
    """Image, labels and truth of a small cube."""
    return block_cube()


@pytest.fixture(scope="module")
def graph(cube: dict[str, np.ndarray]) -> SegmentGraph:
    """Its graph."""
    return build_graph(cube["image"], cube["labels"])


@pytest.fixture(scope="module")
def cells(cube: dict[str, np.ndarray], graph: SegmentGraph) -> np.ndarray:
    """The cell of each row of the graph."""
    return np.array([cube["truth"][cube["labels"] == i][0] for i in graph.ids])


@pytest.fixture(scope="module")
def around(graph: SegmentGraph, cells: np.ndarray) -> Surroundings:
    """Surroundings in which every pair is judged rightly."""
    one, other = cells[graph.pairs].T
    return survey(graph, np.where(one == other, 4.0, -4.0))


def test_candidates_are_what_touches_the_object(around: Surroundings, graph: SegmentGraph) -> None:
    inside = np.zeros(len(graph.ids), dtype=bool)
    inside[[3, 5]] = True
    rows, numbers = around.candidates(inside, seed_voxels=100.0)
    touching = {b for a, b in [*graph.pairs.tolist(), *graph.pairs[:, ::-1].tolist()] if a in (3, 5)} - {3, 5}
    assert rows.tolist() == sorted(touching)
    assert np.isfinite(numbers).all()


def test_contact_adds_up_over_the_object(around: Surroundings, graph: SegmentGraph) -> None:
    inside = np.zeros(len(graph.ids), dtype=bool)
    inside[[3, 5]] = True
    rows, numbers = around.candidates(inside, seed_voxels=100.0)
    for row, (log_area, mean) in zip(rows.tolist(), numbers[:, :2].tolist(), strict=True):
        mine = np.flatnonzero([{a, b} in ({row, 3}, {row, 5}) for a, b in graph.pairs.tolist()])
        odds = np.array([around.odds[i] for i in mine])
        assert np.exp(log_area) == pytest.approx(graph.area[mine].sum(), rel=1e-5)
        assert mean == pytest.approx((graph.area[mine] * odds).sum() / graph.area[mine].sum(), abs=1e-4)


def test_pooled_evidence_has_a_column_in_the_graph(graph: SegmentGraph) -> None:
    assert set(POOLED_EVIDENCE) <= set(graph.evidence_names)


def test_growth_by_the_truth_finds_the_connected_cell(
    around: Surroundings, graph: SegmentGraph, cells: np.ndarray
) -> None:
    seed = int(np.argmax(graph.voxels))
    growth = grow(around, np.array([seed]), judge=lambda numbers: numbers[:, MEAN_ODDS].astype(float))
    joined = growth.rows[growth.log_odds > 0]
    assert set(cells[joined]) == {cells[seed]}
    assert len(joined) == (cells == cells[seed]).sum() - 1
    assert seed not in growth.rows


def test_certainty_never_rises_along_a_growth(around: Surroundings) -> None:
    random = np.random.default_rng(0)
    growth = grow(around, np.array([0]), judge=lambda numbers: random.normal(0, 3, len(numbers)))
    everything = np.concatenate([growth.log_odds, [growth.refused_log_odds.max(initial=-np.inf)]])
    assert (np.diff(everything) <= 0).all()
    assert len(set(growth.rows.tolist()) | set(growth.refused.tolist())) == len(growth.rows) + len(growth.refused)


def test_a_cube_of_one_segment_has_nothing_to_grow() -> None:
    graph = build_graph(np.zeros((16,) * 3, np.uint8), np.full((16,) * 3, 7, np.uint16))
    growth = grow(survey(graph, np.zeros(0)), np.array([0]), judge=lambda numbers: np.zeros(len(numbers)))
    assert len(growth.rows) == len(growth.refused) == 0


def expected_f1(voxels: list[float], probability: list[float], count: int, *, nothing: float) -> float:
    """The expectation spelled out: the truth ends after segment k with p[k] - p[k + 1], early ends weighed down."""
    chances = [1.0, *probability, 0.0]
    weights = [a - b for a, b in itertools.pairwise(chances)]
    weights = [w * nothing ** math.exp(-sum(voxels[:k]) / NEXT_TO_NOTHING) for k, w in enumerate(weights)]
    total = 0.0
    for end, weight in enumerate(weights):
        size = sum(voxels[:count]) + sum(voxels[:end])
        total += weight * (2 * sum(voxels[: min(count, end)]) / size if size else 1.0)
    return total / sum(weights)


@pytest.mark.parametrize("nothing", [1.0, 0.3, 0.05])
def test_the_cut_is_the_prefix_with_the_greatest_expected_f1(nothing: float) -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        voxels = random.lognormal(5, 2, 6)
        probability = np.sort(random.random(6))[::-1]
        count = best_cut(voxels, probability, nothing=nothing)
        every = [expected_f1(voxels.tolist(), probability.tolist(), k, nothing=nothing) for k in range(7)]
        assert every[count] == pytest.approx(max(every))


def test_a_large_unsure_segment_is_worth_a_try_only_beside_a_small_sure_one() -> None:
    chances = np.array([0.9, 0.4])
    assert best_cut(np.array([10.0, 10_000.0]), chances, nothing=1.0) == 1
    assert best_cut(np.array([10.0, 10_000.0]), np.array([0.9, 0.6]), nothing=1.0) == 2
    assert best_cut(np.array([10_000.0, 10.0]), chances, nothing=1.0) >= 1


def test_that_little_is_to_be_added_is_as_seldom_as_that_nothing_is() -> None:
    chances = np.array([0.9, 0.4])
    assert best_cut(np.array([100.0, 10_000.0]), chances, nothing=1.0) == 1
    assert best_cut(np.array([100.0, 10_000.0]), chances, nothing=0.1) == 2
    assert best_cut(np.array([10_000.0, 1_000_000.0]), chances, nothing=0.1) == 1


def test_a_weight_of_zero_is_taken_as_next_to_none() -> None:
    assert best_cut(np.array([5_000.0, 5_000.0]), np.array([0.2, 0.1]), nothing=0.0) >= 1


def test_where_nothing_could_join_the_answer_is_empty() -> None:
    assert best_cut(np.zeros(0), np.zeros(0), nothing=0.3) == 0
