"""The two segments in a window around their contact: their directions, thickness and brightness there."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.graph.contact_image import Brightness
from ewval.core.graph.contact_shape import Place
from ewval.core.graph.contacts import PAD, Padded
from ewval.core.kernels.faces import window_sums

__all__ = ["WINDOWS", "window_evidence"]

WINDOWS = ((2, 3), (4, 4))
"""Spacing of the samples in voxels, and samples to each side of the centre: 13 and 33 voxels wide."""
CHUNK = 2000
"""Pairs at once: keeps the gathered windows near 50 MB."""
SMOOTHING = 0.08
"""Added to every variance, in squared spacings: about that of a single sample's extent."""
SECOND = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclass(frozen=True, slots=True)
class _Part:
    """Moments of one segment in the windows, rows by pair: samples, centre [m, 3], variances [m, 3] ascending along
    `axes` [m, 3, 3] (columns), and brightness."""

    weight: NDArray[np.float64]
    centre: NDArray[np.float64]
    variances: NDArray[np.float64]
    axes: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    @property
    def elongation(self) -> NDArray[np.float64]:
        return np.log(self.variances[:, 2] / self.variances[:, 1])

    @property
    def flatness(self) -> NDArray[np.float64]:
        return np.log(self.variances[:, 1] / self.variances[:, 0])

    @property
    def cross_section(self) -> NDArray[np.float64]:
        return np.asarray(np.sqrt(self.variances[:, 0] * self.variances[:, 1]))

    def along(self, direction: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return |cosine| between the main axis and unit vectors."""
        return np.asarray(np.abs(np.einsum("ij,ij->i", self.axes[:, :, 2], direction)))


def window_evidence(
    padded: Padded,
    brightness: Brightness,
    *,
    pairs: NDArray[np.int64],
    area: NDArray[np.float64],
    place: Place,
    level: NDArray[np.float64],
    window: tuple[int, int],
) -> dict[str, NDArray[np.float64]]:
    """Return named numbers for every pair, float64[m] each, symmetric in its two segments.

    Args:
        padded: The segmentation.
        brightness: The image, smoothed.
        pairs: int64[m, 2], rows of the segment table.
        area: float64[m], faces of each contact.
        place: Where the contacts lie.
        level: float64[m], mean brightness of each contact.
        window: One of `WINDOWS`.
    """
    spacing, reach = window
    sums, covered = _sums(padded, brightness, pairs=pairs, centre=place.centre, spacing=spacing, reach=reach)
    one, other, both = _part(sums[0]), _part(sums[1]), _part(sums[0] + sums[1])
    found = {"covered": covered}
    found |= _shapes(one, other, both, place) | _looks(one, other, both, level)
    found |= _sizes(one, other, both, area=area, place=place, spacing=spacing)
    return {f"window{spacing}_{name}": values for name, values in found.items()}


def _sums(
    padded: Padded,
    brightness: Brightness,
    *,
    pairs: NDArray[np.int64],
    centre: NDArray[np.float64],
    spacing: int,
    reach: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums over both segments' samples, float64[2, m, 12], and the share of the window in the cube."""
    middle = np.clip(np.rint(centre).astype(np.int64), 0, np.array(padded.shape) - 1) + PAD
    places, window = middle @ padded.strides, (spacing, reach)
    found = window_sums(padded.labels, brightness.image, pairs=pairs, middle=places, window=window)
    if found is not None:
        return found[0].astype(np.float64), found[1] / (2 * reach + 1) ** 3
    return _sum_plainly(padded, brightness, pairs=pairs, middle=places, spacing=spacing, reach=reach)


def _sum_plainly(
    padded: Padded,
    brightness: Brightness,
    *,
    pairs: NDArray[np.int64],
    middle: NDArray[np.int64],
    spacing: int,
    reach: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    steps = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    basis = np.stack([steps[:, i] * steps[:, j] for i, j in SECOND] + [*steps.T, np.ones(len(steps))], axis=1)
    offsets = (steps * spacing) @ padded.strides
    sums = np.zeros((2, len(pairs), basis.shape[1] + 2), dtype=np.float32)
    covered = np.zeros(len(pairs))
    for rows in _chunks(len(pairs)):
        places = middle[rows, None] + offsets
        labels, values = padded.labels.reshape(-1)[places], brightness.at(places)
        covered[rows] = (labels > 0).mean(axis=1)
        for side in range(2):
            mask = (labels == (pairs[rows, side] + 1)[:, None]).astype(np.float32)
            lit = mask * values
            sums[side, rows, :-2] = mask @ basis.astype(np.float32)
            sums[side, rows, -2:] = np.stack([lit.sum(axis=1), (lit * values).sum(axis=1)], axis=1)
    return sums.astype(np.float64), covered


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, count, CHUNK))


