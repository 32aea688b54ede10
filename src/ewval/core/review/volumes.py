"""Volumes as the page shows them: what is at hand of each, the latest few kept."""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.folder import DataFolder
from ewval.core.packing.pack import PackRequest, pack
from ewval.core.review.scene import Places
from ewval.core.segments.views import GraphView, VolumeSource
from ewval.core.storage.cache import BoundedCache
from ewval.core.volumes.store import PackedStore
from ewval.core.workers import Workers

__all__ = ["Shown", "ShownVolumes"]

KEPT = 2
"""The volume that is looked at and the next one: 48 MB of voxels each at full resolution."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One volume.

    Args:
        image: uint8, z y x, at full resolution where it is at hand, else packed.
        labels: uint16 segment ids, of the same shape.
        view: Its segment graph.
        places: Where its segments lie.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    view: GraphView
    places: Places


class ShownVolumes:
    """The volumes of a data folder; safe to use from many threads.

    Args:
        folder: The data folder; a volume that was downloaded and not packed is packed when it is first shown.
        kept: Volumes to keep.
    """

    def __init__(self, folder: DataFolder, *, kept: int = KEPT) -> None:
        self._folder = folder
        self._store, self._source = PackedStore(folder, cache=kept), VolumeSource(folder, cache=1)
        self._shown: BoundedCache[int, Shown] = BoundedCache(kept)
        self._lock = threading.Lock()

    def __getitem__(self, volume: int) -> Shown:
        """Return a volume.

        Raises:
            MissingError: It is not in the folder.
            DamagedError: A file of it does not hold what it should.
        """
        with self._lock:
            return self._shown.get(volume, lambda: self._read(volume))

    def graph(self, volume: int) -> GraphView:
        """Return the segment graph of a volume, which is all that ranking its tasks takes; errors as above."""
        with self._lock:
            return self._source.graph(volume, *self._packed(volume))

    def _read(self, volume: int) -> Shown:
        image, labels = self._packed(volume)
        view, graph = self._source.view(volume, labels), self._source.graph(volume, image, labels)
        full = self._source.image(volume), self._source.labels(volume)
        shown = (image, labels) if full[0] is None or full[1] is None else full
        return Shown(*shown, view=graph, places=Places(view.pooling))  # type: ignore[arg-type]

    def _packed(self, volume: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        if not self._store.has(volume) and self._folder.raw(volume).is_dir():
            for failure in pack(PackRequest(self._folder, volumes=[volume], workers=Workers(count=1))).failed:
                raise failure.error
        return self._store.image(volume), self._store.segmentation(volume)
