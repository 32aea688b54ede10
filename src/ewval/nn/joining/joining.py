"""Which segments join an object, by what a network sees near it and by how its contacts look: loop after loop.

In each loop the network is shown the object as it stands, each segment beside it gets one score, and those that score
high enough join. So the network recurs over its own answer segment by segment, never over half-sure voxels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ewval.core.constants import ELSEWHERE_CONFIDENCE, SEED_CONFIDENCE, SEGMENT_ID_COUNT
from ewval.core.forest.growth import MOST_SEGMENTS
from ewval.core.graph.graph import RISE, SegmentGraph
from ewval.core.segments.seed_parts import REACH, near
from ewval.core.segments.verdicts import DECIMALS
from ewval.core.segments.views import GraphView, VolumeView
from ewval.core.tasks.samples import Sample
from ewval.core.volumes.pooling import Pooling
from ewval.nn.joining.rule import JoinRule
from ewval.nn.looks import NO_FLIP, Flip, VoxelMaps, voxel_maps
from ewval.nn.weights import Model

__all__ = ["Candidates", "Joined", "Look", "Scene", "candidates", "join", "looking"]

JOIN_LOOPS = 32
"""Looks at most; each takes the object one segment further, and growth mostly ends long before."""
LEVELS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2)
"""Probabilities at which candidates join together: finer steps cost more looks of the network."""
LEAST_SPREAD = 1e-3
"""Of the contacts of a cube, so that one whose contacts are all alike divides nothing by zero."""
LARGEST_LOG_ODDS = 12.0
"""Voxels are not taken to be surer than this."""

Look = Callable[[NDArray[np.bool_], NDArray[np.float32]], VoxelMaps]
"""From a mask and its confidence, 64^3 each, to what the network says after one loop."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where an object grows.

    Args:
        view: The volume's segments in the packed cube.
        graph: Its contacts.
        labels: uint16 64^3.
        seed: bool 64^3, the seed's voxels.
    """

    view: VolumeView
    graph: GraphView
    labels: NDArray[np.uint16]
    seed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The segments that touch an object, and what speaks for each.

    Args:
        ids: int64[n], ascending.
        pooled: float64[n], the network's mean log-odds over a segment's voxels near the object.
        contact: float64[n], mean of minus `RISE` over its contacts with the object, by their area, in standard
            deviations of `RISE` over all contacts of the cube.
        spread: float64[n], deviation between looks of the probability that `pooled` stands for.
    """

    ids: NDArray[np.int64]
    pooled: NDArray[np.float64]
    contact: NDArray[np.float64]
    spread: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of the candidates.

    Args:
        ids: int64[n], every segment that was ever a candidate, ascending.
        probability: float64[n], rounded; when it joined, else at the end; no higher than what the object rests on.
        spread: float64[n], between looks.
        added: bool[n], whether it joined.
    """

    ids: NDArray[np.int64]
    probability: NDArray[np.float64]
    spread: NDArray[np.float64]
    added: NDArray[np.bool_]


def join(look: Look, scene: Scene, seed: Sequence[int], *, rule: JoinRule, least: float, loops: int) -> Joined:
    """Grow an object from the segments `seed`, the surest first, down to a probability of `least`.

    In each loop the network looks at the object, and all candidates of the highest of `LEVELS` that one of them reaches
    join; levels never rise again. So what has joined at one level does not depend on how far growth goes on below it.
    Growth ends where no candidate reaches a level of at least `least`, after `loops` looks of the network, or with more
    segments than any neuron has.
    """
    inside = _by_id(seed)
    known, added = np.zeros_like(inside), np.zeros_like(inside)
    chance, spread = np.zeros(SEGMENT_ID_COUNT), np.zeros(SEGMENT_ID_COUNT)
    bound, level = 1.0, LEVELS[0]
    for _ in range(loops):
        found = candidates(look, scene, inside)
        scores = rule.probability(found.pooled, found.contact).round(DECIMALS)
        known[found.ids], spread[found.ids] = True, found.spread
        chance[found.ids] = np.minimum(scores, bound)
        level = _reached(scores, below=level)
        if level < least or added.sum() > MOST_SEGMENTS:
            break
        joining = found.ids[scores >= level]
        inside[joining] = added[joining] = True
        bound = min(bound, float(scores[scores >= level].min()))
    ids = np.flatnonzero(known)
    return Joined(ids, chance[ids], spread[ids], added[ids])


def _reached(scores: NDArray[np.float64], *, below: float) -> float:
    """Return the highest level, at most `below`, that one of `scores` reaches; 0 where none does."""
    best = scores.max(initial=0.0)
    return next((level for level in LEVELS if level <= min(below, best)), 0.0)


def _by_id(ids: Sequence[int]) -> NDArray[np.bool_]:
    mask = np.zeros(SEGMENT_ID_COUNT, dtype=bool)
    mask[list(ids)] = True
    return mask


def looking(
    model: Model, sample: Sample, *, flips: Sequence[Flip] = NO_FLIP, device: torch.device | str = "cpu"
) -> Look:
    """Return the looks of `model` at `sample` with one mask or another as its seed.

    One sample runs alone, whatever the device: how many looks a task takes depends on the task.
    """

    def look(mask: NDArray[np.bool_], confidence: NDArray[np.float32]) -> VoxelMaps:
        shown = replace(sample, seed=mask, confidence=confidence)
        return voxel_maps(model, [shown], loops=1, flips=flips, device=device)[0]

    return look


def candidates(look: Look, scene: Scene, inside: NDArray[np.bool_]) -> Candidates:
    """Return what touches the object `inside`, bool by segment id."""
    ids, contact = _contacts(scene.graph.graph, inside)
    if not len(ids):
        return Candidates(ids, contact, contact, contact)
    mask = inside[scene.labels] & (scene.labels > 0) | scene.seed
    confidence = np.where(mask, np.float32(SEED_CONFIDENCE), np.float32(ELSEWHERE_CONFIDENCE))
    chance = look(mask, confidence).probability.astype(np.float64)  # [looks, z, y, x]
    around = near(mask | _any_voxel(scene.view.pooling, inside, shape=mask.shape), reach=REACH)
    looks = np.stack([_pooled(one, scene.view.pooling, around) for one in _log_odds(chance)])[:, ids]
    return Candidates(ids, looks.mean(axis=0), contact, _sigmoid(looks).std(axis=0))


def _contacts(graph: SegmentGraph, inside: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the ids of what touches the object, ascending, and the evidence at these contacts."""
    pairs = graph.ids[graph.pairs]  # [m, 2]
    is_border = inside[pairs[:, 0]] != inside[pairs[:, 1]]
    outer = np.where(inside[pairs[:, 0]], pairs[:, 1], pairs[:, 0])[is_border]
    if not len(outer):
        return np.zeros(0, np.int64), np.zeros(0)
    area = graph.area[is_border]
    rise = graph.evidence[:, graph.evidence_names.index(RISE)].astype(np.float64)
    areas = np.bincount(outer, weights=area, minlength=SEGMENT_ID_COUNT)
    # In its own spread over the cube: how much darker membranes are differs from data set to data set.
    sums = np.bincount(outer, weights=-rise[is_border] / max(rise.std(), LEAST_SPREAD) * area, minlength=len(areas))
    ids = np.flatnonzero(areas)
    return ids, sums[ids] / areas[ids]


def _any_voxel(pooling: Pooling, inside: NDArray[np.bool_], *, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where the object has any voxel, the segments too that are too small for the packed cube."""
    mask = np.zeros(shape, dtype=bool)
    mask.ravel()[pooling.block[inside[pooling.ids][pooling.index]]] = True
    return mask


def _pooled(log_odds: NDArray[np.float64], pooling: Pooling, around: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each segment's mean over its voxels `around` the object, by id; over all of them where it has none."""
    weight = pooling.count * around.ravel()[pooling.block]
    sums = np.bincount(pooling.index, weights=weight * log_odds.ravel()[pooling.block], minlength=len(pooling.ids))
    weights = np.bincount(pooling.index, weights=weight, minlength=len(pooling.ids))
    values = np.zeros(SEGMENT_ID_COUNT)
    values[pooling.ids] = np.where(weights > 0, sums / np.maximum(weights, 1), pooling.mean(log_odds))
    return values


def _log_odds(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    least = _sigmoid(np.array(-LARGEST_LOG_ODDS))
    bounded = np.clip(chance, least, 1 - least)
    return np.asarray(np.log(bounded / (1 - bounded)))


def _sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-log_odds)))