def _part(sums: NDArray[np.float64]) -> _Part:
    weight = np.maximum(sums[:, 9], 1e-3)
    centre = sums[:, 6:9] / weight[:, None]
    spread = np.empty((len(sums), 3, 3))
    for column, (i, j) in enumerate(SECOND):
        spread[:, i, j] = spread[:, j, i] = sums[:, column] / weight - centre[:, i] * centre[:, j]
    variances, axes = np.linalg.eigh(spread + np.eye(3) * SMOOTHING)
    mean = sums[:, 10] / weight
    deviation = np.sqrt(np.maximum(sums[:, 11] / weight - mean**2, 0))
    return _Part(weight, centre, np.maximum(variances, SMOOTHING / 2), axes, mean, deviation)


def _shapes(one: _Part, other: _Part, both: _Part, place: Place) -> dict[str, NDArray[np.float64]]:
    reach = np.linalg.norm(one.centre, axis=1) * np.linalg.norm(other.centre, axis=1)
    facing = (one.along(place.normal), other.along(place.normal))
    return {
        "elongation": both.elongation,
        "flatness": both.flatness,
        "elongation_least": np.minimum(one.elongation, other.elongation),
        "elongation_most": np.maximum(one.elongation, other.elongation),
        "flatness_least": np.minimum(one.flatness, other.flatness),
        "flatness_most": np.maximum(one.flatness, other.flatness),
        "along_normal": both.along(place.normal),
        "along_normal_least": np.minimum(*facing),
        "along_normal_most": np.maximum(*facing),
        "parallel": one.along(other.axes[:, :, 2]),
        "straight": -np.einsum("ij,ij->i", one.centre, other.centre) / np.maximum(reach, 0.05),
        "apart": np.linalg.norm(one.centre - other.centre, axis=1),
    }


def _looks(one: _Part, other: _Part, both: _Part, level: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return {
        "mean_differs": np.abs(one.mean - other.mean),
        "mean_least": np.minimum(one.mean, other.mean),
        "mean_most": np.maximum(one.mean, other.mean),
        "spread_differs": np.abs(one.spread - other.spread),
        "contact_rise": level - both.mean,
    }


def _sizes(
    one: _Part, other: _Part, both: _Part, *, area: NDArray[np.float64], place: Place, spacing: int
) -> dict[str, NDArray[np.float64]]:
    least = np.minimum(one.weight, other.weight)
    contact = np.sqrt(place.variances[:, 1] * place.variances[:, 2]) / spacing**2
    sections = (one.cross_section, other.cross_section)
    return {
        "volume_least": np.log1p(least),
        "volume_most": np.log1p(np.maximum(one.weight, other.weight)),
        "volume_ratio": np.abs(np.log((one.weight + 1) / (other.weight + 1))),
        "convexity": np.log(both.weight) - 0.5 * np.log(both.variances).sum(axis=1),
        "contact_to_volume": np.log(area) - 2 / 3 * np.log1p(least * spacing**3),
        "contact_to_least_section": np.log(contact / np.minimum(*sections)),
        "contact_to_most_section": np.log(contact / np.maximum(*sections)),
    }
