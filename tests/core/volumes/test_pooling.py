"""Pooling equals a plain computation, at both resolutions."""

import numpy as np
import pytest

from ewval.core.volumes.pooling import pool_full, pool_packed, pool_segments


def blobs(rng, *, edge, segments):
    coarse = rng.integers(0, segments, size=(edge // 2,) * 3)
    return np.repeat(np.repeat(np.repeat(coarse, 2, 0), 2, 1), 2, 2).astype(np.uint16) * 37


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_full_pooling_equals_a_mean_over_the_upsampled_map(rng):
    labels = blobs(rng, edge=32, segments=30)
    values = rng.random((8, 8, 8), dtype=np.float32)
    upsampled = np.repeat(np.repeat(np.repeat(values, 4, 0), 4, 1), 4, 2)
    pooling = pool_full(labels, factor=4)
    assert pooling.ids.tolist() == [i for i in np.unique(labels).tolist() if i]
    means = [upsampled[labels == i].astype(np.float64).mean() for i in pooling.ids]
    np.testing.assert_allclose(pooling.mean(values), means, rtol=1e-12)
    assert pooling.voxels.tolist() == [int((labels == i).sum()) for i in pooling.ids]


def test_a_segment_of_one_voxel_is_scored_at_full_resolution():
    labels = np.full((8, 8, 8), 5, dtype=np.uint16)
    labels[5, 1, 2] = 9
    values = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    pooling = pool_full(labels, factor=4)
    assert pooling.ids.tolist() == [5, 9]
    assert pooling.voxels.tolist() == [511, 1]
    assert pooling.mean(values)[1] == values[1, 0, 0]


def test_packed_pooling_counts_whole_blocks():
    labels = np.array([[[1, 1], [2, 0]]], dtype=np.uint16)
    pooling = pool_packed(labels, factor=4)
    assert pooling.ids.tolist() == [1, 2]
    assert pooling.voxels.tolist() == [128, 64]
    np.testing.assert_allclose(pooling.mean(np.array([[[0.2, 0.4], [0.9, 0.1]]], np.float64)), [0.3, 0.9])


def test_segments_are_pooled_without_a_factor():
    ids, mean, voxels = pool_segments(np.array([[[0.25, 0.75]]], np.float32), np.array([[[7, 7]]], np.uint16))
    assert (ids.tolist(), mean.tolist(), voxels.tolist()) == ([7], [0.5], [2])


def test_an_empty_volume_has_no_segments():
    empty = np.zeros((4, 4, 4), np.uint16)
    for pooling in (pool_packed(empty), pool_full(empty, factor=4)):
        assert len(pooling.ids) == 0
        assert len(pooling.mean(np.zeros((4, 4, 4), np.float32))) == 0


def test_share_of_a_selection():
    pooling = pool_packed(np.array([[[3, 3, 3, 4]]], np.uint16), factor=1)
    share = pooling.share(np.array([[[True, False, True, False]]]))
    np.testing.assert_allclose(share, [2 / 3, 0])


def test_inputs_are_left_alone(rng):
    labels = blobs(rng, edge=16, segments=9)
    before = labels.copy()
    labels.setflags(write=False)
    pool_full(labels, factor=4)
    assert (labels == before).all()


def test_a_painted_voxel_is_the_mean_of_its_segments_by_the_voxels_they_have_in_it() -> None:
    labels = np.zeros((8, 8, 8), dtype=np.uint16)
    labels[:3, :4, :4], labels[3, :4, :4] = 5, 9  # 48 and 16 of the first packed voxel's 64
    labels[4:, 4:, 4:] = 9
    pooling = pool_full(labels)
    painted = pooling.paint(np.array([1.0, 0.2]), size=8)
    assert painted.tolist() == pytest.approx([0.8, 0, 0, 0, 0, 0, 0, 0.2])
    assert pooling.paint(pooling.ids.astype(float), size=8)[7] == 9
