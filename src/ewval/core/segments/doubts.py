"""Segments of a trace that a person should look at again, each with the reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ewval.core.segments.verdicts import SegmentTable, Thresholds

Reason = Literal["unlikely", "merger", "black spill"]

MIXED_SHARE = 0.2
"""A segment with at least this share inside the neuron and this share outside holds two things."""
MIXED_VOXELS = 1_000
"""... where both parts have this many full-resolution voxels; smaller ones are the rim of a network's answer."""
BLACK_VALUE = 8
"""Image value up to which a packed voxel is black: missing image, or JPEG noise around it."""
BLACK_SHARE = 0.3
"""Share of a segment in black image from which it may have spilled through it."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A segment of the trace, and why it is doubted.

    `unlikely`: the model takes it for foreign. `merger`: the model sees the neuron in one part of it and something
    else in another. `black spill`: much of it lies where the image is black, so it may run through missing image.
    """

    id: int
    reason: Reason


def doubts(
    trace: Iterable[int], table: SegmentTable, *, seed: Iterable[int], thresholds: Thresholds
) -> tuple[Doubt, ...]:
    """Return the doubted segments of `trace`, ascending; what could not be scored is not doubted.

    Seed segments are given, so they are never unlikely; they can still be mergers or black spills.
    """
    seeds = set(seed)
    rows = np.flatnonzero(np.isin(table.ids, sorted(set(trace) | seeds)))
    found = ((int(table.ids[row]), int(row)) for row in rows)
    reasons = ((segment, _reason(table, row, segment in seeds, thresholds)) for segment, row in found)
    return tuple(Doubt(segment, reason) for segment, reason in reasons if reason is not None)


def _reason(table: SegmentTable, row: int, is_seed: bool, thresholds: Thresholds) -> Reason | None:
    if not is_seed and float(table.probability[row]) < thresholds.maybe:
        return "unlikely"
    inside = float(table.inside[row])
    rarer = min(inside, 1.0 - inside)
    if rarer >= MIXED_SHARE and rarer * int(table.voxels[row]) >= MIXED_VOXELS:
        return "merger"
    return "black spill" if float(table.dark[row]) >= BLACK_SHARE else None
