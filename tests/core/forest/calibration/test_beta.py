"""Beta calibration finds the map it came from, always rises, and says nothing where there is nothing to learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ewval.core.forest.calibration.beta import BetaCalibration

ODDS = np.linspace(-6, 6, 50)


def test_a_fresh_one_changes_nothing() -> None:
    np.testing.assert_allclose(BetaCalibration().probability(ODDS), 1 / (1 + np.exp(-ODDS)), rtol=1e-12)


@pytest.mark.parametrize(
    "true", [BetaCalibration(0.5, 0.5), BetaCalibration(0.33, 0.33), BetaCalibration(2.0, 0.5, -1.0)]
)
@pytest.mark.parametrize("spread", [2.0, 4.0])
def test_it_finds_the_map_that_outcomes_came_from(true: BetaCalibration, spread: float) -> None:
    random = np.random.default_rng(0)
    odds = random.normal(-2, spread, 40_000)
    truth = random.random(len(odds)) < true.probability(odds)
    found = BetaCalibration.fit(odds, truth, weight=np.full(len(odds), 1 / len(odds)))
    np.testing.assert_allclose(found.probability(ODDS), true.probability(ODDS), atol=0.05)
    assert found.probability(odds).mean() == pytest.approx(truth.mean(), abs=0.002)


def test_scores_that_point_the_wrong_way_say_how_often_it_comes_true() -> None:
    odds = np.array([-4.0, -3.0, -2.0, 2.0, 3.0, 4.0, 4.0, 4.0])
    found = BetaCalibration.fit(odds, odds < 0, weight=np.full(len(odds), 1 / len(odds)))
    np.testing.assert_allclose(found.probability(ODDS), 3 / 8, atol=0.01)


def test_without_outcomes_it_stays_as_it_was() -> None:
    none = np.zeros(0)
    assert BetaCalibration.fit(none, none.astype(bool), weight=none) == BetaCalibration()


@given(st.lists(st.tuples(st.floats(-40, 40), st.booleans()), min_size=1, max_size=30))
def test_whatever_came_true_it_rises_and_gives_probabilities(outcomes: list[tuple[float, bool]]) -> None:
    odds, truth = np.array([o for o, _ in outcomes]), np.array([t for _, t in outcomes])
    said = BetaCalibration.fit(odds, truth, weight=np.full(len(odds), 1 / len(odds))).probability(ODDS)
    assert (np.diff(said) >= -1e-12).all()
    assert ((said >= 0) & (said <= 1)).all()


@pytest.mark.parametrize("numbers", [(-1.0, 1.0, 0.0), (1.0, -0.1, 0.0), (1.0, 1.0, np.nan)])
def test_one_that_falls_is_refused(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="must rise"):
        BetaCalibration(*numbers)
