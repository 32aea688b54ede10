"""Intervals resample cells, not tasks."""

import numpy as np
import pytest

from ewval.core.evaluation.bootstrap import ClusterSums, interval, resampled_means, resampled_sums


def clusters_of(values_by_cell):
    tasks = np.array([len(values) for values in values_by_cell])
    return ClusterSums(tasks, np.array([[np.sum(values)] for values in values_by_cell]))


def test_draws_equal_resampling_the_rows_themselves():
    rng = np.random.default_rng(1)
    cells = [rng.random(n) for n in (3, 1, 7, 4)]
    plain_rng = np.random.default_rng(0)
    plain = [np.concatenate([cells[i] for i in plain_rng.integers(4, size=4)]).mean() for _ in range(250)]
    assert resampled_means(clusters_of(cells), resamples=250)[:, 0] == pytest.approx(plain, abs=1e-12)


def test_tasks_of_one_cell_are_drawn_together():
    tasks, _ = resampled_sums(clusters_of([np.ones(5), np.ones(100)]), resamples=300)
    assert set(tasks.tolist()) == {10.0, 105.0, 200.0}


def test_many_tasks_of_few_cells_give_a_wide_interval():
    rng = np.random.default_rng(2)
    level = rng.random(8)
    few = interval(resampled_means(clusters_of([np.full(1000, value) for value in level]))[:, 0])
    many = interval(resampled_means(clusters_of([[value] for value in np.repeat(level, 1000)]))[:, 0])
    assert few[1] - few[0] > 10 * (many[1] - many[0])
    assert few[0] < level.mean() < few[1]


def test_the_same_seed_draws_the_same_cells():
    cells = clusters_of([[1.0], [2.0], [5.0]])
    assert (resampled_means(cells, seed=3) == resampled_means(cells, seed=3)).all()
    assert (resampled_means(cells, seed=3) != resampled_means(cells, seed=4)).any()


def test_a_cell_without_tasks_is_refused():
    with pytest.raises(ValueError, match="cells without tasks"):
        ClusterSums(np.array([1, 0]), np.zeros((2, 1)))
