"""A cube as a graph: its segments, which of them touch, and what speaks for two of them being one cell.

Everything here is measured from the image and the over-segmentation alone; no number depends on the absolute
brightness of a data set, on ids, or on the order of two segments in a pair.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.errors import DamagedError, UnreadableError
from ewval.core.folder import is_there
from ewval.core.graph.contact_image import Brightness, image_evidence, smooth_image
from ewval.core.graph.contact_shape import Depth, Place, depth_map, locate, shape_evidence
from ewval.core.graph.contact_windows import WINDOWS, window_evidence
from ewval.core.graph.contacts import Contacts, Padded, find_contacts, pad_labels
from ewval.core.graph.quantised import pack_columns, quantise, unpack_columns
from ewval.core.kernels.cube import count_labels, touched_sides
from ewval.core.storage.arrays import read_arrays, write_arrays
from ewval.core.volumes.voxels import count_values
from ewval.core.workers import has_one_thread

A = TypeVar("A")
B = TypeVar("B")

__all__ = [
    "GRAPH_FORM",
    "RISE",
    "SIDE_MARGIN",
    "SegmentGraph",
    "build_graph",
    "has_graph",
    "load_graph",
    "save_graph",
]

GRAPH_FORM = 3
"""Raised whenever a number here changes its meaning, so that a cached graph is never read as something else."""
QUANTISED = ("segments", "evidence")
SMALLER = {"ids": np.uint16, "voxels": np.int32, "pairs": np.uint16, "area": np.int32}
"""What a cube of 256^3 voxels needs of these; in memory they are wider."""
SIDE_MARGIN = 6
"""A segment reaches a side of the cube if it comes this near: sides may be covered by a few voxels of boundary."""


RISE = "rise_mean_2"
"""Of a contact's numbers the one that says most by itself: how much brighter it is two voxels behind than in it."""


