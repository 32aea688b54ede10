"""What people make of a task: votes, weights and confidences as Eyewire aggregates them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ewval.core.constants import STATUS_ACTIVE, STATUS_DUPLICATE, STATUS_FROZEN, STATUS_HIDDEN
from ewval.core.sim.cells import SimTask
from ewval.core.sim.volumes import SimVolume

ADMIN = 1_000_000
SCYTHE = 3.0
TEMPTING = 12
"""Foreign segments beside the answer that a player may take, at most."""
STATUSES = (STATUS_ACTIVE, STATUS_HIDDEN, STATUS_FROZEN, STATUS_DUPLICATE)
STATUS_SHARES = (0.86, 0.08, 0.03, 0.03)
EMPTY: tuple[Any, ...] = ({}, [], None)
"""Forms in which the API says that nobody chose anything."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was chosen in one task.

    Args:
        segments: Confidence by segment id as text, or one of the empty forms.
        weight: Sum of the voters' weights.
        votes: Votes that count towards completion.
        status: Of the task.
        users: Ids of the players.
    """

    segments: dict[str, float] | list[Any] | None
    weight: float
    votes: int
    status: int
    users: tuple[int, ...]


def play(rng: np.random.Generator, task: SimTask) -> Verdicts:
    """Let players, scythes and sometimes an admin do `task`."""
    status = int(rng.choice(STATUSES, p=STATUS_SHARES))
    users = tuple(int(user) for user in rng.integers(50_000, 100_000, rng.integers(3, 9)))
    if rng.random() < 0.03:
        return Verdicts(EMPTY[int(rng.integers(3))], 0.0, 0, status, ())
    weights = np.where(rng.random(len(users)) < 0.75, 1.0, 0.1)
    scythes = int(rng.integers(0, 3))
    weights[:scythes] = SCYTHE
    foreign = _beside(rng, task)
    shares = _confidences(rng, task, foreign, weights=weights)
    weight = round(float(weights.sum()), 1)
    if rng.random() < 0.08:
        shares = dict.fromkeys(task.answer, 1.0)
        weight, scythes = ADMIN + weight, ADMIN + scythes
    confidences = {str(segment): round(share, 6) for segment, share in sorted(shares.items()) if share > 0}
    return Verdicts(confidences, weight, scythes, status, users)


def _confidences(
    rng: np.random.Generator, task: SimTask, foreign: list[int], *, weights: NDArray[np.float64]
) -> dict[int, float]:
    """Return the weighted share of voters for each segment that any of them took."""
    segments = np.array([*task.answer, *foreign], dtype=np.intp)
    sizes = task.volume.sizes[segments]
    true = np.arange(len(segments)) < len(task.answer)
    found = 0.86 + 0.13 * np.clip(np.log10(np.maximum(sizes, 1)) / 4, 0, 1)
    fooled = rng.beta(0.6, 8, len(segments))
    chance = np.where(true, found, fooled)
    skill = np.clip(weights, 0.75, 1.25)[:, None]
    chosen = rng.random((len(weights), len(segments))) < np.where(true, 1 - (1 - chance) / skill**4, chance / skill**4)
    chosen[:, np.isin(segments, task.seed)] = True
    shares = (weights[:, None] * chosen).sum(0) / weights.sum()
    return {int(segment): float(share) for segment, share in zip(segments, shares, strict=True)}


def _beside(rng: np.random.Generator, task: SimTask) -> list[int]:
    """Return some segments that touch the answer and do not belong to it."""
    touching = _touching(task.volume, task.answer)
    return sorted(int(segment) for segment in rng.permutation(touching)[:TEMPTING])


def _touching(volume: SimVolume, segments: tuple[int, ...]) -> NDArray[np.intp]:
    labels = volume.labels[::2, ::2, ::2]  # boundaries are two voxels thick: half size brings the sides together
    mask = np.isin(labels, segments)
    boxes = ndimage.find_objects(mask.astype(np.int8))
    if not boxes:
        return np.zeros(0, np.intp)
    box = tuple(slice(max(side.start - 2, 0), side.stop + 2) for side in boxes[0])
    near = ndimage.binary_dilation(mask[box], iterations=2)
    found = np.setdiff1d(np.unique(labels[box][near]), [0, *segments])
    return found.astype(np.intp)
