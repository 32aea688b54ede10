"""The shape of the contacts between segments, and of the segments around them: does one continue the other?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.graph.contact_image import faces_of
from ewval.core.graph.contacts import PAD, Contacts, Padded
from ewval.core.kernels.cube import depth_steps

__all__ = ["Depth", "Place", "depth_map", "locate", "shape_evidence"]

INSIDE_DEPTHS = (4, 8, 16)
THICKNESS_DEPTHS = (4, 8)
HALF = 2
"""Thickness is measured on every second voxel."""
LEAST_VARIANCE = 1 / 12
"""Variance of a place within one voxel."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where each contact lies and how it faces.

    Args:
        centre: float64[m, 3], mean place of its faces, z y x in voxels of the cube.
        variances: float64[m, 3], of the faces' places along their own main axes, ascending.
        normal: float64[m, 3], unit vector towards the first segment.
        flatness: float64[m] in [0, 1]: 1 where all faces look the same way, 0 for a closed surface.
    """

    centre: NDArray[np.float64]
    variances: NDArray[np.float64]
    normal: NDArray[np.float64]
    flatness: NDArray[np.float64]

    def of(self, rows: slice) -> "Place":
        """Return some of the contacts."""
        return Place(self.centre[rows], self.variances[rows], self.normal[rows], self.flatness[rows])


@dataclass(frozen=True, slots=True)
class Depth:
    """How deep inside its segment each second voxel lies.

    Args:
        values: uint16 [z / 2, y / 2, x / 2], in voxels.
        deepest: uint16[rows + 1], the greatest of each row; 0 for one that lies between the places measured.
    """

    values: NDArray[np.uint16]
    deepest: NDArray[np.uint16]

    def at(self, padded: Padded, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the depth at flat padded places, those in the margin as at the edge."""
        coordinates = np.unravel_index(places, padded.labels.shape)
        index = [np.clip((c - PAD) // HALF, 0, n - 1) for c, n in zip(coordinates, self.values.shape, strict=True)]
        return np.asarray(self.values[tuple(index)], dtype=np.float32)


def depth_map(padded: Padded, *, count: int) -> Depth:
    """Return how far each second voxel is from another of the `count` segments, in chessboard steps."""
    labels = np.ascontiguousarray(padded.cube[::HALF, ::HALF, ::HALF])
    if (labels == labels.reshape(-1)[:1]).all():
        return _endless(labels, bins=count + 1)
    steps, most = depth_steps(labels, bins=count + 1) or _steps_plainly(labels, bins=count + 1)
    return Depth(steps * np.uint16(HALF), most * np.uint16(HALF))


def _endless(labels: NDArray[np.uint16], *, bins: int) -> Depth:
    """Return what stands for a depth where everything is of one segment."""
    far, deepest = max(labels.shape), np.zeros(bins, dtype=np.uint16)
    deepest[labels.reshape(-1)[:1]] = far // HALF * HALF
    return Depth(np.full(labels.shape, far, dtype=np.uint16), deepest)


def _steps_plainly(labels: NDArray[np.uint16], *, bins: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    from scipy import ndimage  # a seventh of predict's start, where the graph of a volume is kept already

    steps = np.asarray(ndimage.distance_transform_cdt(~_edges(labels), "chessboard"), dtype=np.uint16)
    levels = int(steps.max(initial=0)) + 1
    counts = np.bincount((labels.astype(np.int64) * levels + steps).reshape(-1), minlength=bins * levels)
    most = np.max((counts.reshape(bins, levels) > 0) * np.arange(levels), axis=1)
    return steps, most.astype(np.uint16)


def _edges(labels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Return where a voxel borders on another label."""
    edge = np.zeros(labels.shape, dtype=bool)
    for axis in range(3):
        along, mark = np.moveaxis(labels, axis, 0), np.moveaxis(edge, axis, 0)
        differs = along[1:] != along[:-1]
        mark[1:] |= differs
        mark[:-1] |= differs
    return edge


def locate(padded: Padded, contacts: Contacts) -> Place:
    """Return where each contact lies and how it faces."""
    centre, spread, facing = _moments_compiled(padded, contacts) or _moments_plainly(padded, contacts)
    variances = np.maximum(np.linalg.eigvalsh(spread) + LEAST_VARIANCE, LEAST_VARIANCE)
    flatness = np.linalg.norm(facing, axis=1)
    return Place(centre, variances, facing / np.maximum(flatness, 1e-3)[:, None], flatness)


_Moments = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _moments_compiled(padded: Padded, contacts: Contacts) -> _Moments | None:
    faces, sampled = faces_of(padded, contacts), contacts.sampled[:, None]
    places = faces.places()
    centre = None if places is None else places[:, :3] / sampled
    products = None if centre is None else faces.spread(centre)
    if places is None or centre is None or products is None:
        return None
    spread = (products / sampled)[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)
    return centre, spread, places[:, 3:] / sampled


def _moments_plainly(padded: Padded, contacts: Contacts) -> _Moments:
    """Return the mean place of each contact's faces, their covariances and the mean of where they face."""
    coordinates = np.unravel_index(contacts.low, padded.labels.shape)
    sign = np.sign(contacts.inward)
    places = [c - PAD - 0.5 * sign * (contacts.axis == i) for i, c in enumerate(coordinates)]
    centre = np.stack([contacts.mean(p) for p in places], axis=1)
    offsets = [p - centre[contacts.pair, i] for i, p in enumerate(places)]
    spread = np.array([[contacts.mean(a * b) for b in offsets] for a in offsets]).transpose(2, 0, 1)
    facing = np.stack([contacts.mean(sign * (contacts.axis == i)) for i in range(3)], axis=1)
    return centre, spread, facing


def shape_evidence(padded: Padded, contacts: Contacts, place: Place, depth: Depth) -> dict[str, NDArray[np.float64]]:
    """Return named numbers for every pair, float64[m] each, symmetric in its two segments."""
    least, middle, most = place.variances.T
    numbers = {
        "log_area": np.log(contacts.area),
        "log_projected": np.log1p(contacts.area * place.flatness),
        "flatness": place.flatness,
        "log_thickness": np.log(least),
        "log_elongation": np.log(most / middle),
        "log_filling": np.log(contacts.area / np.sqrt(middle * most)),
        "log_thin": np.log(least / most),
    }
    behind = _behind_compiled(padded, contacts, depth) or _behind_plainly(padded, contacts, depth)
    for steps in INSIDE_DEPTHS:
        one, other = behind[f"inside_{steps}"]
        numbers |= {f"inside_least_{steps}": np.minimum(one, other), f"inside_most_{steps}": np.maximum(one, other)}
    return numbers | _thickness(contacts, behind)


def _thickness(contacts: Contacts, behind: dict[str, list[NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    """Return how thick both segments are behind the contact: a neck is thick on both sides, a graze is not."""
    numbers: dict[str, NDArray[np.float64]] = {}
    for steps in THICKNESS_DEPTHS:
        one, other = behind[f"thick_{steps}"]
        least = np.minimum(one, other)
        numbers |= {f"thick_least_{steps}": least, f"thick_most_{steps}": np.maximum(one, other)}
        numbers[f"thick_relative_{steps}"] = least / np.sqrt(contacts.area)
    return numbers


def _behind_compiled(padded: Padded, contacts: Contacts, depth: Depth) -> dict[str, list[NDArray[np.float64]]] | None:
    sums = faces_of(padded, contacts).behind(inside=INSIDE_DEPTHS, thick=THICKNESS_DEPTHS, depth=depth.values)
    if sums is None:
        return None
    names = [*(f"inside_{d}" for d in INSIDE_DEPTHS), *(f"thick_{d}" for d in THICKNESS_DEPTHS)]
    means = (sums / contacts.sampled[:, None]).T.copy()
    return {name: [means[2 * i], means[2 * i + 1]] for i, name in enumerate(names)}


def _behind_plainly(padded: Padded, contacts: Contacts, depth: Depth) -> dict[str, list[NDArray[np.float64]]]:
    """Return, by depth and for both sides, the share of faces behind which the segment goes on, and how thick it is."""
    behind = {
        f"inside_{d}": [contacts.mean(inside) for _, inside in _behind(padded, contacts, d)] for d in INSIDE_DEPTHS
    }
    for steps in THICKNESS_DEPTHS:
        places = _behind(padded, contacts, steps)
        behind[f"thick_{steps}"] = [contacts.mean(np.where(i, depth.at(padded, p), 0)) for p, i in places]
    return behind


def _behind(padded: Padded, contacts: Contacts, steps: int) -> list[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Return, for both sides, the places so many steps behind each face, and whether they are in that segment."""
    labels = padded.labels.reshape(-1)
    first = contacts.low + contacts.inward * steps
    second = contacts.high - contacts.inward * steps
    return [(first, labels[first] == labels[contacts.low]), (second, labels[second] == labels[contacts.high])]
