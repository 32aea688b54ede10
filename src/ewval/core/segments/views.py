"""One volume as predict needs it: its segments at the best resolution at hand, and which of them touch."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import FACTOR, SEGMENT_ID_COUNT
from ewval.core.errors import DataError, MissingError, WriteError
from ewval.core.folder import DataFolder
from ewval.core.graph.graph import SegmentGraph, build_graph, find_graph, save_graph
from ewval.core.segments.doubts import BLACK_VALUE
from ewval.core.segments.verdicts import touching_pairs, unpack_pairs
from ewval.core.storage.cache import BoundedCache
from ewval.core.volumes.pooling import Pooling, pool_full, pool_packed
from ewval.core.volumes.raw import read_image, read_segmentation

Resolution = Literal["full", "packed"]
T = TypeVar("T")

VOLUMES_KEPT = 4
"""Volumes whose views are kept; tasks that are asked together lie in no more."""


@dataclass(frozen=True, slots=True)
class VolumeView:
    """The segments of one volume.

    Args:
        volume: Its id.
        resolution: `full` where the segmentation as downloaded is at hand; with `packed`, segments too small to
            survive the packing are unknown and sizes are estimates.
        pooling: From packed voxels to segments.
        pairs: int64[m, 2], ids of touching segments, smaller id first.
    """

    volume: int
    resolution: Resolution
    pooling: Pooling
    pairs: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Full-resolution voxels by segment id, int64[65536]."""
        sizes = np.zeros(SEGMENT_ID_COUNT, dtype=np.int64)
        sizes[self.pooling.ids] = self.pooling.voxels
        return sizes


def view_volume(volume: int, packed: NDArray[np.uint16], *, full: NDArray[np.uint16] | None) -> VolumeView:
    """Return the view of a volume from its packed segmentation and, where at hand, the full one."""
    pairs = touching_pairs(packed)
    if full is None:
        return VolumeView(volume, "packed", pool_packed(packed), pairs)
    pooling = pool_full(full)
    return VolumeView(volume, "full", pooling, _with_small_segments(pairs, pooling, packed))


@dataclass(frozen=True, slots=True)
class GraphView:
    """The segment graph of one volume.

    Args:
        graph: Its segments and contacts.
        resolution: That it was measured at.
        factor: Full-resolution voxels along the edge of one of its voxels.
        judged: File where what a model says of its contacts may be kept; None for no file.
    """

    graph: SegmentGraph
    resolution: Resolution
    factor: int
    judged: Path | None = None
    _dark: list[tuple[NDArray[np.uint8], NDArray[np.uint16], NDArray[np.float64]]] = field(
        default_factory=list, repr=False, compare=False
    )

    def dark(self, image: NDArray[np.uint8], packed: NDArray[np.uint16]) -> NDArray[np.float64]:
        """Return the share of each segment id that lies in black image, float64[65536]; kept for the next task.

        Args:
            image: uint8, packed.
            packed: Segment ids, packed.
        """
        if not self._dark or self._dark[0][0] is not image or self._dark[0][1] is not packed:
            pooling, dark = pool_packed(packed), np.zeros(SEGMENT_ID_COUNT)
            dark[pooling.ids] = pooling.share(image <= BLACK_VALUE)
            self._dark[:] = [(image, packed, dark)]
        return self._dark[0][2]

    @property
    def voxels(self) -> NDArray[np.int64]:
        """Full-resolution voxels of each segment; an estimate where the graph was measured in the packed cube."""
        return self.graph.voxels * self.factor**3


class ViewSource(Protocol):
    """Where the views of volumes come from."""

    def view(self, volume: int, packed: NDArray[np.uint16]) -> VolumeView:
        """Return the view of `volume`, whose packed segmentation is `packed`."""

    def graph(self, volume: int, image: NDArray[np.uint8], packed: NDArray[np.uint16]) -> GraphView:
        """Return the graph of `volume`, whose packed image and segmentation are given."""


def graph_of_packed(image: NDArray[np.uint8], packed: NDArray[np.uint16]) -> GraphView:
    """Return the graph of a volume of which only the packed cube is at hand."""
    return GraphView(build_graph(image, packed), "packed", FACTOR)


