"""Labelled cubes from data folders as `ewval fetch`, `pack` and `index` leave them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import MissingError
from ewval.core.folder import DataFolder
from ewval.core.graph import SegmentGraph
from ewval.core.progress import SILENT, Progress
from ewval.core.split import read_split
from ewval.core.store import PackedStore
from ewval.core.tasks import TaskTable
from ewval.core.views import VolumeSource
from ewval.nn.labelled import LabelledVolume

__all__ = ["read_labelled", "share_out"]


def read_labelled(
    folder: DataFolder,
    *,
    sides: Sequence[str] = ("train", "val"),
    fold: int | None = None,
    weight: float = 1.0,
    validates: bool = True,
    progress: Progress = SILENT,
) -> list[LabelledVolume]:
    """Return the cubes of a folder with the answers of its tasks; graphs are measured once and kept there.

    Args:
        folder: With `raw/` at hand, since contacts are measured at full resolution.
        sides: Of the split, whose tasks count; all others are as unknown as if they had never been asked.
        fold: Of the cross-validation, None for the plain split.
        weight: Of its examples in learning.
        validates: Whether settings are chosen on its cells, too.
        progress: Advanced once for each cube.

    Raises:
        MissingError: The folder has no split, no task files, or a volume without its files as downloaded.
    """
    table, split = TaskTable.load(folder), read_split(folder, fold=fold)
    rows = table.rows(np.concatenate([getattr(split, side) for side in sides]))
    rows = rows[[table.has_aggregate(int(row)) for row in rows]] if len(rows) else rows
    source, store = VolumeSource(folder), PackedStore(folder)
    volumes = np.unique(table.volume[rows]).tolist()
    progress.start(len(volumes), unit="cubes")
    found = []
    for volume in volumes:
        view = source.graph(volume, store.image(volume), store.segmentation(volume))
        if view.resolution != "full":
            raise MissingError(f"{folder.raw(volume)}", hint="`ewval fetch` brings it; `pack --drop-raw` removed it")
        mine = rows[table.volume[rows] == volume].tolist()
        name = f"{folder.root.resolve().name}/{volume}"
        found.append(replace(_label(name, view.graph, table, mine), weight=weight, validates=validates))
        progress.advance(1)
    return found


def share_out(volumes: Iterable[LabelledVolume], *, parts: int, seed: int = 0) -> dict[int, int]:
    """Return a part for every cell, the same for a cell in all its cubes; parts differ by at most one cell.

    Args:
        volumes: With known cells.
        parts: How many.
        seed: Of the draw.
    """
    cells = sorted({cell for volume in volumes for cell in volume.cells})
    drawn = np.random.default_rng(seed).permutation(len(cells))
    return {cell: int(place % parts) for cell, place in zip(cells, drawn, strict=True)}


def _label(name: str, graph: SegmentGraph, table: TaskTable, rows: Sequence[int]) -> LabelledVolume:
    cells: dict[int, NDArray[np.int64]] = {}
    seeds: dict[int, tuple[NDArray[np.int64], ...]] = {}
    for row in rows:
        cell, seed = int(table.group[row]), graph.rows(table.seed(row))
        members = np.union1d(graph.rows(table.aggregate(row)), seed)
        if len(seed):
            cells[cell] = np.union1d(cells.get(cell, members), members)
            seeds[cell] = (*seeds.get(cell, ()), seed)
    return LabelledVolume(name, graph, cells, seeds)
