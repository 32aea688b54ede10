"""Figures of the review queue equal small cases done by hand."""

import numpy as np
import pytest

from ewval.core.evaluation.review import auroc, found_first, queue


def test_the_first_tenth_of_a_perfect_queue_holds_what_is_wrong_most():
    wrong = np.arange(20.0)  # 0 + 1 + ... + 19 = 190; the two worst hold 19 + 18
    assert found_first(wrong, wrong) == pytest.approx(37 / 190)
    assert found_first(-wrong, wrong) == pytest.approx(1 / 190)


def test_a_border_inside_a_task_takes_its_part():
    assert found_first(np.array([3.0, 2.0, 1.0]), np.array([6.0, 3.0, 1.0])) == pytest.approx(0.3 * 0.6)


def test_equal_priorities_find_what_chance_finds():
    rng = np.random.default_rng(0)
    assert found_first(np.ones(57), rng.random(57)) == pytest.approx(0.1)
    looked_at, found = queue(np.array([1.0, 1.0, 0.0, 0.0]), np.array([4.0, 0.0, 0.0, 4.0]))
    assert looked_at.tolist() == [0, 0.5, 1]
    assert found.tolist() == [0, 0.5, 1]


def test_where_nothing_is_wrong_all_of_it_is_found():
    assert found_first(np.array([0.3, 0.2]), np.zeros(2)) == 1.0


def test_auroc_equals_counting_pairs():
    rng = np.random.default_rng(1)
    positive, negative = rng.integers(0, 8, 40) / 8, rng.integers(0, 6, 70) / 8
    gap = positive[:, None] - negative[None]
    assert auroc(positive, negative) == pytest.approx(((gap > 0) + 0.5 * (gap == 0)).mean(), abs=1e-12)
    assert auroc(np.array([1.0]), np.array([0.0])) == 1.0
    assert auroc(np.zeros(0), negative) is None
