"""What more cells would give: the score on held-out cells by how many were learned from."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ewval.core.forest.adapt import adapt_head, count_adapting_forests, score_on, settled
from ewval.core.forest.fit import Start
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.labelled_folder import share_out
from ewval.core.forest.learn import Keep, LearnConfig, named

__all__ = ["Curve", "CurvePoint", "count_curve_forests", "curve_line", "learning_curve", "trend"]

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
HELD_OUT = 5
"""One cell in so many is held out."""
LEAST_CELLS = 2
"""A forest learns from one part of the cells and is validated on another."""
MOST_SEEN = 0.999
"""Scores above this count as this in the trend, whose errors fall by a power of the number of cells."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """How many cells were learned from, and the score on the held-out ones."""

    cells: int
    score: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A learning curve: its points by rising number of cells, and how many cells were held out."""

    points: tuple[CurvePoint, ...]
    held_out: int


def learning_curve(
    volumes: Sequence[LabelledVolume],
    *,
    parts: int,
    config: LearnConfig,
    start: Start | None,
    keep: Keep,
) -> Iterator[Curve]:
    """Yield the curve so far after each of its points.

    A fifth of the cells is held out with what touches them; of the rest an eighth, a quarter, half and all are learned
    from, once each, by a single draw. Where there is a start, it is the first point, with no cells.

    Args:
        volumes: With known cells; those that do not validate are left out.
        parts: That the cells are dealt into.
        config: How to learn.
        start: What the training begins with, or None.
        keep: Where forests are kept.
    """
    own = [volume for volume in volumes if volume.validates]
    once = replace(config, draws=1, rounds=1, away=False)
    order = np.random.default_rng([config.seed, 1]).permutation(sorted({c for v in own for c in v.cells})).tolist()
    held_out, pool = order[::HELD_OUT], [cell for n, cell in enumerate(order) if n % HELD_OUT]
    asked = [_only(volume, held_out) for volume in own]
    without = [volume.without(volume.cells.keys() & set(held_out)) for volume in own]
    start = None if start is None else settled(start, own)  # once for all points
    points = [] if start is None else [CurvePoint(0, score_on(asked, start, config=once))]
    for cells in _sizes(len(pool)):
        mine = [_only(volume, pool[:cells]) for volume in without]
        dealt = share_out(mine, parts=min(parts, cells), seed=config.seed)
        adapted = adapt_head(mine, dealt, config=once, start=start, keep=named(keep, f"curve-{cells}-"))
        model = Start(adapted.fitted.head, adapted.fitted.tuned.thresholds)
        points.append(CurvePoint(cells, score_on(asked, model, config=once)))
        yield Curve(tuple(points), len(held_out))


def count_curve_forests(
    volumes: Sequence[LabelledVolume], *, cells: int, parts: int, config: LearnConfig, has_start: bool
) -> int:
    """Return how many forests a learning curve from so many cells takes."""
    own, once = [volume for volume in volumes if volume.validates], replace(config, draws=1, rounds=1, away=False)
    pool = cells - len(range(0, cells, HELD_OUT))
    return sum(
        count_adapting_forests(own, cells=size, parts=min(parts, size), config=once, has_start=has_start)
        for size in _sizes(pool)
    )


def trend(curve: Curve) -> Callable[[float], float] | None:
    """Return the score to expect by cells, as far as errors go on falling by a power; None where they do not."""
    learned = [point for point in curve.points if point.cells]
    if len(learned) < 3:
        return None
    cells, errors = (np.log([p.cells for p in learned]), np.log([1 - min(p.score, MOST_SEEN) for p in learned]))
    slope, level = np.polyfit(cells, errors, 1)
    return None if slope >= 0 else lambda count: 1 - math.exp(level + slope * math.log(count))


def curve_line(curve: Curve) -> str:
    """Return one line that says what more cells have given, and may give."""
    said = ", ".join(f"{point.score:.2f} with {point.cells}" for point in curve.points)
    line = f"learning curve, F1 on {curve.held_out} held-out cells: {said} cells"
    expect, most = trend(curve), curve.points[-1].cells
    if expect is None:
        return f"{line}; no trend that more cells would raise it"
    return (
        f"{line}; on this trend about {expect(2 * most):.2f} with {2 * most} and {expect(4 * most):.2f} with {4 * most}"
    )


def _sizes(cells: int) -> list[int]:
    return sorted({size for share in SHARES if (size := math.ceil(share * cells)) >= LEAST_CELLS})


def _only(volume: LabelledVolume, cells: Collection[int]) -> LabelledVolume:
    """Return the volume with no other cells known."""

    mine = set(cells)
    return replace(
        volume,
        cells={cell: rows for cell, rows in volume.cells.items() if cell in mine},
        seeds={cell: seeds for cell, seeds in volume.seeds.items() if cell in mine},
    )
