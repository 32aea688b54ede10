"""Compiled growth and judging give the bits of their plain forms."""

import numpy as np
import pytest

from block_cube import block_cube
from ewval.core.forest.boosting import FEW_ROWS, Forest
from ewval.core.forest.candidates import Surroundings, survey
from ewval.core.forest.compiled import CompiledObject
from ewval.core.forest.growth import Growth, grow
from ewval.core.graph.graph import build_graph
from ewval.core.sim.sample import generate_cube
from kernels_at_hand import require_kernels


@pytest.fixture(scope="module", autouse=True)
def kernels() -> None:
    require_kernels()


def surroundings(name: str) -> Surroundings:
    """A graph whose contacts are judged at random, so that objects grow far and meet everything."""
    if name == "blocks":
        cube = block_cube(pieces=150)
        graph = build_graph(cube["image"], cube["labels"])
    else:
        made = generate_cube(4, edge=96)
        graph = build_graph(made.image, made.labels)
    return survey(graph, np.random.default_rng(0).normal(0.5, 2.0, len(graph.pairs)))


@pytest.fixture(scope="module", params=["blocks", "tissue"])
def around(request: pytest.FixtureRequest) -> Surroundings:
    return surroundings(request.param)


def met(around: Surroundings) -> np.ndarray:
    """Numbers of candidates of objects of every size."""
    random, found = np.random.default_rng(1), []
    for share in np.linspace(0.01, 0.6, 12):
        inside = random.random(len(around.voxels)) < share
        inside[0] = True
        found.append(around.candidates(inside, seed_voxels=float(around.voxels[inside].sum()))[1])
    return np.concatenate(found)


def random_forest(numbers: np.ndarray, *, trees: int = 120, depth: int = 4, lean: float = 0.004) -> Forest:
    """Trees that ask of values which occur, so that many decisions are met exactly; they lean towards joining."""
    random = np.random.default_rng(2)
    column = random.integers(numbers.shape[1], size=(trees, 2**depth - 1))
    bound = numbers[random.integers(len(numbers), size=column.shape), column]
    bound[random.random(bound.shape) < 0.05] = np.inf
    leaf = random.normal(lean, 0.1, (trees, 2**depth))
    return Forest(column.astype(np.int16), bound, leaf.astype(np.float32), 0.1)


def assert_same(one: Growth, other: Growth) -> None:
    for name in ("rows", "log_odds", "refused", "refused_log_odds"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_objects_grow_the_same(around: Surroundings) -> None:
    forest, lengths = random_forest(met(around)), []
    for seed in range(0, len(around.voxels), max(1, len(around.voxels) // 40)):
        compiled = grow(around, np.array([seed]), judge=forest)
        assert_same(compiled, grow(around, np.array([seed]), judge=forest.log_odds_plain))
        lengths.append(len(compiled.rows))
    assert max(lengths) > 30


def test_candidates_are_described_the_same_whatever_joined(around: Surroundings) -> None:
    forest, random = random_forest(met(around)), np.random.default_rng(3)
    seed = random.choice(len(around.voxels), 3, replace=False)
    growing = CompiledObject(around, seed, forest=forest)
    inside = np.zeros(len(around.voxels), dtype=bool)
    inside[seed] = True
    for _ in range(25):
        rows, numbers = around.candidates(inside, seed_voxels=float(around.voxels[seed].sum()))
        if not len(rows):
            break
        for same, wanted in zip(growing.described(), (rows, numbers), strict=True):
            np.testing.assert_array_equal(same, wanted)
        found, odds = growing.candidates()
        np.testing.assert_array_equal(found, rows)
        np.testing.assert_array_equal(odds, forest.log_odds_plain(numbers))
        joining = random.permutation(rows)[: random.integers(1, 4)]
        growing.join(joining)
        inside[joining] = True


def test_excluded_segments_never_join_and_are_not_refused(around: Surroundings) -> None:
    forest = random_forest(met(around))
    seed = np.array([int(np.argmax(around.voxels))])
    free = grow(around, seed, judge=forest)
    excluded = free.rows[:2]
    growth = grow(around, seed, judge=forest, excluded=excluded)
    assert not set(excluded.tolist()) & {*growth.rows.tolist(), *growth.refused.tolist()}
    assert len(growth.rows)
    assert_same(growth, grow(around, seed, judge=forest.log_odds_plain, excluded=excluded))


@pytest.mark.parametrize("count", [1, 31, 33, FEW_ROWS + 5, 5000])
@pytest.mark.parametrize("depth", [1, 4, 5])
def test_rows_are_judged_the_same(count: int, depth: int) -> None:
    rows = np.random.default_rng(5).normal(size=(count, 9)).astype(np.float32)
    forest = random_forest(rows, trees=60, depth=depth)
    np.testing.assert_array_equal(forest.log_odds(rows), forest.log_odds_plain(rows))


def test_a_forest_that_asks_for_more_than_there_is_is_refused(around: Surroundings) -> None:
    forest = random_forest(np.ones((4, 500), np.float32))
    with pytest.raises(IndexError, match=r"column \d+ of 9"):
        forest.log_odds(np.ones((3, 9), np.float32))
    with pytest.raises(IndexError, match="asks about number"):
        grow(around, np.array([0]), judge=forest)
