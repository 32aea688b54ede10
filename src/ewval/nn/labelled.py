"""Cubes whose neurons are known, as the segment head learns from them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.graph import SegmentGraph

__all__ = ["LabelledVolume", "known_pairs"]

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class LabelledVolume:
    """One cube with the answers of its tasks.

    Args:
        name: To tell cubes and data sets apart; what stands before `/` is the data set.
        graph: Its segments and contacts.
        cells: From each cell to its segments (rows of the graph), all of them.
        seeds: From each cell to the seeds that its tasks start from; a seed that is all of the cell is one with nothing
            to add.
        weight: Of its examples in learning.
        validates: Whether settings are chosen on its cells, too. Generated cubes teach, but what they would choose is
            good for generated tissue.
    """

    name: str
    graph: SegmentGraph
    cells: Mapping[int, NDArray[np.int64]]
    seeds: Mapping[int, tuple[NDArray[np.int64], ...]]
    weight: float = 1.0
    validates: bool = True

    @property
    def dataset(self) -> str:
        """The data set that the cube comes from."""
        return self.name.split("/", maxsplit=1)[0]

    @property
    def id(self) -> int:
        """The id of the cube."""
        return int(self.name.rsplit("/", maxsplit=1)[1])

    @property
    def owner(self) -> NDArray[np.int64]:
        """The cell that each segment belongs to, int64[n]; -1 where none is known."""
        owner = np.full(len(self.graph.ids), UNKNOWN, dtype=np.int64)
        for cell, rows in self.cells.items():
            owner[rows] = cell
        return owner


def known_pairs(volume: LabelledVolume, cells: Collection[int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the pairs that `cells` tell something about, and whether both segments are one cell.

    A pair counts if one of its segments belongs to one of `cells` and neither to a cell outside them: what is held
    out is neither a positive nor a negative example.
    """
    owner = volume.owner
    allowed = np.isin(owner, np.array([*cells], dtype=np.int64))
    one, other = volume.graph.pairs.T
    usable = (allowed | (owner == UNKNOWN))[volume.graph.pairs].all(axis=1)
    chosen = np.flatnonzero(usable & (allowed[one] | allowed[other]))
    return chosen, owner[one[chosen]] == owner[other[chosen]]
