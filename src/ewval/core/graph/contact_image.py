"""What the image shows at the contacts between segments: is there a membrane, or does one cell go on?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.graph.contacts import PAD, Contacts, Padded
from ewval.core.kernels.cube import Smoothed, smooth
from ewval.core.kernels.faces import Faces, Image, quantile_bins
from ewval.core.volumes.voxels import count_values

__all__ = ["Brightness", "faces_of", "image_evidence", "smooth_image"]

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
GAPS = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 2 * 255))
"""Widths of boundary, in voxels, that are told apart."""
DEPTHS = (1, 2, 3, 5, 8)
"""Voxels from the contact into both segments at which the image is compared with the contact itself."""
BLOCK = 27
"""Voxels summed into each value of the smoothed image."""
SUMS = 255 * BLOCK + 1
"""How many values a sum can have."""
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
        moments: int64[3, SEGMENT_ID_COUNT], count, sum and sum of squares of every second of `sums` along x, by label.
    """

    sums: NDArray[np.uint16]
    median: float
    spread: float
    rank: NDArray[np.float64]
    moments: NDArray[np.int64]

    @property
    def image(self) -> Image:
        """What the kernels need of it."""
        values = (np.arange(len(self.rank), dtype=np.float32) - self.median) / self.spread
        return Image(self.sums, np.asarray(values, dtype=np.float32), self.rank)

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the brightness at flat padded places, in spreads from the interior's median."""
        values = (self.sums.reshape(-1)[places].astype(np.float32) - self.median) / self.spread
        return np.asarray(values, dtype=np.float32)


def smooth_image(image: NDArray[np.uint8], labels: NDArray[np.uint16]) -> Brightness:
    """Return `image` (uint8 z y x) summed over 3^3 neighbourhoods and measured against its own interior.

    Args:
        image: uint8, z y x.
        labels: Segment of each voxel, 0 where there is none.
    """
    found = smooth(image, labels, pad=PAD, bins=SUMS) or _smooth_plainly(image, labels)
    rank = np.cumsum(found.histogram) / max(found.histogram.sum(), 1)
    low, median, high = np.searchsorted(rank, [0.25, 0.5, 0.75])
    spread = max(float(high - low) / QUARTILE_SPAN, 1.0)
    return Brightness(found.sums, float(median), spread, rank, found.moments)


def _smooth_plainly(image: NDArray[np.uint8], labels: NDArray[np.uint16]) -> Smoothed:
    sums = _box_sums(image)
    histogram = count_values(np.where(labels > 0, sums, 0), bins=SUMS)
    histogram[0] -= labels.size - np.count_nonzero(labels)
    some, values = labels[:, :, ::2], sums[:, :, ::2].astype(np.int32)
    moments = [count_values(some, bins=SEGMENT_ID_COUNT, weights=w) for w in (None, values, values * values)]
    return Smoothed(np.pad(sums, PAD, mode="edge"), histogram, np.array(moments, dtype=np.int64))


def image_evidence(padded: Padded, contacts: Contacts, brightness: Brightness) -> dict[str, NDArray[np.float64]]:
    """Return named numbers for every pair, float64[m] each, symmetric in its two segments.

    Args:
        padded: The segmentation.
        contacts: Where its segments touch.
        brightness: The image, smoothed.
    """
    look = _look_compiled(padded, contacts, brightness) or _look_plainly(padded, contacts, brightness)
    level = look.means["level"]
    numbers = {
        "face_mean": level,
        "face_std": np.sqrt(np.maximum(look.means["square"] - level**2, 0)),
        "face_darker": look.means["darker"],
        "face_rank": look.means["rank"],
    }
    numbers |= {f"gap_{low}": look.means[f"gap_{low}"] for low, _ in GAPS}
    numbers["direct_area"] = np.log1p(numbers["gap_0"] * contacts.area)
    numbers |= {
        f"face_q{int(q * 100)}": below / BINS_PER_UNIT + LOWEST
        for q, below in zip(QUANTILES, look.below.T, strict=True)
    }
    return numbers | _profile(look.means, level)


@dataclass(frozen=True, slots=True)
class _Look:
    """Means over the faces of each pair, float64[m] each, and bins of brightness below each quantile, int64[m, q]."""

    means: dict[str, NDArray[np.float64]]
    below: NDArray[np.int64]


