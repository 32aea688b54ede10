"""Labelled cubes from data folders as `ewval fetch`, `pack` and `index` leave them."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import MissingError
from ewval.core.folder import DataFolder
from ewval.core.forest.labelled import LabelledVolume, VolumeKind, dealt_alone
from ewval.core.graph.graph import SegmentGraph, has_graph
from ewval.core.index.split import Split, read_split
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.views import VolumeSource
from ewval.core.tasks.table import TaskTable
from ewval.core.volumes.store import PackedStore

__all__ = ["dataset_names", "read_labelled", "share_out"]

SIDES = ("train", "val", "test")
WHERE_FROM = "`ewval pack` measures it in raw files; where these are gone, fetch into a new data folder"


def dataset_names(folders: Sequence[DataFolder]) -> list[str]:
    """Return a name of its own for the data set in each folder: that of the folder, with a number where it is taken.

    Cubes are told apart by the name of their data set and their id, and two folders of one name may hold one cube.
    """
    own = [folder.root.resolve().name for folder in folders]
    names = list[str]()
    for name in own:
        others = (f"{name}-{number}" for number in itertools.count(2))
        names.append(name if name not in names else next(other for other in others if other not in {*own, *names}))
    return names


def read_labelled(
    folder: DataFolder,
    *,
    name: str | None = None,
    sides: Sequence[str] = ("train", "val"),
    fold: int | None = None,
    weight: float = 1.0,
    kind: VolumeKind = "real",
    most: int | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> list[LabelledVolume]:
    """Return the cubes of a folder with the answers of its tasks; graphs are measured once and kept there.

    Args:
        folder: With the graphs of its volumes, or `raw/` to measure them in.
        name: Of the data set, None for that of the folder; see `dataset_names` where there are several.
        sides: Of the split, whose tasks count. Cells of the other sides are held out: they and what touches them are
            no examples at all, neither of one cell nor of what is foreign to another.
        fold: Of the cross-validation, None for the plain split.
        weight: Of its examples in learning.
        kind: Of the cubes.
        most: Cubes, at most; None for all. Every cell in turn gives one of its own.
        seed: Of which cubes these are.
        progress: Advanced once for each cube.

    Raises:
        MissingError: The folder has no split, no task files, or a volume with neither graph nor raw files.
    """
    table, split = TaskTable.load(folder), read_split(folder, fold=fold)
    rows = _answered(table, split, sides)
    other_rows = _answered(table, split, [side for side in SIDES if side not in sides])
    source, store = VolumeSource(folder), PackedStore(folder)
    volumes = _drawn(table, rows, most=most, seed=seed)
    name = folder.root.resolve().name if name is None else name
    progress.start(len(volumes), unit="cubes")
    found = []
    for volume in volumes:
        view = source.graph(volume, store.image(volume), store.segmentation(volume))
        if view.resolution != "full":
            raise MissingError(f"the segment graph {folder.graph(volume)}", hint=WHERE_FROM)
        mine, others = (of[table.volume[of] == volume].tolist() for of in (rows, other_rows))
        cube = f"{name}/{volume}"
        labelled = replace(_label(cube, view.graph, table, mine), weight=weight, kind=kind)
        if has_graph(folder.graph(volume)):  # a folder that cannot be written to has none
            labelled = replace(labelled, stored=folder.graph(volume))
        held_out = _label(cube, view.graph, table, others).cells
        found.append(labelled.withholding(list(held_out.values())))
        progress.advance(1)
    return found


def share_out(volumes: Iterable[LabelledVolume], *, parts: int, seed: int = 0) -> dict[int, int]:
    """Return a part for every cell, the same for a cell in all its cubes; parts differ by at most one cell.

    Cells of generated cubes are dealt among themselves.

    Args:
        volumes: With known cells.
        parts: How many.
        seed: Of the draw.
    """
    dealt: dict[int, int] = {}
    for cells, random in dealt_alone(volumes, seed=seed):
        dealt |= {cell: int(place % parts) for cell, place in zip(cells, random.permutation(len(cells)), strict=True)}
    return dealt


def _drawn(table: TaskTable, rows: NDArray[np.int64], *, most: int | None, seed: int) -> list[int]:
    """Return the volumes of the tasks in `rows`, ascending, `most` of them: each cell in turn gives its next one."""
    volumes = np.unique(table.volume[rows])
    if most is None or len(volumes) <= most:
        return [int(volume) for volume in volumes]
    shuffled = rows[np.random.default_rng(seed).permutation(len(rows))]
    by_cell = np.argsort(table.group[shuffled], kind="stable")
    cells = table.group[shuffled][by_cell]
    turn = np.arange(len(cells)) - np.searchsorted(cells, cells)
    in_turn = table.volume[shuffled][by_cell][np.argsort(turn, kind="stable")]
    _, first = np.unique(in_turn, return_index=True)
    return sorted(int(volume) for volume in in_turn[np.sort(first)][:most])


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
