"""Labelled cubes under changed looks and sizes, to learn from beside the cubes themselves."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import DamagedError
from ewval.core.folder import DataFolder, is_there
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.graph.graph import SegmentGraph, build_graph, load_graph, save_graph
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.views import VolumeSource
from ewval.core.storage.files import make_folder
from ewval.core.training.augment import close_gaps, magnify, open_gaps, vary_image

__all__ = ["AugmentedCubes", "augment_volumes", "count_augmented"]

LEAST_SEGMENTS = 2
"""Of a cell in a part of its cube; with fewer there is nothing to join."""


@dataclass(frozen=True, slots=True)
class AugmentedCubes:
    """Changed forms of the cubes that are learned from, where their raw files are at hand.

    Args:
        varied: Of each cube, with another image, every second one with other gaps between segments, too.
        magnified: Of each cube, parts at the size of the whole, every second one with another image, too.
        weight: Of all varied ones together, and of all magnified ones, beside the cube itself.
        seed: That they are drawn with.
    """

    varied: int = 8
    magnified: int = 6
    weight: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.varied < 0 or self.magnified < 0 or not self.weight > 0:
            raise ValueError("varied and magnified must be at least 0, weight above 0")


def count_augmented(volumes: Sequence[LabelledVolume], plan: AugmentedCubes) -> int:
    """Return how many graphs `augment_volumes` measures at most."""
    return len(volumes) * (plan.varied + plan.magnified)


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
        for form in _forms(plan):
            path = kept / f"{volume.id}-{form.name}.npz"
            graph = _graph(path, source, volume.id, form, seed=plan.seed)
            if graph is not None:
                found.append(replace(_with_graph(volume, form, graph), stored=path))
            progress.advance(1)
    return [volume for volume in found if volume.cells]


@dataclass(frozen=True, slots=True)
class _Form:
    """One changed form of a cube, the same of every cube but for what is drawn."""

    name: str
    number: int
    is_magnified: bool
    share: float

    def draw(
        self, image: NDArray[np.uint8], labels: NDArray[np.uint16], random: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Return the changed image and segmentation."""
        if self.is_magnified:
            image, labels = magnify(image, labels, random)
            return (vary_image(image, random) if self.number % 2 else image), labels
        if self.number % 4 == 2:
            labels = close_gaps(labels, random)
        elif self.number % 4 == 3:
            labels = open_gaps(labels)
        return vary_image(image, random), labels


def _forms(plan: AugmentedCubes) -> Iterator[_Form]:
    for number in range(plan.varied):
        yield _Form(f"varied-{number}", number, is_magnified=False, share=plan.weight / plan.varied)
    for number in range(plan.magnified):
        yield _Form(f"magnified-{number}", number, is_magnified=True, share=plan.weight / plan.magnified)


def _graph(path: Path, source: VolumeSource, volume: int, form: _Form, *, seed: int) -> SegmentGraph | None:
    """Return the graph kept at `path`, else measure and keep it; None where the volume's raw files are gone."""
    with suppress(DamagedError):  # of an older form or cut short: it is measured again
        if is_there(path):
            return load_graph(path)
    image, labels = source.image(volume), source.labels(volume)
    if image is None or labels is None:
        return None
    random = np.random.default_rng([seed, volume, form.number, form.is_magnified])
    graph = build_graph(*form.draw(image, labels, random))
    save_graph(path, graph)
    return graph


def _with_graph(volume: LabelledVolume, form: _Form, graph: SegmentGraph) -> LabelledVolume:
    """Return the cells of `volume` as they are found in another graph of it, in which segments may be missing."""
    ids = volume.graph.ids

    def rows(of: NDArray[np.int64]) -> NDArray[np.int64]:
        return graph.rows(ids[of])

    members = {cell: rows(of) for cell, of in volume.cells.items()}
    seeds = {cell: tuple(seed for seed in map(rows, of) if len(seed)) for cell, of in volume.seeds.items()}
    cells = {cell: of for cell, of in members.items() if len(of) >= LEAST_SEGMENTS and seeds.get(cell)}
    form_of = replace(
        volume,
        name=f"{volume.dataset}/{form.name}/{volume.id}",
        stored=graph,
        cells=cells,
        seeds={cell: seeds[cell] for cell in cells},
        withheld=rows(volume.withheld),
        weight=volume.weight * form.share,
        kind="augmented",
    )
    lost = [of for cell, of in members.items() if cell not in cells]
    return form_of.withholding(lost) if lost else form_of
