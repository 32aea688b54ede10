"""What is gathered beside the rows can be saved, merged and read."""

import numpy as np
import pytest

from ewval.core.evaluation.gathered import Doubt, Gathered


def test_looking_at_the_most_doubtful_removes_their_wrong_volume():
    doubt = Doubt()
    # Ten candidates; the two most doubtful hold 60 and 20 of 100 wrong voxels; 20 more were never candidates.
    uncertainty = np.array([0.95, 0.9, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01])
    wrong = np.array([60.0, 20.0, 0, 0, 0, 0, 0, 0, 0, 0])
    doubt.add(uncertainty, wrong, wrong_total=100.0)
    assert doubt.removed_by(0.1) == pytest.approx(0.6)
    assert doubt.removed_by(0.2) == pytest.approx(0.8)
    assert doubt.removed_by(1.0) == pytest.approx(0.8)
    assert doubt.removed_by(0.05) == pytest.approx(0.3)


def test_equally_doubtful_candidates_are_looked_at_by_lot():
    doubt = Doubt()
    doubt.add(np.full(4, 0.5), np.array([8.0, 0, 0, 0]), wrong_total=8.0)
    assert doubt.removed_by(0.25) == pytest.approx(0.25)


def test_where_nothing_is_wrong_nothing_is_left():
    assert Doubt().removed_by(0.2) == 1.0


def gathered_of(rng):
    gathered = Gathered()
    gathered.undefined += rng.integers(0, 5, gathered.undefined.size)
    gathered.darkness += rng.integers(0, 5, gathered.darkness.shape)
    for calibration in (gathered.boundary, gathered.interior, gathered.segments):
        calibration.add(rng.random(50), rng.random(50) < 0.5)
    gathered.doubt.add(rng.random(9), rng.random(9), wrong_total=7.5)
    gathered.packed += 3
    return gathered


def test_saving_and_reading_gives_the_same():
    gathered = gathered_of(np.random.default_rng(0))
    again = Gathered.from_arrays(gathered.arrays())
    for key, value in gathered.arrays().items():
        assert np.array_equal(again.arrays()[key], value), key


def test_merging_adds_everything():
    rng = np.random.default_rng(1)
    one, other = gathered_of(rng), gathered_of(rng)
    both = Gathered()
    both.merge(one)
    both.merge(other)
    for key, value in both.arrays().items():
        assert value == pytest.approx(one.arrays()[key] + other.arrays()[key]), key
    assert both.voxels.total == both.boundary.total + both.interior.total == 200
