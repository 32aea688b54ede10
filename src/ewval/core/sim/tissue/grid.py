"""The grid that worlds are generated on, coarser than raw voxels, and the ways back to raw size."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

SCALE = 2
"""Raw voxels along each edge of a grid voxel: a watershed at raw size would take eight times as long."""

Shape = tuple[int, int, int]
Float = NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)


def shape_of(field: NDArray[Scalar]) -> Shape:
    """Return the three lengths of `field`."""
    depth, height, width = field.shape
    return depth, height, width


def doubled(field: Float, axis: int) -> Float:
    """Return `field` at twice its size along `axis`, interpolated linearly between voxel centres."""
    moved = np.moveaxis(field, axis, 0)
    before = np.concatenate([moved[:1], moved[:-1]])
    after = np.concatenate([moved[1:], moved[-1:]])
    finer = np.stack([0.75 * moved + 0.25 * before, 0.75 * moved + 0.25 * after], axis=1)
    return np.moveaxis(finer.reshape(-1, *moved.shape[1:]).astype(np.float32, copy=False), 0, axis)


def repeated(labels: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return `labels` at raw size, each voxel repeated."""
    for axis in range(labels.ndim):
        labels = labels.repeat(SCALE, axis)
    return labels
