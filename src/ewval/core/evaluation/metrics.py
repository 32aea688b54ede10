"""How well a set of voxels or segments matches the true one; `ewval.core.segments.overlap` states what 0/0 is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.segments.overlap import Overlap

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

RATIOS = ("precision", "recall", "iou")
COUNTS = ("guesses", "gt", "intersection", "union")
PROBABILITY_FLOOR = 1e-7
"""Probabilities are kept this far from 0 and 1 in logarithms, so that one voxel costs 16.1 nats at most."""


def overlap(guess: Mask, truth: Mask, *, where: Mask | None = None) -> Overlap:
    """Count the voxels of two masks of one shape, inside `where` if it is given."""
    both = guess & truth
    if where is not None:
        guess, truth, both = guess & where, truth & where, both & where
    return Overlap(*(int(np.count_nonzero(mask)) for mask in (guess, truth, both)))


def near_surface(mask: Mask) -> Mask:
    """Mark the voxels that have a 6-neighbour on the other side of the mask's surface, inside and outside alike.

    Args:
        mask: bool [z, y, x].

    Returns:
        bool [z, y, x]; the faces of the array count as no surface.
    """
    surface = np.zeros_like(mask)
    for axis in range(mask.ndim):
        low = (slice(None),) * axis + (slice(None, -1),)
        high = (slice(None),) * axis + (slice(1, None),)
        differs = mask[low] != mask[high]
        surface[low] |= differs
        surface[high] |= differs
    return surface


def cross_entropy(probability: NDArray[np.floating[Any]], truth: Mask) -> Floats:
    """Return the negative log likelihood of each voxel in nats, for probabilities of being true in [0, 1]."""
    likelihood = np.where(truth, probability, 1.0 - probability.astype(np.float64))
    nats: Floats = -np.log(np.clip(likelihood, PROBABILITY_FLOOR, 1.0))
    return nats


def voxel_metrics(guess: Mask, target: Mask, seed: Mask) -> tuple[dict[str, float], list[str]]:
    """Return the voxel metrics of one task.

    Args:
        guess: bool [z, y, x], what the model says belongs to the neuron.
        target: bool [z, y, x], what does.
        seed: bool [z, y, x], what was given; `seedless_*` leaves these voxels out of guess and target.

    Returns:
        The six ratios and eight counts of the 2019 seed system, the ratios again with one voxel of tolerance at the
        target's surface (`tolerant_*`: voxels beside the surface are not counted), and the names that are 0/0.
    """
    outside, firm = ~seed, ~near_surface(target)
    plain, seedless = overlap(guess, target), overlap(guess, target, where=outside)
    metrics = _ratios(plain, "") | _ratios(seedless, "seedless_")
    metrics |= _counts(plain, "count_") | _counts(seedless, "count_seedless_")
    metrics |= _ratios(overlap(guess, target, where=firm), "tolerant_")
    metrics |= _ratios(overlap(guess, target, where=firm & outside), "tolerant_seedless_")
    undefined = [name for name in plain.undefined if name != "f1"]
    undefined += [f"seedless_{name}" for name in seedless.undefined if name != "f1"]
    return metrics, undefined


def segment_metrics(chosen: set[int], true: set[int], *, size: NDArray[np.int64]) -> dict[str, float]:
    """Return how well the chosen segments match the true ones, by voxels (`volume_*`) and by segments (`count_*`).

    Args:
        chosen: Ids of the segments the model adds, without the seed.
        true: Ids of the segments that are to be added, without the seed.
        size: int64 [ids], voxels of each segment in the task's volume.

    Returns:
        Precision, recall and F1 of both kinds, and `wrong_voxels`, the volume of what is chosen in error or missed.
    """
    parts = (chosen, true, chosen & true)
    by_volume = Overlap(*(int(size[sorted(part)].sum()) if part else 0 for part in parts))
    by_count = Overlap(*(len(part) for part in parts))
    metrics = {
        f"{kind}_{name}": float(getattr(value, name))
        for kind, value in (("volume", by_volume), ("count", by_count))
        for name in ("precision", "recall", "f1")
    }
    return metrics | {"wrong_voxels": float(by_volume.wrong)}


def aggregate_metrics(sums: Mapping[str, float]) -> dict[str, float]:
    """Return the ratios of counts summed over tasks, so that every voxel weighs the same.

    Args:
        sums: The eight `count_*` of `voxel_metrics`, summed.
    """
    metrics: dict[str, float] = {}
    for kind in ("", "seedless_"):
        total = Overlap(*(sums[f"count_{kind}{name}"] for name in COUNTS[:3]))
        metrics |= _ratios(total, f"agg_{kind}")
    return metrics


def _ratios(value: Overlap, prefix: str) -> dict[str, float]:
    return {prefix + name: float(getattr(value, name)) for name in RATIOS}


def _counts(value: Overlap, prefix: str) -> dict[str, float]:
    return {prefix + name: float(getattr(value, name)) for name in COUNTS}
