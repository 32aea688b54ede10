"""What an electron microscope makes of tissue: grey values, noise, and the faults of sections."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ewval.core.sim.tissue.grid import SCALE, Float, Shape, doubled, shape_of
from ewval.core.sim.tissue.noise import share_mask, smooth_noise
from ewval.core.sim.tissue.style import Style
from ewval.core.sim.tissue.tissue import Tissue


@dataclass(frozen=True, slots=True)
class Exposure:
    """The noiseless picture on the grid, and what of it a boundary detector may see.

    Args:
        grey: float32, grey values.
        membranes: float32, visibility of the membranes between neurites, 0 to 1.
        surface: Share of grid voxels on a surface between neurites.
    """

    grey: Float
    membranes: Float
    surface: float


def expose(rng: np.random.Generator, tissue: Tissue, *, style: Style) -> Exposure:
    """Return the picture of `tissue` on the grid, before noise."""
    shape = shape_of(tissue.neurites)
    surface = borders(tissue.neurites)
    fade = share_mask(smooth_noise(rng, shape, scale=6), style.gaps, softness=0.6)
    membranes = _profile(surface, width=style.membrane_width / SCALE) * (1 - fade)
    grey = _cytoplasm(rng, tissue, shape, style=style)
    grey -= _organelles(rng, tissue, shape, style=style)
    thick = share_mask(smooth_noise(rng, shape, scale=9), style.synapses, softness=0.3)
    thick *= _profile(surface, width=1.4)
    grey -= style.membrane * np.clip(membranes * (0.85 + 0.15 * smooth_noise(rng, shape, scale=12)) + thick, 0, 1.4)
    grey -= _spills(rng, shape, style=style)
    return Exposure(grey, membranes, float(surface.mean()))


def borders(labels: NDArray[np.int32]) -> Float:
    """Return 1 at voxels whose next one along an axis has another label, else 0: a surface one voxel thick."""
    edge = np.zeros(labels.shape, np.float32)
    for axis in range(3):
        here, there = (tuple(s if a == axis else slice(None) for a in range(3)) for s in (slice(-1), slice(1, None)))
        edge[here][labels[here] != labels[there]] = 1
    return edge


def _profile(surface: Float, *, width: float) -> Float:
    """Return a blurred surface whose crest is about 1."""
    blurred = ndimage.gaussian_filter(surface, width, truncate=2.5)
    crest = float(np.quantile(blurred[surface > 0][::17], 0.5)) if surface.any() else 1.0
    return np.asarray(np.minimum(blurred / max(crest, 1e-3), 1.1), dtype=np.float32)


def _cytoplasm(rng: np.random.Generator, tissue: Tissue, shape: Shape, *, style: Style) -> Float:
    count = int(tissue.neurites.max()) + 1
    base = style.cytoplasm + style.cytoplasm_spread * rng.standard_normal(count)
    base -= (rng.random(count) < style.dark_cells) * rng.uniform(20, 55, count)
    grain = style.texture * rng.lognormal(0, 0.4, count)
    texture = (
        0.75 * smooth_noise(rng, shape, scale=1.3)
        + 0.6 * smooth_noise(rng, shape, scale=3)
        + 0.45 * smooth_noise(rng, shape, scale=10)
    )
    grey = base.astype(np.float32)[tissue.neurites] + grain.astype(np.float32)[tissue.neurites] * texture
    if style.mottle > 0:
        patches = rng.random(count) < 0.6
        grey -= style.mottle * patches[tissue.neurites] * np.clip(smooth_noise(rng, shape, scale=2.2), 0, None)
    return np.asarray(grey, dtype=np.float32)


def _organelles(rng: np.random.Generator, tissue: Tissue, shape: Shape, *, style: Style) -> Float:
    """Return how much darker organelles make the picture."""
    dark = np.zeros(shape, np.float32)
    inside = np.flatnonzero(tissue.mitochondria)
    dark.reshape(-1)[inside] = _cristae(
        rng, tissue.mitochondria.reshape(-1)[inside], inside, shape, darkness=style.mitochondrion
    )
    dark = ndimage.gaussian_filter(dark, 0.4, truncate=2)
    dark += 38 * _profile(borders(tissue.mitochondria), width=0.5)
    dots = (rng.random(shape, dtype=np.float32) < 0.16) & tissue.vesicles
    dark += 190 * ndimage.gaussian_filter(dots.astype(np.float32), 0.7, truncate=2.5)
    reticulum = np.exp(-((smooth_noise(rng, shape, scale=5) / 0.07) ** 2))
    dark += style.reticulum * reticulum * share_mask(smooth_noise(rng, shape, scale=14), 0.1, softness=0.4)
    if tissue.nuclei.any():
        chromatin = share_mask(smooth_noise(rng, shape, scale=5) + 0.4, 0.35, softness=0.8)
        dark += tissue.nuclei * (4 + 26 * chromatin)
        dark += 0.6 * style.membrane * _profile(borders(tissue.nuclei.astype(np.int32)), width=0.6)
    return np.asarray(dark, dtype=np.float32)


def _cristae(
    rng: np.random.Generator,
    mitochondrion: NDArray[np.int32],
    flat: NDArray[np.intp],
    shape: Shape,
    *,
    darkness: float,
) -> Float:
    """Return the darkness inside mitochondria: folds across a direction of each one's own."""
    count = int(mitochondrion.max(initial=0)) + 1
    wave = rng.standard_normal((count, 3)).astype(np.float32)
    wave *= (1.9 / np.linalg.norm(wave, axis=1, keepdims=True)).astype(np.float32)
    position = np.stack(np.unravel_index(flat, shape), axis=1).astype(np.float32)
    phase = (wave[mitochondrion] * position).sum(1) + 2.2 * smooth_noise(rng, shape, scale=4).reshape(-1)[flat]
    level = rng.normal(darkness, 0.2 * darkness, count).astype(np.float32)
    return np.asarray(level[mitochondrion] + 13 * np.sin(phase), dtype=np.float32)


