"""What the image shows at the contacts between segments: is there a membrane, or does one cell go on?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.graph.contacts import PAD, Contacts, Padded
from ewval.core.volumes.voxels import count_values

__all__ = ["Brightness", "image_evidence", "smooth_image"]

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
DEPTHS = (1, 2, 3, 5, 8)
"""Voxels from the contact into both segments at which the image is compared with the contact itself."""
BLOCK = 27
"""Voxels summed into each value of the smoothed image."""
BINS, BINS_PER_UNIT, LOWEST = 192, 16, -6.0
QUARTILE_SPAN = 1.349
"""Distance between the quartiles of a normal distribution, in standard deviations."""
DIP = 0.5
"""A face is darker than both sides by a dip if by more than this, in units of the interior's spread."""


@dataclass(frozen=True, slots=True)
class Brightness:
    """The smoothed image, and what makes its values comparable between volumes.

    Args:
        sums: uint16[(z, y, x) + 2 * PAD], sum over 3^3 voxels; the margin repeats the edge.
        median: Of `sums` inside segments.
        spread: Their quartile distance as a standard deviation, at least 1.
        rank: float64, share of the interior that is at most so bright, by sum.
    """

    sums: NDArray[np.uint16]
    median: float
    spread: float
    rank: NDArray[np.float64]

    @property
    def inner(self) -> NDArray[np.uint16]:
        """The sums without the margin."""
        return self.sums[PAD:-PAD, PAD:-PAD, PAD:-PAD]

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the brightness at flat padded places, in spreads from the interior's median."""
        values = (self.sums.reshape(-1)[places].astype(np.float32) - self.median) / self.spread
        return np.asarray(values, dtype=np.float32)


def smooth_image(image: NDArray[np.uint8], *, inside: NDArray[np.bool_]) -> Brightness:
    """Return `image` (uint8 z y x) summed over 3^3 neighbourhoods and measured against its own interior."""
    sums = _box_sums(image)
    histogram = count_values(np.where(inside, sums, 0), bins=255 * BLOCK + 1)
    histogram[0] -= inside.size - np.count_nonzero(inside)
    rank = np.cumsum(histogram) / max(histogram.sum(), 1)
    low, median, high = np.searchsorted(rank, [0.25, 0.5, 0.75])
    spread = max(float(high - low) / QUARTILE_SPAN, 1.0)
    return Brightness(np.pad(sums, PAD, mode="edge"), float(median), spread, rank)


def image_evidence(padded: Padded, contacts: Contacts, brightness: Brightness) -> dict[str, NDArray[np.float64]]:
    """Return named numbers for every pair, float64[m] each, symmetric in its two segments.

    Args:
        padded: The segmentation.
        contacts: Where its segments touch.
        brightness: The image, smoothed.
    """
    low, high = contacts.low, contacts.high
    near, far = brightness.at(low), brightness.at(high)
    face = np.asarray((near + far) / 2, dtype=np.float32)
    level = contacts.mean(face)
    spread = np.sqrt(np.maximum(contacts.mean(face * face) - level**2, 0))
    numbers = {"face_mean": level, "face_std": spread, "face_darker": contacts.mean(np.minimum(near, far))}
    numbers["face_rank"] = contacts.mean(brightness.rank[brightness.sums.reshape(-1)[low]])
    return numbers | _gaps(padded, contacts) | _quantiles(contacts, face) | _profile(contacts, brightness, face, level)


def _box_sums(image: NDArray[np.uint8]) -> NDArray[np.uint16]:
    sums = image.astype(np.uint16)
    for axis in range(3):
        wide = sums.copy()
        before, after = np.moveaxis(sums, axis, 0), np.moveaxis(wide, axis, 0)
        after[1:] += before[:-1]
        after[:-1] += before[1:]
        after[[0, -1]] += before[[0, -1]]  # the edge is repeated
        sums = wide
    return sums


def _gaps(padded: Padded, contacts: Contacts) -> dict[str, NDArray[np.float64]]:
    """Return how wide the boundary is: touching without any boundary voxel is a cut, seldom a membrane."""
    gap = padded.gap.reshape(-1)
    width = gap[contacts.low].astype(np.int64) + gap[contacts.high]
    classes = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 2 * 255))
    numbers = {f"gap_{low}": contacts.mean((width >= low) & (width <= high)) for low, high in classes}
    return numbers | {"direct_area": np.log1p(numbers["gap_0"] * contacts.area)}


def _quantiles(contacts: Contacts, face: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    bins = np.clip((face - LOWEST) * BINS_PER_UNIT, 0, BINS - 1).astype(np.int64)
    count = len(contacts.area)
    histogram = np.bincount(contacts.pair * BINS + bins, minlength=count * BINS).reshape(count, BINS)
    share = np.cumsum(histogram, axis=1) / contacts.sampled[:, None]
    return {f"face_q{int(q * 100)}": (share < q).sum(axis=1) / BINS_PER_UNIT + LOWEST for q in QUANTILES}


def _profile(
    contacts: Contacts, brightness: Brightness, face: NDArray[np.float32], level: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Compare the contact with what lies some voxels deep in both segments."""
    numbers: dict[str, NDArray[np.float64]] = {}
    for depth in DEPTHS:
        near = brightness.at(contacts.low + contacts.inward * depth)
        far = brightness.at(contacts.high - contacts.inward * depth)
        one, other = contacts.mean(near), contacts.mean(far)
        numbers[f"rise_mean_{depth}"] = (one + other) / 2 - level
        numbers[f"rise_least_{depth}"] = np.minimum(one, other) - level
        numbers[f"sides_differ_{depth}"] = np.abs(one - other)
        if depth in (3, 5):
            dip = np.minimum(near, far) - face
            numbers[f"dip_{depth}"] = contacts.mean(dip)
        if depth == 3:
            numbers |= {"dip_share": contacts.mean(dip > DIP), "no_dip_share": contacts.mean(dip < 0)}
    return numbers
