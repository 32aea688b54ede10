"""From tubes to tissue: neurites that fill space, with organelles in them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ewval.core.sim.tissue.grid import SCALE, Shape, shape_of
from ewval.core.sim.tissue.neurites import MARGIN, Canvas, Labels, Skeletons, grow
from ewval.core.sim.tissue.noise import smooth_noise
from ewval.core.sim.tissue.style import Style

MITOCHONDRION_RADIUS = 3.5
"""Grid voxels; mitochondria live in neurites thicker than this."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """A block of tissue on the grid, z y x.

    Args:
        neurites: int32, neurite of each voxel; no voxel is free.
        mitochondria: int32, mitochondrion of each voxel, 0 outside.
        vesicles: bool, inside a cloud of vesicles.
        nuclei: bool, inside a nucleus.
    """

    neurites: Labels
    mitochondria: Labels
    vesicles: NDArray[np.bool_]
    nuclei: NDArray[np.bool_]


def make_tissue(rng: np.random.Generator, shape: Shape, *, style: Style) -> Tissue:
    """Grow neurites in a grid of `shape` and let them swell until they touch.

    Where sections are further apart than voxels are wide, they grow in a taller grid that is squeezed afterwards.
    """
    taller = round(shape[0] * style.squeeze)
    larger: Shape = (taller + 2 * MARGIN, shape[1] + 2 * MARGIN, shape[2] + 2 * MARGIN)
    painted, skeletons = grow(rng, larger, style=style)
    neurites = _swell(painted)
    mitochondria = _mitochondria(rng, neurites, skeletons, style=style)
    vesicles = _vesicles(rng, neurites, skeletons, share=style.vesicles)
    nuclei = _nuclei(skeletons.nuclei, larger)
    place = _wobble(rng, larger, amplitude=style.warp / SCALE)
    if taller != shape[0]:
        sections = np.linspace(0, taller - 1, shape[0]).round().astype(np.intp)
        place = tuple(index[sections] for index in place)
    return Tissue(neurites[place], mitochondria[place], vesicles[place], nuclei[place])


def _swell(painted: Labels) -> Labels:
    """Give each free voxel to the nearest neurite."""
    nearest = ndimage.distance_transform_edt(painted == 0, return_distances=False, return_indices=True)
    return np.asarray(painted[tuple(nearest)])


def _wobble(rng: np.random.Generator, shape: Shape, *, amplitude: float) -> tuple[NDArray[np.intp], ...]:
    """Return the index that crops the margin and bends every surface by about `amplitude` voxels."""
    inner = tuple(slice(MARGIN, length - MARGIN) for length in shape)
    size = tuple(length - 2 * MARGIN for length in shape)
    index = []
    for axis, grid in enumerate(np.ogrid[inner]):
        bend = sum(
            weight * smooth_noise(rng, (size[0], size[1], size[2]), scale=scale)
            for weight, scale in ((0.2, 3.0), (0.9, 8.0), (1.4, 25.0))
        )
        place = np.rint(grid + amplitude * np.asarray(bend)).astype(np.intp)
        index.append(np.clip(place, 0, shape[axis] - 1))
    return tuple(index)


def _mitochondria(rng: np.random.Generator, neurites: Labels, skeletons: Skeletons, *, style: Style) -> Labels:
    """Paint mitochondria as runs of balls along thick neurites, a little off their middle."""
    canvas = Canvas(shape_of(neurites))
    thick = np.flatnonzero(skeletons.radius > MITOCHONDRION_RADIUS)
    wanted = int(len(thick) * style.mitochondria * 0.12)  # a mitochondrion is about eight points long
    for number, start in enumerate(rng.choice(thick, size=wanted) if wanted else [], start=1):
        owner, reach = skeletons.owner[start], skeletons.radius[start]
        radius = min(rng.uniform(0.3, 0.55) * reach, rng.uniform(3.0, 6.0)) * style.mitochondrion_size
        radius = min(radius, 0.85 * reach)
        shift = rng.standard_normal(3) * (reach - radius) * 0.35
        length = rng.uniform(2, 9) * radius
        bend = rng.standard_normal(3) * 0.15
        along = np.arange(-length / 2, length / 2, radius / 2)[:, None]
        points = skeletons.points[start] + shift + along * skeletons.direction[start] + bend * along**2 / length
        for point in points:
            canvas.paint(point, radius * rng.uniform(0.85, 1.1), number)
        _keep_inside(canvas, neurites, points, radius, owner, number)
    return canvas.inside()


def _keep_inside(
    canvas: Canvas, neurites: Labels, points: NDArray[np.float64], radius: float, owner: int, number: int
) -> None:
    """Erase what mitochondrion `number` painted outside its neurite, and one voxel inside its surface."""
    low = np.maximum(np.floor(points.min(0) - radius - 2).astype(int), 0)
    high = np.minimum(np.ceil(points.max(0) + radius + 3).astype(int), neurites.shape)
    if (low >= high).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    part = canvas.inside()[box]
    room = ndimage.binary_erosion(neurites[box] == owner, border_value=1)
    part[(part == number) & ~room] = 0


def _vesicles(rng: np.random.Generator, neurites: Labels, skeletons: Skeletons, *, share: float) -> NDArray[np.bool_]:
    """Paint clouds where neurites are swollen."""
    canvas = Canvas(shape_of(neurites))
    usual = np.bincount(skeletons.owner, skeletons.radius) / np.maximum(np.bincount(skeletons.owner), 1)
    swollen = np.flatnonzero((skeletons.radius > 1.15 * usual[skeletons.owner]) & (skeletons.radius < 9))
    for start in rng.choice(swollen, size=int(len(swollen) * share * 0.25)) if len(swollen) else []:
        canvas.paint(skeletons.points[start], 0.8 * skeletons.radius[start], int(skeletons.owner[start]))
    return np.asarray((canvas.inside() > 0) & (canvas.inside() == neurites))


def _nuclei(nuclei: NDArray[np.float64], shape: Shape) -> NDArray[np.bool_]:
    inside = np.zeros(shape, bool)
    z, y, x = np.ogrid[tuple(slice(length) for length in shape)]
    for centre_z, centre_y, centre_x, radius in nuclei:
        inside |= (z - centre_z) ** 2 + (y - centre_y) ** 2 + (x - centre_x) ** 2 < radius**2
    return inside
