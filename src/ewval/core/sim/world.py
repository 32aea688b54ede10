"""A generated world: tissue, the volumes cut out of it, and the cells that people traced through them."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import CUBE_EDGE, CUBE_STRIDE
from ewval.core.progress import SILENT, Progress
from ewval.core.sim.cells import SimCell, SimTask, trace_cells
from ewval.core.sim.tissue.grid import SCALE, Shape, doubled, repeated
from ewval.core.sim.tissue.microscope import expose, photograph
from ewval.core.sim.tissue.oversegment import Evidence, boundary_evidence, segment
from ewval.core.sim.tissue.style import Style
from ewval.core.sim.tissue.tissue import make_tissue
from ewval.core.sim.volumes import Origin, SimVolume, make_volume

Item = TypeVar("Item")
Result = TypeVar("Result")
WORKERS = 2
"""Threads; the heavy loops run outside the interpreter's lock."""


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """What world to generate.

    Args:
        seed: The same seed gives the same world.
        volumes: Volumes along z, y, x; each is 256^3 and shares 32 voxels with its neighbours.
        cells: Cells at most.
        style: How it looks.
        magnify: Generate at 1/magnify of raw size and enlarge: 2 is eight times as fast, for tests.
        origin: First voxel of the world in the data set, z y x.

    Raises:
        ValueError: No volumes, no cells, or `magnify` other than 1, 2 or 4.
    """

    seed: int = 0
    volumes: Shape = (1, 2, 2)
    cells: int = 40
    style: Style = field(default_factory=Style)
    magnify: int = 1
    origin: Origin = (434, 498, 466)

    def __post_init__(self) -> None:
        if min(self.volumes) < 1 or self.cells < 1:
            raise ValueError(f"a world of {self.volumes} volumes and {self.cells} cells is empty")
        if self.magnify not in (1, 2, 4):
            raise ValueError(f"magnify {self.magnify} is not 1, 2 or 4")

    @property
    def shape(self) -> Shape:
        """Raw voxels of the world, z y x."""
        depth, height, width = (CUBE_EDGE + (count - 1) * CUBE_STRIDE for count in self.volumes)
        return depth, height, width


@dataclass(frozen=True, slots=True)
class World:
    """A generated world.

    Args:
        spec: What it was made from.
        image: uint8, raw voxels z y x, before JPEG.
        truth: int32, neurite of each voxel, at 1/(SCALE * magnify) of raw size.
        volumes: Its volumes, in the order of their origins.
        cells: The cells that were traced.
    """

    spec: WorldSpec
    image: NDArray[np.uint8]
    truth: NDArray[np.int32]
    volumes: tuple[SimVolume, ...]
    cells: tuple[SimCell, ...]

    @property
    def tasks(self) -> tuple[SimTask, ...]:
        """All tasks, by ascending id."""
        return tuple(sorted((task for cell in self.cells for task in cell.tasks), key=lambda task: task.id))


TINY = WorldSpec(seed=1, volumes=(1, 1, 2), cells=12, magnify=2)
"""Two volumes in seconds, for tests."""


def generate_world(spec: WorldSpec, *, progress: Progress = SILENT) -> World:
    """Return the world of `spec`; takes about a minute of one core for four volumes."""
    progress.start(4, unit="steps")
    rng = np.random.default_rng(spec.seed)
    coarse = SCALE * spec.magnify
    depth, height, width = (length // coarse for length in spec.shape)
    tissue = make_tissue(rng, (depth, height, width), style=spec.style)
    progress.advance()
    exposure = expose(rng, tissue, style=spec.style)
    image = photograph(spec.seed, _magnified(exposure.grey, spec.magnify), style=spec.style)
    progress.advance()
    evidence = boundary_evidence(rng, exposure, style=spec.style)
    volumes = _cut(rng, evidence, tissue.neurites, spec=spec)
    progress.advance()
    cells = trace_cells(rng, volumes, count=spec.cells)
    progress.advance()
    return World(spec, image, tissue.neurites, volumes, cells)


def _magnified(grey: NDArray[np.float32], magnify: int) -> NDArray[np.float32]:
    while magnify > 1:
        grey = doubled(doubled(doubled(grey, 0), 1), 2)
        magnify //= 2
    return grey


def _cut(
    rng: np.random.Generator, evidence: Evidence, neurites: NDArray[np.int32], *, spec: WorldSpec
) -> tuple[SimVolume, ...]:
    """Segment each volume by itself, so that ids mean nothing outside it and overlaps differ a little."""
    origins = [(z, y, x) for z, y, x in product(*(range(0, n * CUBE_STRIDE, CUBE_STRIDE) for n in spec.volumes))]
    channels = 71_140 + 2 * np.sort(rng.choice(2000, size=len(origins), replace=False))
    coarse = SCALE * spec.magnify

    def make(place: tuple[Origin, int]) -> SimVolume:
        origin, channel = place
        box = tuple(slice(start // coarse, (start + CUBE_EDGE) // coarse) for start in origin)
        labels = segment(replace(evidence, field=evidence.field[box]), style=spec.style)
        for _ in range(spec.magnify.bit_length() - 1):
            labels = repeated(labels)
        return make_volume(
            volume=channel + 1, channel=channel, origin=origin, labels=labels, truth=neurites[box]
        )  # fmt: skip

    return tuple(side_by_side(make, zip(origins, channels.tolist(), strict=True)))


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return the results of `work`, in order, computed a few at a time."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(work, items))
