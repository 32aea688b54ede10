"""Cubes whose neurons are known, as the segment head learns from them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ewval.core.graph.graph import SegmentGraph, load_graph

__all__ = [
    "LabelledVolume",
    "VolumeKind",
    "cells_of",
    "dealt_alone",
    "known_pairs",
    "surroundings_of",
    "validating",
]

VolumeKind = Literal["real", "augmented", "generated", "apart"]

UNKNOWN = -1
GRAPHS_KEPT = 8
"""Work goes cube by cube, and a set of a few cubes is read once."""
NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class LabelledVolume:
    """One cube with the answers of its tasks.

    Args:
        name: To tell cubes and data sets apart; what stands before `/` is the data set.
        stored: Its segments and contacts, or the file that holds them: thousands of cubes do not fit into memory.
        cells: From each cell to its segments (rows of the graph), all of them.
        seeds: From each cell to the seeds that its tasks start from; a seed that is all of its piece of the cell is
            one with nothing to add.
        withheld: Segments (rows of the graph) that nothing is learned from, see `surroundings_of`.
        weight: Of its examples in learning.
        kind: `real`, `augmented` (a real cube in another form), `generated`, or `apart`: generated in a look that has
            forests of its own. Settings are chosen on the cells of real ones alone: what others would choose is good
            for them.
    """

    name: str
    stored: SegmentGraph | Path
    cells: Mapping[int, NDArray[np.int64]]
    seeds: Mapping[int, tuple[NDArray[np.int64], ...]]
    withheld: NDArray[np.int64] = field(default_factory=lambda: NONE)
    weight: float = 1.0
    kind: VolumeKind = "real"

    @property
    def validates(self) -> bool:
        """Whether settings are chosen on its cells, too."""
        return self.kind == "real"

    @property
    def graph(self) -> SegmentGraph:
        """Its segments and contacts; of those in files the latest few stay in memory.

        Raises:
            DamagedError: The file does not hold what it should.
        """
        return _load(self.stored) if isinstance(self.stored, Path) else self.stored

    @property
    def dataset(self) -> str:
        """The data set that the cube comes from."""
        return self.name.split("/", maxsplit=1)[0]

    @property
    def id(self) -> int:
        """The id of the cube."""
        return int(self.name.rsplit("/", maxsplit=1)[1])

    @property
    def is_withheld(self) -> NDArray[np.bool_]:
        """Whether each segment is withheld, bool[n]."""
        mask = np.zeros(len(self.graph.ids), dtype=bool)
        mask[self.withheld] = True
        return mask

    @property
    def owner(self) -> NDArray[np.int64]:
        """The cell that each segment belongs to, int64[n]; -1 where none is known."""
        owner = np.full(len(self.graph.ids), UNKNOWN, dtype=np.int64)
        for cell, rows in self.cells.items():
            owner[rows] = cell
        return owner

    def to_add(self, cell: int, seed: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what of a cell there is to add to a seed: the rest of what hangs together with it.

        A cell may lie in a cube in several pieces. No task asks for all of them, and nothing that joins one touching
        segment after the other would find them.

        Args:
            cell: One of `cells`.
            seed: Rows of the graph.

        Returns:
            Rows of the graph, ascending.
        """
        inside, members = (np.zeros(len(self.graph.ids), dtype=bool) for _ in range(2))
        inside[seed], members[self.cells[cell]] = True, True
        within = self.graph.pairs[members[self.graph.pairs].all(axis=1)]
        while len(touched := within[inside[within].any(axis=1)]) and not inside[touched].all():
            inside[touched] = True
        inside[seed] = False
        return np.flatnonzero(inside)

    def without(self, cells: Collection[int]) -> "LabelledVolume":
        """Return the volume without `cells`, their surroundings withheld: these cells are held out."""
        left = {cell: rows for cell, rows in self.cells.items() if cell not in cells}
        seeds = {cell: seeds for cell, seeds in self.seeds.items() if cell not in cells}
        held_out = [rows for cell, rows in self.cells.items() if cell in cells]
        return replace(self, cells=left, seeds=seeds).withholding(held_out)

    def withholding(self, held_out: Sequence[NDArray[np.int64]]) -> "LabelledVolume":
        """Return the volume with the surroundings of held-out cells withheld, given as rows of the graph."""
        known = np.concatenate([NONE, *self.cells.values()])
        rows = np.setdiff1d(np.concatenate([NONE, *held_out]), known)
        around = surroundings_of(rows, self.graph, known=known)
        return replace(self, withheld=np.union1d(self.withheld, around))


def validating(volumes: Iterable[LabelledVolume]) -> list[LabelledVolume]:
    """Return the volumes whose cells choose settings: all where none is real."""
    every = list(volumes)
    return [volume for volume in every if volume.validates] or every


def cells_of(volumes: Iterable[LabelledVolume]) -> set[int]:
    """Return the cells that settings are chosen on: how much is known of the tissue, cubes that are not real aside."""
    return {cell for volume in validating(volumes) for cell in volume.cells}


def dealt_alone(volumes: Iterable[LabelledVolume], *, seed: int) -> Iterator[tuple[list[int], np.random.Generator]]:
    """Yield the cells that are dealt into parts among themselves, ascending, and what deals them.

    First those of what is there, in whatever form, then those of generated cubes, then those of cubes that are apart:
    further ones leave the parts of what is there as they are.
    """
    every, taken = list(volumes), set[int]()
    for number, kinds in enumerate((("real", "augmented"), ("generated",), ("apart",))):
        cells = {cell for volume in every if volume.kind in kinds for cell in volume.cells} - taken
        taken |= cells
        yield sorted(cells), np.random.default_rng([seed, number] if number else seed)


@lru_cache(maxsize=GRAPHS_KEPT)
def _load(path: Path) -> SegmentGraph:
    return load_graph(path)


def surroundings_of(rows: NDArray[np.int64], graph: SegmentGraph, *, known: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what to withhold while `rows`, segments of held-out cells, are to be asked for later.

    These and all that touch them, but for the `known` segments of other cells. Were they examples of what is foreign to
    the cells learned from, the segments themselves would be learned by heart as foreign, and the held-out cells would
    do worse than cells of a cube never seen; were only `rows` left out, their neighbours alone would, and they would do
    better.
    """
    is_held = np.zeros(len(graph.ids), dtype=bool)
    is_held[rows] = True
    is_held[graph.pairs[is_held[graph.pairs].any(axis=1)].ravel()] = True
    is_held[known] = False
    return np.flatnonzero(is_held)


def known_pairs(volume: LabelledVolume) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the pairs that the volume's cells tell something about, and whether both segments are one cell.

    A pair counts if one of its segments belongs to a cell and none is withheld: what is held out is neither a positive
    nor a negative example.
    """
    owner = volume.owner
    one, other = volume.graph.pairs.T
    usable = ~volume.is_withheld[volume.graph.pairs].any(axis=1)
    chosen = np.flatnonzero(usable & ((owner[one] != UNKNOWN) | (owner[other] != UNKNOWN)))
    return chosen, owner[one[chosen]] == owner[other[chosen]]