def _spills(rng: np.random.Generator, shape: Shape, *, style: Style) -> Float:
    """Return the darkness of black spills: stain that went where it should not."""
    dark = np.zeros(shape, np.float32)
    z, y, x = np.ogrid[tuple(slice(length) for length in shape)]
    volume = float(np.prod(shape)) * SCALE**3
    ragged = None
    for _ in range(rng.poisson(style.spills * volume / 1e8)):
        ragged = smooth_noise(rng, shape, scale=6) if ragged is None else ragged
        centre_z, centre_y, centre_x = rng.random(3) * shape
        radius = rng.uniform(5, 16)
        distance = np.sqrt((z - centre_z) ** 2 + (y - centre_y) ** 2 + (x - centre_x) ** 2).astype(np.float32)
        dark = np.maximum(dark, 85 * np.clip((radius - distance) / 4 + ragged, 0, 1))
    return dark


def photograph(seed: int, grey: Float, *, style: Style) -> NDArray[np.uint8]:
    """Return the picture at raw size, with noise, blur and the faults of sections.

    Each section has randomness of its own, so that volumes which overlap show the same picture.

    Returns:
        uint8, twice the size of `grey` along each axis.
    """
    depth, height, width = grey.shape
    image = np.empty((SCALE * depth, SCALE * height, SCALE * width), np.uint8)
    for section in range(SCALE * depth):
        rng = np.random.default_rng((seed, section))
        near = section // 2
        far = min(max(near + (1 if section % 2 else -1), 0), depth - 1)
        plane = doubled(doubled(0.75 * grey[near] + 0.25 * grey[far], 0), 1)
        image[section] = _develop(rng, plane, style=style)
    return image


def _develop(rng: np.random.Generator, plane: Float, *, style: Style) -> NDArray[np.uint8]:
    if style.blur > 0:
        plane = ndimage.gaussian_filter(plane, style.blur, truncate=2.5)
    noise = rng.standard_normal(plane.shape, dtype=np.float32) * (1.25 * style.noise)
    plane = plane + ndimage.gaussian_filter(noise, style.grain, truncate=2)  # it takes the factor 1.25 back
    plane = plane + style.drift * float(rng.standard_normal())
    if rng.random() < style.faults:
        plane = _spoil(rng, plane)
    return np.asarray(np.clip(np.rint(plane), 0, 255), dtype=np.uint8)


def _spoil(rng: np.random.Generator, plane: Float) -> Float:
    """Return a section that went wrong: dark, bright, or without contrast."""
    middle = np.float32(plane.mean())
    contrast = np.float32(rng.uniform(0.25, 0.8))
    return np.asarray(middle + contrast * (plane - middle) + np.float32(rng.normal(0, 30)), dtype=np.float32)
