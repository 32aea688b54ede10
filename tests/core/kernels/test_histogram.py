"""Compiled decisions are those of numpy, bit for bit."""

import numpy as np
import pytest

from ewval.core.kernels import histogram
from ewval.core.kernels.histogram import Splits, choose, descend
from ewval.core.kernels.library import kernels


@pytest.mark.skipif(kernels() is None, reason="the kernels were not built")
@pytest.mark.parametrize("count", [0, 3, 500, 20_000])
@pytest.mark.parametrize("least", [0.5, 4.0, 1e9])
def test_both_ways_give_the_same_bits(monkeypatch: pytest.MonkeyPatch, count: int, least: float) -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 16, (count, 9), dtype=np.uint8)
    rows, columns = np.flatnonzero(random.random(count) < 0.6), np.array([7, 0, 3])
    node, pull, curvature = random.integers(0, 4, count), random.normal(size=count), random.random(count)
    column, cut = np.array([7, 0, 3, 3]), np.array([8, 256, 3, 0])

    def both() -> list[np.ndarray]:
        found = choose(codes, rows, columns, node, pull, curvature, splits=Splits(4, 16, 5.0, least))
        return [*found, descend(codes, node, column=column, cut=cut)]

    compiled = both()
    monkeypatch.setattr(histogram, "kernels", lambda: None)
    assert all(np.array_equal(one, other) for one, other in zip(compiled, both(), strict=True))


def test_the_decision_that_tells_most_apart_is_chosen() -> None:
    codes = np.random.default_rng(1).integers(0, 8, (400, 3), dtype=np.uint8)
    node, rows, columns = np.repeat([0, 1], 200), np.arange(400), np.array([2, 0, 1])
    truth = np.where(node == 0, codes[:, 0] > 4, codes[:, 1] > 2)
    splits = Splits(2, 8, 1.0, 1.0)
    best, gain = choose(codes, rows, columns, node, truth - 0.5, np.full(400, 0.25), splits=splits)
    assert columns[best // 8].tolist() == [0, 1]
    assert (best % 8).tolist() == [4, 2]
    assert (gain > 0).all()
