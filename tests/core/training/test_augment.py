"""Changed forms of a cube: another look, other gaps."""

import numpy as np
import pytest

from block_cube import block_cube
from ewval.core.training.augment import close_gaps, open_gaps, vary_image

CUBE = block_cube(edge=64)


def drawn(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(12))
def test_another_look_shows_the_same_tissue(seed):
    image = CUBE["image"]
    varied = vary_image(image, drawn(seed))
    assert (varied.shape, varied.dtype) == (image.shape, np.uint8)
    assert not np.array_equal(varied, image)
    dark = image < np.quantile(image, 0.1)
    assert varied[dark].mean() < varied[~dark].mean() - 5
    assert np.array_equal(varied, vary_image(image, drawn(seed)))


def test_looks_differ():
    looks = [vary_image(CUBE["image"], drawn(seed)) for seed in range(8)]
    assert len({look.tobytes() for look in looks}) == 8
    assert np.std([look.mean() for look in looks]) > 3
    assert np.std([look.std() for look in looks]) > 2


def test_an_image_of_one_grey_may_be_varied():
    for seed in range(6):
        assert vary_image(np.full((16, 16, 16), 255, np.uint8), drawn(seed)).shape == (16, 16, 16)


def test_gaps_are_closed_up_to_some_distance_and_nothing_else_changes():
    labels = np.zeros((1, 1, 40), np.uint16)
    labels[..., :10], labels[..., 14:20] = 1, 2
    closed = close_gaps(labels, drawn(0))
    assert np.array_equal(closed[labels > 0], labels[labels > 0])
    assert closed[0, 0, 10:14].tolist() == [1, 1, 2, 2]
    reach = np.flatnonzero(closed[0, 0, 20:] == 0)[0]
    assert 2 <= reach <= 5
    assert not closed[0, 0, 20 + reach :].any()


def test_opened_segments_share_no_face():
    labels = CUBE["truth"].astype(np.uint16)
    opened = open_gaps(labels)
    assert np.array_equal(opened[opened > 0], labels[opened > 0])
    assert len(np.setdiff1d(labels, opened)) == 0
    for axis in range(3):
        along = np.moveaxis(opened, axis, 0).astype(int)
        one, other = along[1:], along[:-1]
        assert not ((one != other) & (one > 0) & (other > 0)).any()
