"""Surfaces are closed, in the right place, and of the right size."""

import numpy as np

from ewval.core.show.meshes import TRIANGLE_LIMIT, VERTEX_STEPS, occupancy, surface
from ewval.core.volumes.pooling import pool_full


def test_occupancy_is_the_share_of_each_packed_voxel():
    labels = np.zeros((8, 8, 8), np.uint16)
    labels[:4, :4, :2] = 7
    labels[4:, 4:, 4:] = 9
    share = occupancy(pool_full(labels, factor=4), [7, 9], edge=2)
    assert share[0, 0, 0] == 0.5
    assert share[1, 1, 1] == 1.0
    assert share.sum() == 1.5


def test_a_ball_has_its_place_and_its_area():
    z, y, x = np.ogrid[:64, :64, :64]
    share = ((z - 20) ** 2 + (y - 30) ** 2 + (x - 40) ** 2 < 12**2).astype(np.float32)
    mesh = surface(share)
    places = mesh.vertices / VERTEX_STEPS * 64  # x y z
    np.testing.assert_allclose(places.mean(axis=0), [40.5, 30.5, 20.5], atol=0.3)
    corners = places[mesh.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert 0.9 < area / (4 * np.pi * 12**2) < 1.15
    edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # closed: every edge has two faces


def test_a_body_that_leaves_the_cube_is_closed_at_its_side():
    mesh = surface(np.ones((8, 8, 8), np.float32))
    assert mesh.vertices.min() == 0
    assert mesh.vertices.max() == VERTEX_STEPS


def test_a_body_thinner_than_a_packed_voxel_still_has_a_surface():
    share = np.zeros((16, 16, 16), np.float32)
    share[8, 8, :] = 0.05
    assert len(surface(share).faces) > 0


def test_nothing_has_no_surface():
    mesh = surface(np.zeros((8, 8, 8), np.float32))
    assert (len(mesh.vertices), len(mesh.faces)) == (0, 0)


def test_a_rough_surface_is_taken_in_coarser_steps():
    from skimage.measure import marching_cubes

    share = np.random.default_rng(0).random((64, 64, 64)).astype(np.float32).round()
    fine = len(marching_cubes(np.pad(share, 1), 0.4)[1])
    assert fine > TRIANGLE_LIMIT
    assert 0 < len(surface(share).faces) < fine / 3


def test_specks_that_coarser_steps_would_pass_over_keep_their_surface():
    share = np.zeros((64, 64, 64), np.float32)
    share[::2, ::2, ::2] = 1  # every second voxel: steps of two meet none of them
    assert len(surface(share).faces) > 0
