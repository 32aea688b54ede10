"""Which side each task goes to: pure functions from ids and places to sides, the same on every machine.

Nothing here asks a random generator: the order of cells and of blocks comes from a hash of the seed and their ids, so
it depends on no library's version, and adding a cell moves few others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ewval.core.constants import CUBE_EDGE, CUBE_STRIDE
from ewval.core.errors import SettingError, UsageError

TRAIN, VAL, TEST, GAP = 0, 1, 2, 3

Int64s = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]
Take = Callable[[Int64s, Int64s, float], Int64s]

BLOCK_EDGES = (8, 6, 5, 4, 3, 2, 1)
"""Edges tried, in volumes: the larger the block, the fewer tasks are lost in the gap around it."""
TOLERATED_GAP = 0.15
"""Share of the tasks that blocks in many places may cost; beyond, a slab at one end serves."""
TOLERATED_EXCESS = 0.15
"""By how much of all tasks a side may exceed its share, where a single layer of volumes is more than that."""
LEAST_TRAINING = 0.3
"""With less, the volumes count as too few to be told apart."""
SLACK = 1.5
"""A unit that would overshoot its side's target more than this is passed over."""


@dataclass(frozen=True, slots=True)
class Fractions:
    """How many of the tasks go to test and to val.

    Raises:
        UsageError: Not a share, or nothing is left for training.
    """

    test: float = 0.1
    val: float = 0.01

    def __post_init__(self) -> None:
        for name, value in (("test", self.test), ("val", self.val)):
            if not 0 <= value < 1:
                raise SettingError(f"{value} is not in [0, 1)", setting=f"{name}_fraction")
        if self.test + self.val >= 1:
            raise UsageError("the fractions for testing and validation leave nothing to train on")


def hash_order(ids: Int64s, *, seed: int) -> Int64s:
    """Return the positions of `ids` in an order drawn with `seed`.

    Args:
        ids: int64 [n] or [n, k], rows distinct.
        seed: Of the draw.

    Source: the finaliser of SplitMix64, Steele, Lea and Flood 2014 (https://doi.org/10.1145/2660193.2660195).
    """
    columns = ids[:, None] if ids.ndim == 1 else ids
    state = scramble(np.full(len(ids), seed % 2**64, dtype=np.uint64))
    for column in columns.T:
        state = scramble(state ^ column.astype(np.uint64))
    return np.lexsort((*columns.T[::-1], state)).astype(np.int64)