@dataclass(frozen=True, slots=True)
class SegmentGraph:
    """Segments of one cube and their contacts.

    Numbers of segments and contacts are quantised (`ewval.core.graph.quantised`), so that a graph that was kept is the
    graph that was measured, bit for bit.

    Args:
        ids: int64[n], ascending.
        voxels: int64[n].
        sides: bool[n, 6], whether a segment reaches the side z low, z high, y low, ... of the cube.
        segment_names: Of the columns of `segments`.
        segments: float32[n, s], numbers of each segment.
        pairs: int64[m, 2], positions in `ids` of touching segments, smaller first, ascending.
        area: float64[m], voxel faces of each contact.
        evidence_names: Of the columns of `evidence`.
        evidence: float32[m, e], numbers of each contact, the same if its two segments change places.
    """

    ids: NDArray[np.int64]
    voxels: NDArray[np.int64]
    sides: NDArray[np.bool_]
    segment_names: tuple[str, ...]
    segments: NDArray[np.float32]
    pairs: NDArray[np.int64]
    area: NDArray[np.float64]
    evidence_names: tuple[str, ...]
    evidence: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.evidence.shape != (len(self.pairs), len(self.evidence_names)) or len(self.area) != len(self.pairs):
            raise ValueError("contacts and their evidence differ in number")
        if self.segments.shape != (len(self.ids), len(self.segment_names)) or len(self.voxels) != len(self.ids):
            raise ValueError("segments and their numbers differ in number")

    def rows(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the positions of `ids`, those that are not in the cube left out."""
        place = np.searchsorted(self.ids, ids)
        known = place < len(self.ids)
        known[known] = self.ids[place[known]] == np.asarray(ids)[known]
        return np.asarray(place[known], dtype=np.int64)


def build_graph(image: NDArray[np.uint8], labels: NDArray[np.uint16]) -> SegmentGraph:
    """Return the graph of a cube, at any resolution.

    Args:
        image: uint8, z y x.
        labels: uint16, z y x, the same shape; 0 is boundary.

    Raises:
        ValueError: The shapes differ.
    """
    if image.shape != labels.shape:
        raise ValueError(f"image {image.shape} and labels {labels.shape} differ in shape")
    ids, voxels = _count_segments(labels)
    table = np.zeros(SEGMENT_ID_COUNT, dtype=np.uint16)
    table[ids] = np.arange(1, len(ids) + 1)
    padded, brightness = _at_once(lambda: pad_labels(labels, table), lambda: smooth_image(image, labels))
    contacts, depth = _at_once(lambda: find_contacts(padded, count=len(ids)), lambda: depth_map(padded, count=len(ids)))
    segments = _segment_numbers(padded, contacts, brightness, depth, ids=ids, voxels=voxels)
    evidence = _evidence(padded, contacts, brightness, depth, segments=segments)
    return SegmentGraph(
        ids=ids,
        voxels=voxels,
        sides=_sides(labels)[ids],
        segment_names=tuple(segments),
        segments=_columns(segments, len(ids)),
        pairs=contacts.pairs,
        area=contacts.area,
        evidence_names=tuple(evidence),
        evidence=_columns(evidence, len(contacts.pairs)),
    )


def save_graph(path: Path, graph: SegmentGraph) -> None:
    """Write `graph` to `path` (.npz), whole or not at all.

    Raises:
        ValueError: Its numbers are not quantised.
    """
    arrays: dict[str, NDArray[Any]] = {"form": np.array(GRAPH_FORM)}
    for name in (f.name for f in fields(graph)):
        array = np.asarray(getattr(graph, name))
        if name in QUANTISED:
            arrays |= {f"{name}.{key}": packed for key, packed in pack_columns(array).items()}
        else:
            arrays[name] = array.astype(SMALLER.get(name, array.dtype))
    write_arrays(path, arrays, compressed=True)


def load_graph(path: Path) -> SegmentGraph:
    """Read what `save_graph` wrote.

    Raises:
        UnreadableError: It cannot be read.
        DamagedError: It is no graph, or one of another form.
    """
    try:
        found: dict[str, Any] = read_arrays(path)
        if int(found.pop("form")) != GRAPH_FORM:
            raise DamagedError(f"graph {path}", "it was written by another version of ewval")
        for key in ("segment_names", "evidence_names"):
            found[key] = tuple(found[key].tolist())
        for name in QUANTISED:
            found[name] = unpack_columns({key: found.pop(f"{name}.{key}") for key in ("planes", "step")})
        for name in SMALLER:
            found[name] = found[name].astype(np.float64 if name == "area" else np.int64)
        return SegmentGraph(**found)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"graph {path}", f"not a segment graph: {error}") from error


def find_graph(path: Path) -> SegmentGraph | None:
    """Return the graph kept at `path`; None where there is none that can be used: it is to be measured.

    Raises:
        UnreadableError: It cannot be read.
    """
    if is_there(path):
        with suppress(DamagedError):  # of an older form or cut short
            return load_graph(path)
    return None


def has_graph(path: Path) -> bool:
    """Whether `path` holds a graph of today's form, or something that cannot be read and that nobody may replace.

    Of the file only the form is read.
    """
    try:
        return int(read_arrays(path, only=("form",))["form"]) == GRAPH_FORM
    except UnreadableError:
        return True
    except (DamagedError, KeyError, TypeError, ValueError):
        return False


def _columns(numbers: dict[str, NDArray[np.float64]], count: int) -> NDArray[np.float32]:
    if not numbers:
        return np.zeros((count, 0), dtype=np.float32)
    columns = np.array([np.asarray(values, dtype=np.float32) for values in numbers.values()]).T
    half = columns.shape[1] // 2
    return np.concatenate(_at_once(lambda: quantise(columns[:, :half]), lambda: quantise(columns[:, half:])), axis=1)


def _count_segments(labels: NDArray[np.uint16]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ids of the segments, ascending, and how many voxels each has."""
    counts = count_labels(labels)
    if counts is None:
        counts = count_values(labels, bins=SEGMENT_ID_COUNT)
    counts[0] = 0
    ids = np.flatnonzero(counts).astype(np.int64)
    return ids, counts[ids]


def _sides(labels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Return which sides each label reaches, bool[SEGMENT_ID_COUNT, 6]."""
    found = touched_sides(labels, margin=SIDE_MARGIN)
    if found is not None:
        return found
    sides = np.zeros((SEGMENT_ID_COUNT, 6), dtype=bool)
    for axis in range(3):
        along = np.moveaxis(labels, axis, 0)
        sides[np.unique(along[:SIDE_MARGIN]), 2 * axis] = True
        sides[np.unique(along[-SIDE_MARGIN:]), 2 * axis + 1] = True
    return sides


def _segment_numbers(
    padded: Padded,
    contacts: Contacts,
    brightness: Brightness,
    depth: Depth,
    *,
    ids: NDArray[np.int64],
    voxels: NDArray[np.int64],
) -> dict[str, NDArray[np.float64]]:
    """Return named numbers of every segment, float64[n] each."""
    count = len(voxels)
    mean, spread = _brightness_of(ids, brightness)
    touching = _per_segment(contacts, contacts.area, count)
    outer = _outer_faces(padded, count)
    thickest = depth.deepest[1:].astype(np.float64)
    size = voxels.astype(np.float64)
    return {
        "log_voxels": np.log(size),
        "mean": mean,
        "spread": spread,
        "log_touching": np.log1p(touching),
        "log_neighbours": np.log1p(_per_segment(contacts, np.ones(len(contacts.area)), count)),
        "log_outer": np.log1p(outer),
        "outer_share": outer / (outer + touching + 1),
        "thickest": thickest,
        "slenderness": np.log(size / (thickest + 1) ** 3),
        "compactness": np.log(size ** (2 / 3) / (touching + outer + 1)),
    }


def _per_segment(contacts: Contacts, values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    return np.asarray(sum(np.bincount(contacts.pairs[:, side], values, minlength=count) for side in range(2)))


def _brightness_of(ids: NDArray[np.int64], brightness: Brightness) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and spread over every second voxel along x; a segment that has none there counts as ordinary."""
    seen, total, squares = brightness.moments[:, ids]
    middle = round(brightness.median)
    squares = squares - 2 * middle * total + middle * middle * seen  # of the distances from the middle
    total, seen = total - middle * seen, np.maximum(seen, 1)
    mean, square = total / seen, squares / seen
    return mean / brightness.spread, np.sqrt(np.maximum(square - mean**2, 0)) / brightness.spread


def _outer_faces(padded: Padded, count: int) -> NDArray[np.float64]:
    """Return how many voxels of each segment lie in the sides of the cube."""
    along = [np.moveaxis(padded.cube, axis, 0) for axis in range(3)]
    sides = [cube[end].reshape(-1) for cube in along for end in (0, -1)]
    return np.bincount(np.concatenate(sides), minlength=count + 1)[1:].astype(np.float64)


def _evidence(
    padded: Padded,
    contacts: Contacts,
    brightness: Brightness,
    depth: Depth,
    *,
    segments: dict[str, NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    """Return named numbers of every contact, float64[m] each."""
    if not len(contacts.pairs):
        return {}
    looks, (place, shape) = _at_once(
        lambda: image_evidence(padded, contacts, brightness), lambda: _shapes(padded, contacts, depth)
    )
    level, half = looks["face_mean"], len(contacts.pairs) // 2
    windows = partial(_windows, padded, brightness, contacts, place, level)
    one, other = _at_once(lambda: windows(slice(half)), lambda: windows(slice(half, None)))
    around = {name: np.concatenate([values, other[name]]) for name, values in one.items()}
    return looks | shape | _sides_of_pair(contacts, segments, level=level) | around


def _shapes(padded: Padded, contacts: Contacts, depth: Depth) -> tuple[Place, dict[str, NDArray[np.float64]]]:
    place = locate(padded, contacts)
    return place, shape_evidence(padded, contacts, place, depth)


def _windows(
    padded: Padded,
    brightness: Brightness,
    contacts: Contacts,
    place: Place,
    level: NDArray[np.float64],
    rows: slice,
) -> dict[str, NDArray[np.float64]]:
    """Return what is in windows around the contacts of some `rows`."""
    around = partial(window_evidence, padded, brightness, pairs=contacts.pairs[rows], area=contacts.area[rows])
    near, far = (around(place=place.of(rows), level=level[rows], window=window) for window in WINDOWS)
    return near | far


def _at_once(one: Callable[[], A], other: Callable[[], B]) -> tuple[A, B]:
    """Return what both give, worked out on two cores: numpy lets other threads run while it passes over an array."""
    if has_one_thread():
        return one(), other()
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(other)
        return one(), waiting.result()


def _sides_of_pair(
    contacts: Contacts, segments: dict[str, NDArray[np.float64]], *, level: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return what the two segments are, and how much of their surface the contact is."""
    one, other = contacts.pairs.T
    numbers: dict[str, NDArray[np.float64]] = {}
    for name, values in segments.items():
        numbers[f"least_{name}"] = np.minimum(values[one], values[other])
        numbers[f"most_{name}"] = np.maximum(values[one], values[other])
    share = [contacts.area / np.expm1(segments["log_touching"][side]) for side in (one, other)]
    mean, spread = segments["mean"], segments["spread"]
    return numbers | {
        "share_least": np.minimum(*share),
        "share_most": np.maximum(*share),
        "means_differ": np.abs(mean[one] - mean[other]),
        "spreads_differ": np.abs(spread[one] - spread[other]),
        "contact_to_size": np.log(contacts.area) - 2 / 3 * numbers["least_log_voxels"],
        "below_darker": level - numbers["least_mean"],
        "below_brighter": level - numbers["most_mean"],
    }
