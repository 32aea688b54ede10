"""Compiled sums are those of numpy, bit for bit."""

import numpy as np
import pytest

from ewval.core.kernels import histogram
from ewval.core.kernels.histogram import add_up, descend
from ewval.core.kernels.library import kernels


@pytest.mark.skipif(kernels() is None, reason="the kernels were not built")
def test_both_ways_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 16, (500, 9), dtype=np.uint8)
    rows, columns = np.flatnonzero(random.random(500) < 0.6), np.array([7, 0, 3])
    node, pull, curvature = random.integers(0, 4, 500), random.normal(size=500), random.random(500)
    column, cut = np.array([7, 0, 3, 3]), np.array([8, 256, 3, 0])

    def both() -> list[np.ndarray]:
        sums = add_up(codes, rows, columns, node, pull, curvature, nodes=4, bins=16)
        return [sums, descend(codes, node, column=column, cut=cut)]

    compiled = both()
    monkeypatch.setattr(histogram, "kernels", lambda: None)
    assert all(np.array_equal(one, other) for one, other in zip(compiled, both(), strict=True))
    assert np.allclose(compiled[0].sum(axis=(1, 3)), [[pull[rows].sum()] * 3, [curvature[rows].sum()] * 3])
