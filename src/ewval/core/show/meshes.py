"""Surfaces of segments, small enough to be sent along in a page."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import PACKED_EDGE
from ewval.core.volumes.pooling import Pooling

LEVEL = 0.4
"""Share of a packed voxel that a body fills at its surface; below one half, so that thin neurites stay whole."""
VERTEX_STEPS = 65_535
"""Vertices are stored as uint16 along each edge of the cube."""
TRIANGLE_LIMIT = 60_000
"""A surface with more triangles is taken again in coarser steps."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """A surface.

    Args:
        vertices: uint16[n, 3], x y z, 0 and 65535 being the two ends of each edge of the cube.
        faces: uint32[m, 3], positions in `vertices`.
    """

    vertices: NDArray[np.uint16]
    faces: NDArray[np.uint32]


def occupancy(pooling: Pooling, ids: Iterable[int], *, edge: int = PACKED_EDGE) -> NDArray[np.float32]:
    """Return which share of each packed voxel the segments `ids` fill, float32 [z, y, x] in [0, 1]."""
    chosen = np.isin(pooling.ids, list(ids))[pooling.index]
    filled = np.bincount(pooling.block[chosen], weights=pooling.count[chosen], minlength=edge**3)
    whole = max(float(pooling.count.max(initial=1.0)), 1.0)
    return (filled / whole).astype(np.float32).reshape((edge,) * 3)


def surface(share: NDArray[np.float32], *, corner: Sequence[int] = (0, 0, 0), edge: int | None = None) -> Mesh:
    """Return the surface of a body by marching cubes; it is closed where the body leaves the cube.

    Args:
        share: float32, z y x, how much of each voxel the body fills; a box of the cube that holds all of it will do.
        corner: First voxel of the box, z y x.
        edge: Voxels along each edge of the cube; None where `share` is all of it.
    """
    from skimage.measure import marching_cubes

    padded = np.pad(share, 1)
    level = min(LEVEL, float(padded.max()) / 2)
    if level <= 0:
        return Mesh(np.zeros((0, 3), np.uint16), np.zeros((0, 3), np.uint32))
    vertices, faces, _, _ = marching_cubes(padded, level, allow_degenerate=False)
    for step in (2, 3):
        if len(faces) <= TRIANGLE_LIMIT:
            break
        with suppress(RuntimeError):  # specks that coarser steps pass over; what the finer ones found stays
            vertices, faces, _, _ = marching_cubes(padded, level, step_size=step, allow_degenerate=False)
    # Voxel centres lie half a voxel inside; the padding moved everything by one.
    size = np.array(share.shape if edge is None else (edge,) * 3)
    places = (vertices - 0.5 + np.array(corner)) / size * VERTEX_STEPS
    return Mesh(
        vertices=places[:, ::-1].clip(0, VERTEX_STEPS).round().astype(np.uint16),
        faces=faces.astype(np.uint32),
    )
