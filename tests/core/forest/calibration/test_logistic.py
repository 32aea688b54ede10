"""Logistic regression finds what made the data, and stays where it starts without any."""

import numpy as np
import pytest

from ewval.core.forest.calibration.logistic import chance_of, fit_logistic


def test_the_numbers_behind_the_data_are_found() -> None:
    rng = np.random.default_rng(0)
    column, one = rng.normal(size=20_000), np.ones(20_000)
    truth = rng.random(20_000) < chance_of(1.5 * column - 0.5)
    found = fit_logistic([column, one], truth, weight=one, toward=[0.0, 0.0])
    assert found == pytest.approx([1.5, -0.5], abs=0.06)


def test_without_rows_that_say_anything_the_start_is_kept() -> None:
    nothing = np.zeros(3)
    assert fit_logistic([nothing], np.array([True, False, True]), weight=np.ones(3), toward=[0.7]) == [0.7]


def test_data_that_can_be_told_apart_ends_at_a_finite_number() -> None:
    column = np.array([-1.0, -2.0, 1.0, 2.0])
    (number,) = fit_logistic([column], column > 0, weight=np.ones(4), toward=[0.0])
    assert 1 < number < 100


def test_chances_of_far_log_odds_do_not_overflow() -> None:
    assert chance_of(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
