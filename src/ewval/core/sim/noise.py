"""Smooth random fields."""

import numpy as np

from ewval.core.sim.grid import Float, Shape


def smooth_noise(rng: np.random.Generator, shape: Shape, *, scale: float) -> Float:
    """Return a random field whose features are about `scale` voxels wide.

    Cubic B-splines over a lattice of normal variates, one axis after the other: three matrix products.

    Returns:
        float32 of `shape`, mean 0, standard deviation about 1.
    """
    weights = [_spline_weights(length, scale=scale) for length in shape]
    field = rng.standard_normal([matrix.shape[1] for matrix in weights], dtype=np.float32)
    for axis, matrix in enumerate(weights):
        field = np.moveaxis(np.tensordot(matrix, field, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(field)


def _spline_weights(length: int, *, scale: float) -> Float:
    """Return the weights (length, knots) of a cubic B-spline, scaled to unit variance on average."""
    position = np.arange(length) / scale
    knots = np.arange(-1, int(position[-1]) + 3)
    distance = np.abs(position[:, None] - knots)
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    weights = np.where(distance < 1, near, far)
    return np.asarray(weights / np.sqrt((weights**2).sum(1).mean()), dtype=np.float32)


def share_mask(field: Float, share: float, *, softness: float) -> Float:
    """Return 1 on the `share` of highest values of `field` and 0 elsewhere, with a ramp `softness` wide between.

    `field` should have standard deviation 1.
    """
    if share <= 0:
        return np.zeros_like(field)
    level = float(np.quantile(field[::3, ::3, ::3], 1 - min(share, 1.0)))
    return np.asarray(np.clip((field - level) / softness + 0.5, 0, 1), dtype=np.float32)
