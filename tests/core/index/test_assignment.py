import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ewval.core.errors import UsageError
from ewval.core.index.assignment import (
    GAP,
    TEST,
    TRAIN,
    VAL,
    Fractions,
    by_cell,
    by_fold,
    by_threshold,
    by_volume,
    hash_order,
    overlapping,
)

STRIDE = 224
THIRD = Fractions(test=0.2, val=0.1)
CELLS = st.lists(st.integers(-20, 20), min_size=1, max_size=80).map(lambda cells: np.array(cells, dtype=np.int64))


def grid(*shape: int, tasks: int = 1) -> np.ndarray:
    """Return the corners of a full grid of volumes, each for `tasks` tasks, int32 [n, 3]."""
    places = np.stack(np.unravel_index(np.arange(np.prod(shape)), shape), axis=1) * STRIDE
    return np.repeat(places, tasks, axis=0).astype(np.int32)


def split(corner: np.ndarray, *, fractions: Fractions = THIRD, seed: int = 0) -> np.ndarray | None:
    return by_volume(corner, np.ones(len(corner), dtype=bool), fractions=fractions, seed=seed)


def touching(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether any cube at `a` shares a voxel with one at `b`, by brute force."""
    return bool((np.abs(a[:, None] - b[None]) < 256).all(axis=2).any())


def shares(sides: np.ndarray) -> np.ndarray:
    return np.bincount(sides, minlength=4) / len(sides)


@given(CELLS, st.integers(0, 5))
def test_no_cell_stands_on_two_sides(cells: np.ndarray, seed: int) -> None:
    sides = by_cell(cells, fractions=THIRD, seed=seed)
    assert len({*zip(cells.tolist(), sides.tolist(), strict=True)}) == len(set(cells.tolist()))
    assert (sides == TRAIN).any()
    assert (sides != GAP).all()


@given(CELLS, st.integers(0, 2**64), st.randoms(use_true_random=False))
def test_a_cells_side_depends_on_no_order(cells: np.ndarray, seed: int, random: object) -> None:
    order = list(range(len(cells)))
    random.shuffle(order)  # type: ignore[attr-defined]
    sides = by_cell(cells, fractions=THIRD, seed=seed)
    assert np.array_equal(by_cell(cells[order], fractions=THIRD, seed=seed), sides[order])


def test_cells_come_near_the_shares_asked_for() -> None:
    cells = np.repeat(np.arange(300), np.arange(300) % 20 + 1)
    share = shares(by_cell(cells, fractions=Fractions(0.1, 0.01), seed=3))
    assert share[TEST] == pytest.approx(0.1, abs=0.01)
    assert share[VAL] == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize(("cells", "expected"), [(1, [TRAIN]), (2, [TRAIN, TEST]), (3, [TRAIN, VAL, TEST])])
def test_with_few_cells_training_comes_first_then_test_then_val(cells: int, expected: list[int]) -> None:
    assert sorted(by_cell(np.arange(cells), fractions=Fractions(0.1, 0.01), seed=0).tolist()) == expected


def test_a_side_that_is_not_asked_for_stays_empty() -> None:
    sides = by_cell(np.arange(50), fractions=Fractions(0, 0), seed=0)
    assert (sides == TRAIN).all()


@given(CELLS, st.integers(-25, 25))
def test_the_threshold_parts_the_cells(cells: np.ndarray, threshold: int) -> None:
    sides = by_threshold(cells, threshold, fractions=THIRD, seed=1)
    assert ((sides == TEST) == (cells >= threshold)).all()
    assert not set(cells[sides == VAL].tolist()) & set(cells[sides == TRAIN].tolist())


@given(st.integers(2, 6), st.integers(0, 3))
def test_every_cell_is_tested_in_exactly_one_fold(folds: int, seed: int) -> None:
    cells = np.repeat(np.arange(12), np.arange(12) + 1)
    drawn = list(by_fold(cells, folds, fractions=THIRD, seed=seed))
    assert len(drawn) == folds
    assert (np.sum([sides == TEST for sides in drawn], axis=0) == 1).all()
    for sides in drawn:
        assert len({*zip(cells.tolist(), sides.tolist(), strict=True)}) == 12


@pytest.mark.parametrize("folds", [1, 4])
def test_more_folds_than_cells_are_refused(folds: int) -> None:
    with pytest.raises(UsageError, match=f"folds {folds}: at least 2 and at most one for each of the 3 cells"):
        list(by_fold(np.array([1, 1, 2, 3]), folds, fractions=THIRD, seed=0))


@pytest.mark.parametrize("shape", [(9, 9, 9), (1, 40, 1), (17, 20, 11), (1, 12, 12)])
def test_blocks_leave_no_overlap_between_the_sides(shape: tuple[int, int, int]) -> None:
    corner = grid(*shape)
    sides = split(corner)
    assert sides is not None
    parts = [corner[sides == side] for side in (TRAIN, VAL, TEST)]
    assert all(len(part) for part in parts)
    assert not touching(parts[0], parts[1])
    assert not touching(parts[0], parts[2])
    assert not touching(parts[1], parts[2])


@settings(max_examples=50)
@given(
    st.lists(st.tuples(*[st.integers(0, 12)] * 3), min_size=1, max_size=60),
    st.lists(st.integers(-40, 40), min_size=60, max_size=60),
    st.integers(0, 9),
)
def test_random_worlds_off_the_grid_never_overlap(
    places: list[tuple[int, int, int]], jitter: list[int], seed: int
) -> None:
    corner = (np.array(places) * STRIDE + np.array(jitter[: len(places)])[:, None]).astype(np.int32)
    sides = split(corner, seed=seed)
    if sides is not None:
        for a, b in ((TRAIN, VAL), (TRAIN, TEST), (VAL, TEST)):
            assert not touching(corner[sides == a], corner[sides == b])


def test_a_world_of_eyewires_size_comes_near_the_shares_and_loses_little() -> None:
    sides = split(grid(17, 30, 55), fractions=Fractions(0.1, 0.01))
    assert sides is not None
    share = shares(sides)
    assert share[TEST] == pytest.approx(0.1, abs=0.02)
    assert 0.005 < share[VAL] < 0.03
    assert share[GAP] < 0.2


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 2), (2, 2, 2), (1, 1, 3), (1, 2, 5)])
def test_volumes_that_all_touch_cannot_be_parted(shape: tuple[int, int, int]) -> None:
    assert split(grid(*shape, tasks=30)) is None


def test_tasks_of_unknown_place_stand_in_the_gap() -> None:
    corner = grid(9, 9, 9)
    known = np.ones(len(corner), dtype=bool)
    known[::50] = False
    sides = by_volume(corner, known, fractions=THIRD, seed=0)
    assert sides is not None
    assert (sides[::50] == GAP).all()
    assert by_volume(corner, ~known & False, fractions=THIRD, seed=0) is None


def test_tasks_of_one_volume_stay_together() -> None:
    corner = grid(6, 6, 6, tasks=5)
    sides = split(corner)
    assert sides is not None
    assert (sides.reshape(-1, 5) == sides.reshape(-1, 5)[:, :1]).all()


def test_pairs_overlap_up_to_the_last_shared_voxel() -> None:
    places = np.array([[0, 0, 0], [255, 255, 255], [511, 255, 255], [255, 255, 300]], dtype=np.int32)
    assert {tuple(sorted(pair)) for pair in overlapping(places).tolist()} == {(0, 1), (1, 3)}


def test_another_seed_gives_another_split() -> None:
    corner, cells = grid(17, 20, 11), np.arange(500)
    assert not np.array_equal(split(corner, seed=0), split(corner, seed=1))
    assert not np.array_equal(by_cell(cells, fractions=THIRD, seed=0), by_cell(cells, fractions=THIRD, seed=1))


def test_the_same_seed_gives_the_same_split_on_every_machine() -> None:
    """Digests of what one machine gave: a change here is a change of everybody's test set."""
    volumes = split(grid(17, 20, 11), seed=7)
    cells = by_cell(np.arange(1000, 9000, 7), fractions=THIRD, seed=7)
    assert volumes is not None
    assert hash_order(np.array([5, 1, 77_960, -3]), seed=0).tolist() == [1, 0, 3, 2]
    assert hashlib.sha256(volumes.tobytes()).hexdigest()[:16] == "6bdd3156d3c61edf"
    assert hashlib.sha256(cells.tobytes()).hexdigest()[:16] == "61d0022d72bdd0bd"


@pytest.mark.parametrize(
    ("test", "val", "text"), [(1.0, 0.0, "test"), (-0.1, 0.0, "test"), (0.1, 1.5, "val"), (float("nan"), 0, "test")]
)
def test_what_is_no_share_is_refused(test: float, val: float, text: str) -> None:
    with pytest.raises(UsageError, match=rf"{text}_fraction .* is not in \[0, 1\)"):
        Fractions(test, val)


def test_shares_that_leave_no_training_are_refused() -> None:
    with pytest.raises(UsageError, match="leave nothing to train on"):
        Fractions(0.6, 0.4)