class VolumeSource:
    """Views of the volumes in a data folder; the latest few are kept, since tasks come ordered by volume.

    Args:
        folder: Where `raw/` may hold the volumes as downloaded.
        full_resolution: False to leave `raw/` alone, as a folder without it would do.
        cache: Views to keep, about 12 MB each.
    """

    def __init__(self, folder: DataFolder, *, full_resolution: bool = True, cache: int = VOLUMES_KEPT) -> None:
        self._folder, self._full_resolution = folder, full_resolution
        self._views: BoundedCache[int, VolumeView] = BoundedCache(cache)
        self._graphs: BoundedCache[int, GraphView] = BoundedCache(cache)
        self._latest: dict[str, tuple[int, object]] = {}

    def view(self, volume: int, packed: NDArray[np.uint16]) -> VolumeView:
        """Return the view of `volume`, whose packed segmentation is `packed`.

        Raises:
            DamagedError: The segmentation in `raw/` does not hold what it should.
        """
        return self._views.get(volume, lambda: view_volume(volume, packed, full=self.labels(volume)))

    def graph(self, volume: int, image: NDArray[np.uint8], packed: NDArray[np.uint16]) -> GraphView:
        """Return the graph of `volume`, at full resolution where an earlier run measured it or `raw/` holds it.

        Args:
            volume: Its id.
            image: uint8, packed.
            packed: Segment ids, packed.

        Raises:
            DamagedError: A file in `raw/` does not hold what it should.
        """
        return self._graphs.get(volume, lambda: self._full_graph(volume) or graph_of_packed(image, packed))

    def _full_graph(self, volume: int) -> GraphView | None:
        if not self._full_resolution:
            return None
        path, judged = self._folder.graph(volume), self._folder.judged(volume)
        if (found := find_graph(path)) is not None:
            return GraphView(found, "full", 1, judged)
        image, labels = self.image(volume), self.labels(volume)
        if image is None or labels is None:
            return None
        graph = build_graph(image, labels)
        with suppress(WriteError):  # a folder that cannot be written to is still good for reading
            save_graph(path, graph)
        return GraphView(graph, "full", 1, judged)

    def labels(self, volume: int) -> NDArray[np.uint16] | None:
        """Return the full-resolution segmentation, uint16 z y x; None where it is not at hand."""
        return self._read(read_segmentation, volume, kind="labels")

    def take_labels(self, volume: int, labels: NDArray[np.uint16]) -> None:
        """Take the full-resolution segmentation of `volume`, uint16 z y x, from somebody who has read it."""
        self._latest["labels"] = (volume, labels)

    def image(self, volume: int) -> NDArray[np.uint8] | None:
        """Return the full-resolution image, uint8 z y x; None where it is not at hand."""
        return self._read(read_image, volume, kind="image")

    def to_draw(self, volume: int) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint16] | None]:
        """Return image and labels, None for what cannot be read either: packed ones do for a picture."""
        image, labels = None, None
        with suppress(DataError):
            image = self.image(volume)
        with suppress(DataError):
            labels = self.labels(volume)
        return image, labels

    def _read(self, reader: Callable[[Path], T], volume: int, *, kind: str) -> T | None:
        # Pooling, graph and pictures of one volume ask for the same arrays one after another.
        if not self._full_resolution:
            return None
        if kind not in self._latest or self._latest[kind][0] != volume:
            try:
                self._latest[kind] = (volume, reader(self._folder.raw(volume)))
            except MissingError:
                self._latest[kind] = (volume, None)
        return cast("T | None", self._latest[kind][1])


def _with_small_segments(pairs: NDArray[np.int64], pooling: Pooling, packed: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Add what the packed cube cannot show: a segment that vanished in it touches all others in its packed voxels."""
    shown = np.zeros(SEGMENT_ID_COUNT, dtype=bool)
    shown[packed] = True
    label = pooling.ids[pooling.index]
    small = ~shown[label]
    low = np.minimum(label[small], packed.ravel()[pooling.block[small]])
    high = np.maximum(label[small], packed.ravel()[pooling.block[small]])
    keys = np.concatenate([pairs[:, 0] * SEGMENT_ID_COUNT + pairs[:, 1], low * SEGMENT_ID_COUNT + high])
    return unpack_pairs(np.unique(keys[keys >= SEGMENT_ID_COUNT]))
