"""Boosted trees learn what they should, repeat themselves, and survive a file."""

import math

import numpy as np
import pytest

from ewval.core.forest.boosting import FEW_ROWS, BoostingConfig, Forest, fit_forest, merge_forests

CONFIG = BoostingConfig(trees=40, depth=3, rate=0.2, column_share=1.0, least_weight=1.0, ridge=1.0)


def problem(count: int = 800, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose truth is an exclusive or of two columns, among four that say nothing."""
    rows = np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)
    return rows, (rows[:, 1] > 0) ^ (rows[:, 4] > 0)


def fit(rows: np.ndarray, truth: np.ndarray, **options: object) -> Forest:
    return fit_forest(rows, truth, weight=np.ones(len(rows)), config=CONFIG, **options)


def test_trees_learn_what_no_single_column_tells() -> None:
    forest = fit(*problem())
    rows, truth = problem(seed=1)
    assert ((forest.log_odds(rows) > 0) == truth).mean() > 0.9


def test_probabilities_of_pure_chance_are_the_share_of_true_rows() -> None:
    random = np.random.default_rng(0)
    rows, truth = random.normal(size=(3000, 2)).astype(np.float32), random.random(3000) < 0.2
    config = BoostingConfig(trees=10, depth=2, least_weight=50, ridge=100)
    odds = fit_forest(rows, truth, weight=np.ones(3000), config=config).log_odds(rows)
    assert (1 / (1 + np.exp(-odds))).mean() == pytest.approx(0.2, abs=0.02)


def test_weights_count_as_so_many_rows() -> None:
    rows = np.array([[0.0], [1.0]] * 50, dtype=np.float32)
    truth = np.arange(100) < 50
    weight = np.where(truth == (rows[:, 0] > 0), 9.0, 1.0)
    config = BoostingConfig(trees=200, depth=1, rate=0.3, row_share=1.0, column_share=1.0, least_weight=1, ridge=0.1)
    odds = fit_forest(rows, truth, weight=weight, config=config).log_odds(rows[:2])
    np.testing.assert_allclose(odds, [-np.log(9), np.log(9)], atol=0.05)


def test_the_same_seed_gives_the_same_trees_and_another_others() -> None:
    rows, truth = problem()
    first, again, other = fit(rows, truth, seed=5), fit(rows, truth, seed=5), fit(rows, truth, seed=6)
    assert (first.leaf == again.leaf).all()
    assert not (first.leaf == other.leaf).all()


def test_rows_are_judged_one_by_one_as_in_bulk() -> None:
    rows, truth = problem()
    forest = fit(rows, truth)
    alone = np.concatenate([forest.log_odds(row[None]) for row in rows[:50]])
    np.testing.assert_array_equal(alone, forest.log_odds(rows[:50]))
    assert forest.log_odds(rows[:0]).shape == (0,)


def test_merged_forests_answer_with_the_mean() -> None:
    rows, truth = problem()
    forests = [fit(rows, truth, seed=s) for s in (1, 2)]
    mean = np.mean([f.log_odds(rows) for f in forests], axis=0)
    np.testing.assert_allclose(merge_forests(forests).log_odds(rows), mean, atol=1e-5)


def test_a_forest_comes_back_from_its_arrays() -> None:
    rows, truth = problem()
    forest = fit(rows, truth)
    again = Forest.from_arrays(forest.arrays())
    assert (again.log_odds(rows) == forest.log_odds(rows)).all()
    assert again.depth == CONFIG.depth


def test_constant_columns_are_never_asked_about() -> None:
    rows, truth = problem()
    rows[:, 0] = 3
    forest = fit(rows, truth)
    assert not ((forest.column == 0) & np.isfinite(forest.bound)).any()


def test_there_must_be_something_to_tell_apart() -> None:
    rows, truth = problem()
    with pytest.raises(ValueError, match="true and false rows"):
        fit(rows, np.ones_like(truth))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trees", 0),
        ("depth", 0),
        ("depth", 9),
        ("bins", 1),
        ("bins", 257),
        ("rate", 0.0),
        ("rate", -1.0),
        ("rate", math.nan),
        ("rate", 1.5),
        ("row_share", 0.0),
        ("row_share", 2.0),
        ("column_share", -0.1),
        ("least_weight", -1.0),
        ("least_weight", math.inf),
        ("ridge", -1.0),
        ("ridge", math.nan),
        ("most_rows", 0),
    ],
)
def test_impossible_trees_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be (at least|above|a finite number).*, not {value:g}$"):
        BoostingConfig(**{name: value})


def test_the_bounds_of_what_trees_may_be_are_allowed() -> None:
    BoostingConfig(
        trees=1, depth=8, rate=1.0, row_share=1.0, column_share=1.0, least_weight=0.0, ridge=0.0, bins=256, most_rows=1
    )


def test_many_rows_and_few_rows_take_different_ways_to_the_same_log_odds() -> None:
    rows, truth = problem(2 * FEW_ROWS)
    forest = fit(rows, truth)
    few = np.concatenate([forest.log_odds(rows[:FEW_ROWS]), forest.log_odds(rows[FEW_ROWS:])])
    np.testing.assert_array_equal(forest.log_odds(rows), few)
    assert few.std() > 0.1


@pytest.mark.parametrize(
    ("name", "cut"),
    [("column", np.s_[:-1]), ("bound", np.s_[:, :-1]), ("leaf", np.s_[:-1]), ("leaf", np.s_[:, :-1]), ("leaf", 0)],
)
def test_arrays_of_different_trees_are_no_forest(name: str, cut: object) -> None:
    arrays = fit(*problem(100)).arrays()
    with pytest.raises(ValueError, match="its trees have decisions"):
        Forest.from_arrays({**arrays, name: arrays[name][cut]})


def test_trees_that_lack_decisions_of_their_last_level_are_no_forest() -> None:
    arrays = fit(*problem(100)).arrays()
    short = {name: arrays[name][:, :-1] for name in ("column", "bound", "leaf")}
    with pytest.raises(ValueError, match="its trees have decisions"):
        Forest.from_arrays({**arrays, **short})
