"""Smooth random fields: their spread, their smoothness, and masks of a share of them."""

import numpy as np
import pytest

from ewval.core.sim.tissue.noise import share_mask, smooth_noise


def test_a_field_has_mean_0_and_deviation_1_and_is_smooth() -> None:
    field = smooth_noise(np.random.default_rng(0), (64, 64, 64), scale=4)
    assert (field.dtype, field.shape) == (np.float32, (64, 64, 64))
    assert abs(float(field.mean())) < 0.1
    assert float(field.std()) == pytest.approx(1, abs=0.1)
    assert float(np.abs(np.diff(field, axis=0)).mean()) < 0.35  # neighbours differ by far less than the deviation


def test_the_same_generator_gives_the_same_field() -> None:
    first, second = (smooth_noise(np.random.default_rng(3), (8, 9, 10), scale=3) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7])
def test_a_mask_covers_its_share(share: float) -> None:
    field = smooth_noise(np.random.default_rng(1), (48, 48, 48), scale=3)
    assert float(share_mask(field, share, softness=0.05).mean()) == pytest.approx(share, abs=0.03)