def scramble(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return each 64-bit word mixed beyond recognition, the same for the same word."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)))


def by_cell(cell: Int64s, *, fractions: Fractions, seed: int) -> Codes:
    """Return the side of each task when whole cells go to a side.

    At least one cell trains; test comes before val where there are too few.

    Args:
        cell: int64 [n].
        fractions: Shares of the tasks.
        seed: Of the draw.
    """
    return _draw(cell, [(TEST, fractions.test * len(cell)), (VAL, fractions.val * len(cell))], seed=seed)


def by_threshold(cell: Int64s, threshold: int, *, fractions: Fractions, seed: int) -> Codes:
    """Return the sides of the 2019 seed system: cells below `threshold` train, a share of them is val, others test."""
    sides = np.full(len(cell), TEST, dtype=np.int8)
    below = cell < threshold
    sides[below] = _draw(cell[below], [(VAL, fractions.val * below.sum())], seed=seed)
    return sides


def by_fold(cell: Int64s, folds: int, *, fractions: Fractions, seed: int) -> Iterator[Codes]:
    """Yield the sides of each fold of a cross-validation: every cell is test in exactly one.

    Raises:
        UsageError: Fewer than two folds, or fewer cells than folds.
    """
    cells, which, sizes = np.unique(cell, return_inverse=True, return_counts=True)
    if not 2 <= folds <= len(cells):
        raise SettingError(f"{folds}: at least 2 and at most one for each of the {len(cells)} cells", setting="folds")
    load, fold = np.zeros(folds, dtype=np.int64), np.empty(len(cells), dtype=np.int64)
    for unit in hash_order(cells, seed=seed):
        fold[unit] = np.argmin(load)
        load[fold[unit]] += sizes[unit]
    for number in range(folds):
        sides = np.full(len(cell), TEST, dtype=np.int8)
        rest = fold[which] != number
        sides[rest] = _draw(cell[rest], [(VAL, fractions.val * len(cell))], seed=seed)
        yield sides


def _draw(units: Int64s, targets: list[tuple[int, float]], *, seed: int) -> Codes:
    """Fill each target with whole units in hash order; the rest trains."""
    distinct, which, sizes = np.unique(units, return_inverse=True, return_counts=True)
    side = np.full(len(distinct), TRAIN, dtype=np.int8)
    order = hash_order(distinct, seed=seed)
    for code, target in targets:
        free = order[side[order] == TRAIN]
        side[_fill(free[: len(free) - 1], sizes, target)] = code  # one unit always stays to train on
    return side[which]


def _fill(order: Int64s, sizes: Int64s, target: float) -> Int64s:
    """Return units, the first of `order` first, until they hold `target` tasks; at least one if any is wanted."""
    taken, total = [], 0
    for unit in order.tolist():
        if total >= target:
            break
        if total + sizes[unit] <= SLACK * target:
            taken.append(unit)
            total += int(sizes[unit])
    if not taken and target > 0 and len(order):
        taken = [int(order[np.argmin(sizes[order])])]
    return np.array(taken, dtype=np.int64)


def by_volume(
    corner: npt.NDArray[np.int32], known: npt.NDArray[np.bool_], *, fractions: Fractions, seed: int
) -> Codes | None:
    """Return the side of each task when blocks of neighbouring volumes go to a side.

    No volume of a side overlaps one of another side: what would stands in the gap, as do tasks whose place is unknown.

    Args:
        corner: int32 [n, 3], z y x of the first voxel of each task's volume.
        known: bool [n], whether that is known.
        fractions: Shares of the tasks.
        seed: Of the draw.

    Returns:
        int8 [n]; None where the volumes are too few or too close to be told apart.
    """
    if not known.any():
        return None
    places, which, tasks = np.unique(corner[known], axis=0, return_inverse=True, return_counts=True)
    world = _World(places, tasks, overlapping(places), total=len(corner), fractions=fractions)
    best = _best(world, seed=seed)
    if best is None:
        return None
    sides = np.full(len(corner), GAP, dtype=np.int8)
    sides[known] = best[which.reshape(-1)]
    return sides


@dataclass(frozen=True, slots=True, eq=False)
class _World:
    """Distinct corners (int32 [n, 3]), the tasks at each, and the pairs of them that overlap."""

    places: npt.NDArray[np.int32]
    tasks: Int64s
    pairs: Int64s
    total: int
    fractions: Fractions

    def share(self, sides: Codes) -> npt.NDArray[np.float64]:
        """Return the share of all tasks on each side."""
        return np.asarray(np.bincount(sides, weights=self.tasks, minlength=4) / self.total)

    def is_fair(self, sides: Codes) -> bool:
        """Whether a split is worth having: what was asked for is there and near its share, and enough trains."""
        share = self.share(sides)
        asked = ((share[TEST], self.fractions.test), (share[VAL], self.fractions.val))
        close = all(wanted / 2 <= got <= _most(wanted) for got, wanted in asked)
        return bool(close and share[TRAIN] >= LEAST_TRAINING)

    def near(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return which volumes overlap one of `chosen`."""
        near = np.zeros(len(self.places), dtype=bool)
        for a, b in (self.pairs.T, self.pairs.T[::-1]):
            near[b[chosen[a]]] = True
        return near


def _best(world: _World, *, seed: int) -> Codes | None:
    """Return the first way that loses few tasks in the gap, else the one that leaves most to train on."""
    best: Codes | None = None
    for sides in _candidates(world, seed=seed):
        if not world.is_fair(sides):
            continue
        if world.share(sides)[GAP] <= TOLERATED_GAP:
            return sides
        if best is None or world.share(sides)[TRAIN] > world.share(best)[TRAIN]:
            best = sides
    return best


def _candidates(world: _World, *, seed: int) -> Iterator[Codes]:
    """Yield ways to part a world: blocks scattered through it, the largest first, then slabs at its ends."""
    step = (world.places - world.places.min(axis=0)) // CUBE_STRIDE
    for edge in BLOCK_EDGES:
        blocks, block = np.unique(step // edge, axis=0, return_inverse=True)
        order = hash_order(blocks.astype(np.int64), seed=seed)
        yield _assign(world, block.reshape(-1), {TEST: order, VAL: order}, take=_fill)
    for axis in hash_order(np.arange(3), seed=seed):
        layers, layer = np.unique(step[:, axis], return_inverse=True)
        ends = [np.arange(len(layers)), np.arange(len(layers))[::-1]]
        first = int(hash_order(np.arange(2), seed=seed)[0])
        yield _assign(world, layer, {TEST: ends[first], VAL: ends[1 - first]}, take=_take_nearest)


def _assign(world: _World, block: Int64s, orders: dict[int, Int64s], *, take: Take) -> Codes:
    """Return the sides when whole blocks go to test and val, in the order given for each."""
    sides = np.full(len(world.places), TRAIN, dtype=np.int8)
    targets = {TEST: world.fractions.test, VAL: world.fractions.val}
    for code, order in orders.items():
        free = sides == TRAIN
        sizes = np.bincount(block[free], weights=world.tasks[free], minlength=len(order)).astype(np.int64)
        chosen = np.isin(block, take(order[sizes[order] > 0], sizes, targets[code] * world.tasks.sum())) & free
        sides[chosen] = code
        sides[world.near(chosen) & (sides == TRAIN)] = GAP
    return sides


def _take_nearest(order: Int64s, sizes: Int64s, target: float) -> Int64s:
    """Return the first units of `order`, as many as come nearest to `target` tasks; at least one if any is wanted."""
    if target <= 0 or not len(order):
        return order[:0]
    return order[: int(np.argmin(np.abs(np.cumsum(sizes[order]) - target))) + 1]


def overlapping(places: npt.NDArray[np.int32]) -> Int64s:
    """Return the pairs of volumes that share a voxel, int64 [pairs, 2], from their corners z y x."""
    from scipy.spatial import KDTree

    # Two cubes of an edge of 256 share a voxel where their corners lie at most 255 apart along every axis.
    pairs = KDTree(places).query_pairs(CUBE_EDGE - 0.5, p=np.inf, output_type="ndarray")
    return np.asarray(pairs, dtype=np.int64)


def _most(wanted: float) -> float:
    return max(2 * wanted, wanted + TOLERATED_EXCESS) if wanted else 0.0
