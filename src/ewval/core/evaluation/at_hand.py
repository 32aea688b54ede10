"""Which volumes an evaluation finds at full resolution: tasks score otherwise where only the packed cube is at hand."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import CUBE_EDGE
from ewval.core.folder import DataFolder, is_there
from ewval.core.graph.graph import has_graph

__all__ = ["at_hand"]


def at_hand(folder: DataFolder, volumes: NDArray[np.int64]) -> str:
    """Return a checksum of which of `volumes` have their segments, and their graph, at full resolution.

    Files are looked for, not read. A graph counts as there where it can be measured, so that an evaluation which keeps
    the graphs that it measured is still the same.
    """
    digest = hashlib.sha256()
    for volume in np.unique(volumes).tolist():
        labels = _has_labels(folder, volume)
        graph = has_graph(folder.graph(volume)) or (labels and _has_image(folder, volume))
        digest.update(f"{volume} {labels:d} {graph:d};".encode())
    return digest.hexdigest()


def _has_labels(folder: DataFolder, volume: int) -> bool:
    return all(is_there(folder.raw(volume) / name) for name in ("segmentation.lzma", "metadata.json"))


def _has_image(folder: DataFolder, volume: int) -> bool:
    return all(is_there(folder.raw(volume) / f"jpg/{z}.jpg") for z in range(CUBE_EDGE))
