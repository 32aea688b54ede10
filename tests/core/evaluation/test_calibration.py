"""Calibration equals small cases done by hand, and streaming equals the whole array."""

import numpy as np
import pytest

from ewval.core.evaluation.calibration import Calibration, brier, ece, nll, risk_coverage


def generator(count, seed=0):
    """Outcomes that come true exactly as often as their probability says."""
    rng = np.random.default_rng(seed)
    probability = rng.random(count)
    return probability, rng.random(count) < probability


def test_nll_and_brier_equal_hand_computed_values():
    probability, truth = np.array([0.9, 0.2, 0.5]), np.array([True, False, True])
    assert nll(probability, truth) == pytest.approx(-(np.log(0.9) + np.log(0.8) + np.log(0.5)) / 3, abs=1e-12)
    assert brier(probability, truth) == pytest.approx((0.01 + 0.04 + 0.25) / 3, abs=1e-12)


def test_certain_and_wrong_costs_a_bounded_amount():
    assert nll(np.array([1.0]), np.array([False])) == pytest.approx(16.118, abs=1e-3)


def test_ece_equals_a_hand_computed_case():
    # Bin (4/15, 5/15] holds .3 and .32 with one true, bin (13/15, 14/15] holds .9, which is false.
    probability, truth = np.array([0.3, 0.32, 0.9]), np.array([True, False, False])
    assert ece(probability, truth) == pytest.approx((abs(0.62 - 1) + 0.9) / 3, abs=1e-12)


def test_a_value_on_an_edge_belongs_to_the_lower_bin():
    # (0, .5] says .5 + .5 and has one true: no error; were the second in the upper bin, each would be off by .5.
    assert ece(np.array([0.5, 0.5]), np.array([True, False]), bins=2) == 0.0
    assert ece(np.array([0.5, 0.6]), np.array([True, False]), bins=2) == pytest.approx((0.5 + 0.6) / 2)


def test_a_calibrated_generator_has_no_ece():
    probability, truth = generator(400_000)
    assert ece(probability, truth) < 0.01
    calibration = Calibration()
    calibration.add(probability, truth)
    assert calibration.ece < 0.01


def test_an_overconfident_generator_has_one():
    probability, truth = generator(100_000)
    assert ece(np.clip(2 * probability - 0.5, 0, 1), truth) > 0.1


def test_augrc_equals_a_hand_computed_case():
    # Accepting one by one: undetected errors 0, 0, 1/4, 2/4 of all; trapezoids of width 1/4.
    confidence, wrong = np.array([0.9, 0.8, 0.7, 0.6]), np.array([0, 0, 1, 1])
    curve = risk_coverage(confidence, wrong)
    assert curve.coverage.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curve.risk.tolist() == [0, 0, 0, 0.25, 0.5]
    assert curve.area == pytest.approx((0.25 / 2 + (0.25 + 0.5) / 2) / 4, abs=1e-12)


def test_augrc_of_equal_confidence_is_chance():
    assert risk_coverage(np.ones(8), np.array([1, 0, 0, 0, 1, 0, 0, 0])).area == pytest.approx(0.25 / 2)


def test_augrc_follows_from_the_failure_auroc_and_the_accuracy():
    """AUGRC = (1 - AUROC) acc (1 - acc) + (1 - acc)^2 / 2 (arXiv 2407.01032)."""
    rng = np.random.default_rng(3)
    confidence, right = rng.integers(0, 40, 500) / 40, rng.random(500) < 0.8
    above = confidence[right][:, None] - confidence[~right][None]
    auroc, accuracy = ((above > 0) + 0.5 * (above == 0)).mean(), right.mean()
    expected = (1 - auroc) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    assert risk_coverage(confidence, ~right).area == pytest.approx(expected, abs=1e-12)


def test_streaming_equals_the_whole_array_in_any_order():
    rng = np.random.default_rng(5)
    probability = rng.integers(0, 3001, 5_000) / 3000  # on the grid of the streaming curve
    truth = rng.random(5_000) < probability**2
    first, second = Calibration(), Calibration()
    first.add(probability[:1_700].reshape(17, 100), truth[:1_700].reshape(17, 100))
    second.add(probability[1_700:], truth[1_700:])
    second.merge(Calibration.from_arrays(first.arrays()))
    wrong = (probability > 0.5) != truth
    assert second.total == 5_000
    assert second.nll == pytest.approx(nll(probability, truth), abs=1e-12)
    assert second.brier == pytest.approx(brier(probability, truth), abs=1e-12)
    assert second.ece == pytest.approx(ece(probability, truth), abs=1e-12)
    exact = risk_coverage(np.abs(probability - 0.5), wrong).area
    # Bins are closed above, so p and 1 - p lie one grid step apart in confidence.
    assert second.risk_coverage().area == pytest.approx(exact, abs=1e-4)


def test_reliability_gives_mean_and_share_of_each_bin():
    calibration = Calibration()
    calibration.add(np.array([0.01, 0.03, 0.99]), np.array([False, True, True]))
    said, true, count = calibration.reliability()
    assert (count[0], count[-1], count.sum()) == (2, 1, 3)
    assert (said[0], true[0]) == pytest.approx((0.02, 0.5))
    assert np.isnan(said[1])


def test_nothing_gathered_is_no_error():
    assert Calibration().summary() == {"nll": 0.0, "brier": 0.0, "ece": 0.0, "augrc": 0.0}
