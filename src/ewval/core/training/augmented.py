"""Labelled cubes under changed looks, to learn from beside the cubes themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ewval.core.folder import DataFolder
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.ranges import ABOVE_NOTHING, AT_LEAST_NOTHING, AT_LEAST_ONE, check_ranges
from ewval.core.graph.graph import SegmentGraph, build_graph, find_graph, save_graph
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.views import VolumeSource
from ewval.core.storage.files import make_folder
from ewval.core.training.augment import close_gaps, open_gaps, vary_image

__all__ = ["AugmentedCubes", "augment_volumes"]


@dataclass(frozen=True, slots=True)
class AugmentedCubes:
    """Changed forms of the cubes that are learned from, where their raw files are at hand.

    Args:
        forms: Of each cube: all with another image, half of them with other gaps between segments, too.
        weight: Of all forms together, beside the cube itself.
        seed: That they are drawn with.
    """

    forms: int = 8
    weight: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, {"forms": AT_LEAST_ONE, "weight": ABOVE_NOTHING, "seed": AT_LEAST_NOTHING})


def augment_volumes(
    data: DataFolder,
    volumes: Sequence[LabelledVolume],
    plan: AugmentedCubes,
    *,
    kept: Path,
    progress: Progress = SILENT,
) -> list[LabelledVolume]:
    """Return the changed forms of a data folder's cubes; of those without raw files there are none.

    Args:
        data: Where `raw/` holds the volumes as downloaded.
        volumes: Its cubes, with known cells.
        plan: Which forms there are.
        kept: A folder for their graphs alone, which are measured once.
        progress: Advanced once for each form of each cube.

    Raises:
        DamagedError: A file in `raw/` does not hold what it should.
    """
    source, found = VolumeSource(data), []
    make_folder(kept)
    for volume in volumes:
        for number in range(plan.forms):
            path = kept / f"{volume.id}-{number}.npz"
            graph = _graph(path, source, volume.id, number, seed=plan.seed)
            if graph is not None:
                found.append(_form_of(volume, number, graph, path, weight=plan.weight / plan.forms))
            progress.advance(1)
    return found


def _graph(path: Path, source: VolumeSource, volume: int, number: int, *, seed: int) -> SegmentGraph | None:
    """Return the graph kept at `path`, else measure and keep it; None where the volume's raw files are gone."""
    if (found := find_graph(path)) is not None:
        return found
    image, labels = source.image(volume), source.labels(volume)
    if image is None or labels is None:
        return None
    random = np.random.default_rng([seed, volume, number])
    if number % 4 == 2:
        labels = close_gaps(labels, random)
    elif number % 4 == 3:
        labels = open_gaps(labels)
    graph = build_graph(vary_image(image, random), labels)
    save_graph(path, graph)
    return graph


def _form_of(volume: LabelledVolume, number: int, graph: SegmentGraph, path: Path, *, weight: float) -> LabelledVolume:
    """Return the cells of `volume` as they are found in another graph of it, kept at `path`."""
    ids = volume.graph.ids

    def rows(of: NDArray[np.int64]) -> NDArray[np.int64]:
        return graph.rows(ids[of])  # a thin segment may be lost where gaps were opened

    return replace(
        volume,
        name=f"{volume.dataset}/form-{number}/{volume.id}",
        stored=path,
        cells={cell: rows(of) for cell, of in volume.cells.items()},
        seeds={cell: tuple(seed for seed in map(rows, of) if len(seed)) for cell, of in volume.seeds.items()},
        withheld=rows(volume.withheld),
        weight=volume.weight * weight,
        kind="augmented",
    )
