"""A rough segmentation: a watershed of doubtful boundary evidence, cut too fine here and too coarse there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.sim.tissue.grid import SCALE, Float, doubled, repeated, shape_of
from ewval.core.sim.tissue.microscope import Exposure, borders
from ewval.core.sim.tissue.noise import share_mask, smooth_noise
from ewval.core.sim.tissue.style import Style

MOST_BOUNDARY = 0.36
"""Share of voxels that the thinnest tissue leaves 0."""
DRAWN = 0.75
"""Part of the boundary that is seen which is left 0."""
SMALLEST = 20
"""Raw voxels of the smallest segment."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much a rough detector believes in boundaries, on the grid.

    Args:
        field: float32, about 0 to 1.
        level: Belief from which on the detector sees a boundary.
        drawn: Belief from which on a voxel is left 0: boundaries are drawn thinner than they are seen.
    """

    field: Float
    level: float
    drawn: float


def boundary_evidence(
    rng: np.random.Generator, exposure: Exposure, *, style: Style, image: NDArray[np.uint8] | None = None
) -> Evidence:
    """Return what a rough detector makes of a picture.

    Args:
        rng: Of what it overlooks and believes in.
        exposure: The noiseless picture.
        style: Of the detector.
        image: uint8, the picture at raw size: a detector that looks `from_image` sees it, and knows of the rest
            what it is told.
    """
    shape = shape_of(exposure.grey)
    overlooked = share_mask(smooth_noise(rng, shape, scale=7), style.merging, softness=0.4)
    if image is not None and style.from_image:
        seen = (1 - style.told) * _seen_in(image, style=style) + style.told * exposure.membranes
    else:
        seen = _seen(exposure, style=style)
    false = np.exp(-((smooth_noise(rng, shape, scale=11) / 0.09) ** 2))
    false *= share_mask(smooth_noise(rng, shape, scale=16), 0.5, softness=0.8)
    doubt = style.fragments * smooth_noise(rng, shape, scale=2.2)
    field = np.asarray(seen * (1 - overlooked) + style.splitting * false + doubt, dtype=np.float32)
    share = min(exposure.surface * style.boundary / SCALE, MOST_BOUNDARY)
    level, drawn = np.quantile(field, [1 - share, 1 - DRAWN * share])
    return Evidence(field, float(level), float(drawn))


def _seen(exposure: Exposure, *, style: Style) -> Float:
    darkness = (style.cytoplasm - ndimage.gaussian_filter(exposure.grey, 0.7)) / style.membrane
    return np.asarray(0.75 * exposure.membranes + 0.25 * np.clip(darkness, 0, 1), dtype=np.float32)


def _seen_in(image: NDArray[np.uint8], *, style: Style) -> Float:
    """Return how dark the picture is at each voxel of the grid, 1 at a membrane, its noise smoothed a little."""
    depth, height, width = (length // SCALE for length in image.shape)
    pooled = image.reshape(depth, SCALE, height, SCALE, width, SCALE).mean(axis=(1, 3, 5), dtype=np.float32)
    darkness = (style.cytoplasm - ndimage.gaussian_filter(pooled, 0.6)) / style.membrane
    return np.asarray(np.clip(darkness, -0.5, 1.5), dtype=np.float32)


def segment(evidence: Evidence, *, style: Style) -> NDArray[np.uint16]:
    """Return the segments of a block at raw size, 0 at boundaries, ids from 1 without gaps.

    The watershed runs on the grid, from the places that are far from boundaries; the boundaries themselves are then
    drawn at raw size.

    Returns:
        uint16, twice the size of the evidence along each axis.
    """
    from skimage.segmentation import watershed

    depth = ndimage.distance_transform_edt(evidence.field < evidence.level).astype(np.float32)
    markers = _markers(depth, levels=style.necks)
    height = np.clip(255 - 20 * depth, 0, 255).astype(np.uint8)
    grown = watershed(height, markers)  # every voxel, so that the boundary can be drawn finer than the grid
    full = repeated(grown.astype(np.int32))
    lines = borders(full) > 0 if style.lines else None
    full[doubled(doubled(doubled(evidence.field, 0), 1), 2) >= evidence.drawn] = 0
    if lines is not None:
        full[lines] = 0
    return renumber(full)


def _markers(depth: Float, *, levels: tuple[float, ...]) -> NDArray[np.int32]:
    """Return a marker for each part that is connected at a depth and holds no marker of a greater depth.

    Wide processes thus stay whole while thin ones fall apart at their necks.
    """
    markers = np.zeros(depth.shape, np.int32)
    for level in levels:
        parts, count = ndimage.label(depth > level)
        taken = np.zeros(count + 1, bool)
        taken[0] = True
        taken[parts[markers > 0]] = True
        fresh = ~taken[parts]
        markers[fresh] = (parts + markers.max())[fresh]
    return markers


def renumber(labels: NDArray[np.int32]) -> NDArray[np.uint16]:
    """Return `labels` with ids 1, 2, ... in ascending order; specks and ids beyond uint16 become 0."""
    sizes = np.bincount(labels.reshape(-1))
    kept = sizes >= SMALLEST
    kept[0] = False
    new = np.where(kept, np.cumsum(kept), 0)
    new[new >= SEGMENT_ID_COUNT] = 0
    return np.asarray(new.astype(np.uint16)[labels])
