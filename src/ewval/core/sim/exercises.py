"""Tasks drawn from one generated cube: any neurite, from any part of it, thousands of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import CUBE_EDGE, CUBE_OVERLAP
from ewval.core.sim.sample import Cube
from ewval.core.sim.tissue.grid import SCALE
from ewval.core.sim.volumes import Ids, SimVolume, make_volume

TRIES = 12


@dataclass(frozen=True, slots=True)
class Habit:
    """Which tasks are drawn.

    Args:
        from_face: Share of tasks whose seed comes from a neighbouring volume, through the overlap with it.
        from_inside: Share that begin with one segment anywhere, as roots do; the rest with some neighbouring ones.
        nothing_to_add: Share whose seed is the whole answer.
        smallest: Share of the cube that a neurite's part must fill to be asked for.
        by_size: Power of a part's size that its chance rises with.
        seed_share: Mean share of the answer's voxels that the seed is grown to from where it comes in, None where it
            is not grown.
    """

    from_face: float = 0.55
    from_inside: float = 0.25
    nothing_to_add: float = 0.08
    smallest: float = 1e-4
    by_size: float = 0.5
    seed_share: float | None = None


USUAL = Habit()
E2198 = Habit(from_face=0.9, from_inside=0.05, smallest=3e-4, by_size=0.0, seed_share=0.75)
"""Tasks there come from the volume before and with most of the answer, since what is certain is joined beforehand."""
SPREAD = 3.0
"""Of the seed's share about its mean: the greater, the less."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """One task and its true answer.

    Args:
        neurite: The neurite that is asked for.
        seed: Segments that are given, ascending.
        answer: All segments that hang together with the seed, itself included, ascending.
    """

    neurite: int
    seed: tuple[int, ...]
    answer: tuple[int, ...]


def draw_exercises(rng: np.random.Generator, cube: Cube, *, count: int, habit: Habit = USUAL) -> tuple[Exercise, ...]:
    """Return up to `count` different tasks of `cube`, in random order.

    By default larger neurites come up more often, with the root of their size. Cubes of few segments have fewer tasks.
    """
    truth = cube.truth[::SCALE, ::SCALE, ::SCALE].astype(np.int32)
    volume = make_volume(volume=1, channel=0, origin=(0, 0, 0), labels=cube.labels, truth=truth)
    parts = _Parts.of(volume, habit)
    found: dict[Exercise, None] = {}
    for _ in range(TRIES * count if len(parts.ids) else 0):
        if len(found) == count:
            break
        found.setdefault(parts.draw(rng))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The groups of touching segments of one neurite that can be asked for."""

    volume: SimVolume
    habit: Habit
    ids: Ids
    chances: NDArray[np.float64]
    centres: NDArray[np.float64]
    at_face: NDArray[np.bool_]

    @classmethod
    def of(cls, volume: SimVolume, habit: Habit) -> "_Parts":
        voxels = np.bincount(volume.groups, volume.sizes)
        voxels[0] = 0
        ids = np.flatnonzero(voxels >= habit.smallest * volume.labels.size)
        weight = voxels[ids] ** habit.by_size
        return cls(
            volume, habit, ids, weight / max(weight.sum(), 1e-9), _centres(volume.labels), _at_faces(volume.labels)
        )

    def draw(self, rng: np.random.Generator) -> Exercise:
        part = int(rng.choice(self.ids, p=self.chances))
        answer = np.flatnonzero(self.volume.groups == part)
        seed = answer
        if rng.random() >= self.habit.nothing_to_add:
            for _ in range(TRIES):
                seed = self._grown(rng, self._seed(rng, answer), answer)
                if len(seed) < len(answer):
                    break
        return Exercise(int(self.volume.owners[answer[0]]), tuple(seed.tolist()), tuple(answer.tolist()))

    def _seed(self, rng: np.random.Generator, answer: Ids) -> Ids:
        kind = rng.random()
        if kind < self.habit.from_face:
            faces = np.flatnonzero(self.at_face[:, answer].any(1))
            if len(faces):
                return np.asarray(answer[self.at_face[rng.choice(faces), answer]])
        sizes = np.sqrt(self.volume.sizes[answer])
        first = rng.choice(len(answer), p=sizes / sizes.sum())
        count = 1 if kind < self.habit.from_face + self.habit.from_inside else int(rng.integers(1, len(answer) + 1))
        return np.asarray(np.sort(answer[np.argsort(self._distances(answer, answer[first]), kind="stable")[:count]]))

    def _grown(self, rng: np.random.Generator, seed: Ids, answer: Ids) -> Ids:
        """Return the seed and what lies next to it, up to a drawn share of the answer's voxels."""
        mean = self.habit.seed_share
        if mean is None:
            return seed
        share = rng.beta(SPREAD * mean, SPREAD * (1 - mean))
        distance = np.where(np.isin(answer, seed), -1.0, self._distances(answer, seed[0]))
        order = answer[np.argsort(distance, kind="stable")]
        held = np.cumsum(self.volume.sizes[order])
        count = int((held <= share * held[-1]).sum())
        return np.asarray(np.sort(order[: max(count, len(seed))]))

    def _distances(self, answer: Ids, start: int) -> NDArray[np.float64]:
        return np.asarray(((self.centres[answer] - self.centres[start]) ** 2).sum(1))


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
