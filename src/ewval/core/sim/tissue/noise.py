"""Smooth random fields."""

import numpy as np

from ewval.core.sim.tissue.grid import Float, Shape


def smooth_noise(rng: np.random.Generator, shape: Shape, *, scale: float) -> Float:
    """Return a random field whose features are about `scale` voxels wide.

    Cubic B-splines over a lattice of normal variates, one axis after the other: four knots a voxel, and no matrix
    product whose threads would compete with other work.

    Returns:
        float32 of `shape`, mean 0, standard deviation about 1.
    """
    knots = [int((length - 1) / scale) + 4 for length in shape]
    field = rng.standard_normal(knots, dtype=np.float32)
    for axis, length in enumerate(shape):
        field = _interpolated(field, axis, length=length, scale=scale)
    return np.ascontiguousarray(field)


def _interpolated(field: Float, axis: int, *, length: int, scale: float) -> Float:
    """Return `field` with `length` voxels along `axis`, where its knots stand `scale` voxels apart."""
    position = np.arange(length) / scale
    first = position.astype(np.intp)
    t = position - first
    weights = np.stack([(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3]) / 6
    weights /= np.sqrt((weights**2).sum(0).mean())  # so that the variance stays 1
    column = [length if a == axis else 1 for a in range(3)]
    parts = (
        field.take(first + knot, axis=axis) * weight.astype(np.float32).reshape(column)
        for knot, weight in enumerate(weights)
    )
    return np.asarray(sum(parts), dtype=np.float32)


def share_mask(field: Float, share: float, *, softness: float) -> Float:
    """Return 1 on the `share` of highest values of `field` and 0 elsewhere, with a ramp `softness` wide between.

    `field` should have standard deviation 1.
    """
    if share <= 0:
        return np.zeros_like(field)
    level = float(np.quantile(field[::3, ::3, ::3], 1 - min(share, 1.0)))
    return np.asarray(np.clip((field - level) / softness + 0.5, 0, 1), dtype=np.float32)
