"""A blend keeps to the model that was there while little is known, and to what is right once much is."""

import numpy as np
import pytest

from ewval.core.forest.blend import Blend
from ewval.core.forest.boosting import BoostingConfig, Forest, deepen, fit_forest


def drawn(count: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True log-odds and what came true."""
    random = np.random.default_rng(seed)
    odds = random.normal(0, 2, count)
    return odds, random.random(count) < 1 / (1 + np.exp(-odds))


def test_whoever_is_right_gets_the_weight() -> None:
    odds, truth = drawn(4000)
    noise = np.random.default_rng(1).normal(0, 2, len(odds))
    weight = np.ones(len(odds))
    own = Blend.fit(noise, odds, truth, weight=weight, cells=1000)
    start = Blend.fit(odds, noise, truth, weight=weight, cells=1000)
    assert (own.own, own.start) == pytest.approx((1, 0), abs=0.15)
    assert (start.start, start.own) == pytest.approx((1, 0), abs=0.15)


def test_no_weight_is_negative() -> None:
    odds, truth = drawn(4000)
    blend = Blend.fit(-odds, odds, truth, weight=np.ones(len(odds)), cells=1000)
    assert min(blend.start, blend.own) >= 0
    assert Blend.fit(odds, -odds, truth, weight=np.ones(len(odds)), cells=1000).own >= 0


def test_few_cells_move_it_little() -> None:
    odds, truth = drawn(400)
    noise = np.random.default_rng(1).normal(0, 2, len(odds))
    few, many = (Blend.fit(noise, odds, truth, weight=np.ones(len(odds)), cells=cells) for cells in (1, 1000))
    assert many.start < few.start < 1


def test_the_forest_of_a_blend_answers_with_it() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(600, 5)).astype(np.float32)
    forests = [_forest(rows, rows[:, i] > 0, depth=depth) for i, depth in enumerate((2, 4))]
    blend = Blend(0.3, 1.2, -0.5)
    said = [forest.log_odds(rows) for forest in forests]
    assert np.allclose(blend.forest(*forests).log_odds(rows), blend.log_odds(*said), atol=1e-5)
    assert np.array_equal(deepen(forests[0], 5).log_odds(rows), said[0])


def _forest(rows: np.ndarray, truth: np.ndarray, *, depth: int) -> Forest:
    config = BoostingConfig(trees=6, depth=depth, rate=0.3, least_weight=0.5)
    return fit_forest(rows, truth, weight=np.ones(len(rows)), config=config)