def _profile(means: dict[str, NDArray[np.float64]], level: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Compare the contact with what lies some voxels deep in both segments."""
    numbers: dict[str, NDArray[np.float64]] = {}
    for depth in DEPTHS:
        one, other = means[f"near_{depth}"], means[f"far_{depth}"]
        numbers[f"rise_mean_{depth}"] = (one + other) / 2 - level
        numbers[f"rise_least_{depth}"] = np.minimum(one, other) - level
        numbers[f"sides_differ_{depth}"] = np.abs(one - other)
        if depth in (3, 5):
            numbers[f"dip_{depth}"] = means[f"dip_{depth}"]
        if depth == 3:
            numbers |= {name: means[name] for name in ("dip_share", "no_dip_share")}
    return numbers


def _look_compiled(padded: Padded, contacts: Contacts, brightness: Brightness) -> _Look | None:
    found = faces_of(padded, contacts, brightness).look(
        depths=DEPTHS, gaps=GAPS, scale=(LOWEST, BINS_PER_UNIT), dip=DIP
    )
    below = None if found is None else quantile_bins(found[1], contacts.sampled, QUANTILES)
    if found is None or below is None:
        return None
    sides = (f"{side}_{depth}" for depth in DEPTHS for side in ("near", "far"))
    names = ["level", "square", "darker", "rank", *(f"gap_{low}" for low, _ in GAPS), *sides]
    names += ["dip_3", "dip_5", "dip_share", "no_dip_share"]
    means = found[0] / contacts.sampled[:, None]
    return _Look(dict(zip(names, means.T.copy(), strict=True)), below)


def faces_of(padded: Padded, contacts: Contacts, brightness: Brightness | None = None) -> Faces:
    """Return the sampled faces as the kernels take them."""
    faces = (contacts.pair, contacts.low, contacts.inward, contacts.axis)
    image = None if brightness is None else brightness.image
    return Faces(faces, pairs=len(contacts.area), labels=padded.labels, gap=padded.gap, pad=PAD, image=image)


def _look_plainly(padded: Padded, contacts: Contacts, brightness: Brightness) -> _Look:
    low, high = contacts.low, contacts.high
    near, far = brightness.at(low), brightness.at(high)
    face = np.asarray((near + far) / 2, dtype=np.float32)
    means = {"level": contacts.mean(face), "square": contacts.mean(face * face)}
    means["darker"] = contacts.mean(np.minimum(near, far))
    means["rank"] = contacts.mean(brightness.rank[brightness.sums.reshape(-1)[low]])
    means |= _gaps(padded, contacts) | _sides(contacts, brightness, face)
    return _Look(means, _below_quantiles(contacts, face))


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
    return {f"gap_{low}": contacts.mean((width >= low) & (width <= high)) for low, high in GAPS}


def _below_quantiles(contacts: Contacts, face: NDArray[np.float32]) -> NDArray[np.int64]:
    bins = np.clip((face - LOWEST) * BINS_PER_UNIT, 0, BINS - 1).astype(np.int64)
    count = len(contacts.area)
    histogram = np.bincount(contacts.pair * BINS + bins, minlength=count * BINS).reshape(count, BINS)
    share = np.cumsum(histogram, axis=1) / contacts.sampled[:, None]
    return np.stack([(share < q).sum(axis=1) for q in QUANTILES], axis=1)


def _sides(contacts: Contacts, brightness: Brightness, face: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Return means of what lies some voxels deep in both segments."""
    means: dict[str, NDArray[np.float64]] = {}
    for depth in DEPTHS:
        near = brightness.at(contacts.low + contacts.inward * depth)
        far = brightness.at(contacts.high - contacts.inward * depth)
        means |= {f"near_{depth}": contacts.mean(near), f"far_{depth}": contacts.mean(far)}
        if depth in (3, 5):
            dip = np.minimum(near, far) - face
            means[f"dip_{depth}"] = contacts.mean(dip)
        if depth == 3:
            means |= {"dip_share": contacts.mean(dip > DIP), "no_dip_share": contacts.mean(dip < 0)}
    return means
