"""Labelled cubes from data folders as `ewval fetch`, `pack` and `index` leave them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import MissingError
from ewval.core.folder import DataFolder
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.graph.graph import SegmentGraph
from ewval.core.index.split import Split, read_split
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.views import VolumeSource
from ewval.core.tasks.table import TaskTable
from ewval.core.volumes.store import PackedStore

__all__ = ["read_labelled", "share_out"]

SIDES = ("train", "val", "test")


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
        sides: Of the split, whose tasks count. Cells of the other sides are held out: they and what touches them are
            no examples at all, neither of one cell nor of what is foreign to another.
        fold: Of the cross-validation, None for the plain split.
        weight: Of its examples in learning.
        validates: Whether settings are chosen on its cells, too.
        progress: Advanced once for each cube.

    Raises:
        MissingError: The folder has no split, no task files, or a volume without its files as downloaded.
    """
    table, split = TaskTable.load(folder), read_split(folder, fold=fold)
    rows = _answered(table, split, sides)
    other_rows = _answered(table, split, [side for side in SIDES if side not in sides])
    source, store = VolumeSource(folder), PackedStore(folder)
    volumes = np.unique(table.volume[rows]).tolist()
    progress.start(len(volumes), unit="cubes")
    found = []
    for volume in volumes:
        view = source.graph(volume, store.image(volume), store.segmentation(volume))
        if view.resolution != "full":
            raise MissingError(f"{folder.raw(volume)}", hint="`ewval fetch` brings it; `pack --drop-raw` removed it")
        mine, others = (of[table.volume[of] == volume].tolist() for of in (rows, other_rows))
        name = f"{folder.root.resolve().name}/{volume}"
        labelled = replace(_label(name, view.graph, table, mine), weight=weight, validates=validates)
        held_out = _label(name, view.graph, table, others).cells
        found.append(labelled.withholding(list(held_out.values())))
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


def _answered(table: TaskTable, split: Split, sides: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows of the sides' tasks that have an answer."""
    rows = table.rows(np.concatenate([np.zeros(0, np.int64), *(split.side(side) for side in sides)]))
    return np.array([row for row in rows if table.has_aggregate(int(row))], dtype=np.int64)


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
