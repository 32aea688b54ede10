"""Tasks drawn from one generated cube: any neurite, from any part of it, thousands of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import CUBE_EDGE, CUBE_OVERLAP
from ewval.core.sim.sample import Cube
from ewval.core.sim.tissue.grid import SCALE
from ewval.core.sim.volumes import Ids, SimVolume, make_volume

FROM_FACE = 0.55
"""Share of tasks whose seed comes from a neighbouring volume, through the overlap with it."""
FROM_INSIDE = 0.25
"""Share of tasks that begin with one segment anywhere, as roots do; the rest begin with some neighbouring ones."""
NOTHING_TO_ADD = 0.08
"""Share of tasks whose seed is the whole answer."""
SMALLEST_SHARE = 1e-4
"""Share of the cube that a neurite's part must fill to be asked for."""
TRIES = 12


@dataclass(frozen=True, slots=True)
class Exercise:
    """One task and its true answer.

    Args:
        neurite: The neurite that is asked for.
        seed: Segments that are given, ascending.
        answer: All segments of the connected part, with the seed, ascending.
    """

    neurite: int
    seed: tuple[int, ...]
    answer: tuple[int, ...]


def draw_exercises(rng: np.random.Generator, cube: Cube, *, count: int) -> tuple[Exercise, ...]:
    """Return up to `count` different tasks of `cube`, in random order.

    Larger neurites come up more often, with the root of their size. Cubes of few segments have fewer tasks.
    """
    truth = cube.truth[::SCALE, ::SCALE, ::SCALE].astype(np.int32)
    volume = make_volume(volume=1, channel=0, origin=(0, 0, 0), labels=cube.labels, truth=truth)
    parts = _Parts.of(volume)
    found: dict[Exercise, None] = {}
    for _ in range(TRIES * count if len(parts.ids) else 0):
        if len(found) == count:
            break
        found.setdefault(parts.draw(rng))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The connected parts of neurites that can be asked for."""

    volume: SimVolume
    ids: Ids
    chances: NDArray[np.float64]
    centres: NDArray[np.float64]
    at_face: NDArray[np.bool_]

    @classmethod
    def of(cls, volume: SimVolume) -> "_Parts":
        voxels = np.bincount(volume.groups, volume.sizes)
        voxels[0] = 0
        ids = np.flatnonzero(voxels >= SMALLEST_SHARE * volume.labels.size)
        weight = np.sqrt(voxels[ids])
        return cls(volume, ids, weight / max(weight.sum(), 1), _centres(volume.labels), _at_faces(volume.labels))

    def draw(self, rng: np.random.Generator) -> Exercise:
        part = int(rng.choice(self.ids, p=self.chances))
        answer = np.flatnonzero(self.volume.groups == part)
        seed = answer
        if rng.random() >= NOTHING_TO_ADD:
            for _ in range(TRIES):
                seed = self._seed(rng, answer)
                if len(seed) < len(answer):
                    break
        return Exercise(int(self.volume.owners[answer[0]]), tuple(seed.tolist()), tuple(answer.tolist()))

    def _seed(self, rng: np.random.Generator, answer: Ids) -> Ids:
        kind = rng.random()
        if kind < FROM_FACE:
            faces = np.flatnonzero(self.at_face[:, answer].any(1))
            if len(faces):
                return np.asarray(answer[self.at_face[rng.choice(faces), answer]])
        sizes = np.sqrt(self.volume.sizes[answer])
        first = rng.choice(len(answer), p=sizes / sizes.sum())
        count = 1 if kind < FROM_FACE + FROM_INSIDE else int(rng.integers(1, len(answer) + 1))
        distance = ((self.centres[answer] - self.centres[answer[first]]) ** 2).sum(1)
        return np.asarray(np.sort(answer[np.argsort(distance, kind="stable")[:count]]))


def _centres(labels: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return the mean position of each segment, z y x, by id."""
    coarse = labels[::2, ::2, ::2]
    flat = coarse.reshape(-1)
    count = int(labels.max()) + 1
    voxels = np.maximum(np.bincount(flat, minlength=count), 1)
    grids = np.ogrid[tuple(slice(length) for length in coarse.shape)]
    sums = [np.bincount(flat, np.broadcast_to(grid, coarse.shape).reshape(-1), minlength=count) for grid in grids]
    return np.asarray(2 * np.stack(sums, axis=1) / voxels[:, None])


def _at_faces(labels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Return which segments (column, by id) reach the slab along each of the six faces (row)."""
    depth = max(1, labels.shape[0] * CUBE_OVERLAP // CUBE_EDGE)
    return np.stack([_present(slab, count=int(labels.max()) + 1) for slab in _slabs(labels, depth=depth)])


def _slabs(labels: NDArray[np.uint16], *, depth: int) -> Iterator[NDArray[np.uint16]]:
    for axis in range(3):
        yield labels.take(range(depth), axis=axis)
        yield labels.take(range(labels.shape[axis] - depth, labels.shape[axis]), axis=axis)


def _present(slab: NDArray[np.uint16], *, count: int) -> NDArray[np.bool_]:
    return np.asarray(np.bincount(slab.reshape(-1), minlength=count) > 0)
