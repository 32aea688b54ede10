"""Cubes as another microscope, another preparation or another over-segmentation might have shown them.

A model that has seen a tissue only as its few cubes show it takes much for a sign that is a habit of theirs. What
still holds when contrast, sharpness, noise and the gaps between segments have changed is what to rely on elsewhere.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["close_gaps", "open_gaps", "vary_image"]

MEMBRANES, BLURRED, NOISY, UNEVEN, SHIFTED = 0.3, 0.7, 0.8, 0.3, 0.3
"""Shares of the images that get each kind of change."""
SIGMA, GREYS, GAMMA, CONTRAST, NOISE, SLICES = (0.3, 1.3), 15.0, 0.35, (0.6, 1.5), 18.0, 8.0
"""Blur in voxels, spread of brightness in grey levels and of gamma's logarithm; factors; most noise, and of slices."""
WIDEST = 5
"""Voxels from a segment up to which a gap is closed."""


def vary_image(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image of the same tissue with other membranes, sharpness, contrast, noise and slices.

    Args:
        image: uint8 z y x.
        random: Of every choice.
    """
    varied = image.astype(np.float32)
    if random.random() < MEMBRANES:
        thicker = ndimage.grey_erosion if random.random() < 0.6 else ndimage.grey_dilation  # membranes are dark
        varied = thicker(varied, size=(1, 2, 2) if random.random() < 0.5 else (2, 2, 2))
    if random.random() < BLURRED:
        sigma = random.uniform(*SIGMA)
        varied = ndimage.gaussian_filter(varied, (sigma * random.uniform(), sigma, sigma))
    mean = varied.mean()
    varied = (varied - mean) * np.float32(random.uniform(*CONTRAST)) + np.float32(mean + GREYS * random.normal())
    varied = 255 * np.clip(varied / 255, 0, 1) ** np.float32(np.exp(GAMMA * random.normal()))
    if random.random() < NOISY:
        varied += random.uniform(0, NOISE) * _noise(image.shape, random)
    if random.random() < UNEVEN:
        varied += random.uniform(0, SLICES) * random.normal(size=(len(varied), 1, 1)).astype(np.float32)
    if random.random() < SHIFTED:
        for place in np.flatnonzero(random.random(len(varied)) < SHIFTED):
            varied[place] = np.roll(varied[place], random.integers(-1, 2, size=2), (0, 1))
    return np.asarray(np.clip(varied, 0, 255).astype(np.uint8))


def _noise(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float32]:
    """Return noise of unit spread, in every second case with grains wider than a voxel."""
    noise = random.standard_normal(shape, dtype=np.float32)
    if random.random() < 0.5:
        noise = ndimage.gaussian_filter(noise, 0.6)
        noise /= noise.std()
    return noise


def close_gaps(labels: NDArray[np.uint16], random: np.random.Generator) -> NDArray[np.uint16]:
    """Return the segmentation with the voxels between segments given to the nearest one, up to some distance.

    Args:
        labels: Segment ids, uint16 z y x.
        random: Of the distance.
    """
    away, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    return np.where(away <= random.integers(2, WIDEST + 1), labels[tuple(nearest)], 0).astype(labels.dtype)


def open_gaps(labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return the segmentation with a gap of a voxel wherever two segments met face to face.

    Args:
        labels: Segment ids, uint16 z y x.
    """
    opened = labels.copy()
    for axis in range(labels.ndim):
        one, other = (np.moveaxis(labels, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        np.moveaxis(opened, axis, 0)[1:][(one != other) & (one > 0) & (other > 0)] = 0
    return opened
