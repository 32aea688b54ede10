"""Generated retina beside what is known of E2198: grey levels of one real slice, and 9,059 real tasks of 2013."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from ewval.core.sim.exercises import E2198, Exercise, draw_exercises
from ewval.core.sim.sample import Cube, generate_cube
from ewval.core.sim.tissue.style import draw_retina

SUPERVOXELS = (5, 11, 22)
VOXELS = (17_583, 36_305, 69_088)
"""Quartiles of an answer, seed included."""
SEED_SHARE = 0.75


@pytest.fixture(scope="module")
def cubes() -> tuple[Cube, ...]:
    return tuple(generate_cube(seed, draw=draw_retina) for seed in (1, 2))


@pytest.fixture(scope="module")
def cube(cubes: tuple[Cube, ...]) -> Cube:
    return cubes[0]


@dataclass(frozen=True)
class Asked:
    """A task, and the voxels of each segment of its cube."""

    exercise: Exercise
    sizes: NDArray[np.int64]

    def voxels(self, segments: tuple[int, ...]) -> int:
        return int(self.sizes[list(segments)].sum())


@pytest.fixture(scope="module")
def asked(cubes: tuple[Cube, ...]) -> list[Asked]:
    found = []
    for cube in cubes:
        sizes = np.bincount(cube.labels.reshape(-1))
        found += [Asked(e, sizes) for e in draw_exercises(np.random.default_rng(0), cube, count=300, habit=E2198)]
    return found


def border_of(truth: NDArray[np.uint32]) -> NDArray[np.bool_]:
    border = np.zeros(truth.shape, bool)
    for axis in range(3):
        differs = np.diff(truth.astype(np.int64), axis=axis) != 0
        one, other = (tuple(s if a == axis else slice(None) for a in range(3)) for s in (slice(-1), slice(1, None)))
        border[one] |= differs
        border[other] |= differs
    return border


def quartiles(values: list[float]) -> list[float]:
    return [float(value) for value in np.percentile(values, (25, 50, 75))]


def test_cytoplasm_is_flat_under_nearly_white_noise_and_membranes_are_a_little_darker(cube: Cube) -> None:
    corner = tuple(slice(0, 96) for _ in range(3))
    image, border = cube.image[corner].astype(float), border_of(cube.truth[corner])
    inner = ndimage.distance_transform_edt(~border) > 4
    assert image[inner].mean() == pytest.approx(174, abs=2)
    assert image[inner].std() == pytest.approx(10.7, abs=1)
    assert image[border].mean() == pytest.approx(140, abs=4)
    for axis in (1, 2):
        both = np.take(inner, range(95), axis) & np.take(inner, range(1, 96), axis)
        one, other = np.take(image, range(95), axis)[both], np.take(image, range(1, 96), axis)[both]
        assert 0.09 < np.corrcoef(one, other)[0, 1] < 0.16  # .11 to .13 in the slice


def test_no_cut_betrays_itself_by_a_missing_boundary(cube: Cube) -> None:
    for axis in range(3):
        one, other = np.moveaxis(cube.labels, axis, 0)[:-1], np.moveaxis(cube.labels, axis, 0)[1:]
        assert not ((one != other) & (one > 0) & (other > 0)).any()


def test_few_segments_hold_two_neurites(cube: Cube) -> None:
    segments, neurites = cube.labels.reshape(-1).astype(np.int64), cube.truth.reshape(-1).astype(np.int64)
    both, voxels = np.unique(segments * 10**6 + neurites, return_counts=True)
    inside = both >= 10**6
    of, voxels = both[inside] // 10**6, voxels[inside]
    most, size = np.zeros(of.max() + 1, np.int64), np.bincount(of, voxels)
    np.maximum.at(most, of, voxels)
    shared = size[most < 0.9 * size].sum() / size.sum()
    assert 0.01 < shared < 0.1  # players could not work with many more, and faint membranes leave some


def test_answers_are_as_large_as_those_of_real_tasks(asked: list[Asked]) -> None:
    supervoxels = quartiles([len(one.exercise.answer) for one in asked])
    voxels = quartiles([one.voxels(one.exercise.answer) for one in asked])
    assert voxels == pytest.approx(VOXELS, rel=0.25)
    assert supervoxels == pytest.approx(SUPERVOXELS, rel=0.5)


def test_the_seed_holds_most_of_the_answer(asked: list[Asked]) -> None:
    seeds = sum(one.voxels(one.exercise.seed) for one in asked)
    assert seeds / sum(one.voxels(one.exercise.answer) for one in asked) == pytest.approx(SEED_SHARE, abs=0.07)
    assert 0.02 < np.mean([one.exercise.seed == one.exercise.answer for one in asked]) < 0.25
