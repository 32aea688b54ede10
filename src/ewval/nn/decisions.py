"""From what the models say to one table of segments and a verdict for each candidate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.segments.doubts import BLACK_VALUE
from ewval.core.segments.verdicts import DECIMALS, SegmentScore, SegmentTable, Thresholds, Verdict, decide
from ewval.core.segments.views import GraphView, Resolution, VolumeView
from ewval.core.tasks.samples import Sample
from ewval.core.volumes.pooling import Pooling
from ewval.nn.joining.joining import Joined, Scene, join, looking
from ewval.nn.joining.rule import join_rules
from ewval.nn.looks import Flip, VoxelMaps
from ewval.nn.weights import Model


@dataclass(frozen=True, slots=True)
class Decision:
    """All scored segments, the candidates with their verdicts, and how finely they were seen.

    Args:
        table: All scored segments.
        segments: The candidates, most probable first.
        resolution: That segments were seen at.
        thresholds: Between the verdicts.
        painted: float32 64^3, each voxel the probability of its segments; None where networks gave voxels their own.
    """

    table: SegmentTable
    segments: tuple[SegmentScore, ...]
    resolution: Resolution
    thresholds: Thresholds
    painted: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """How networks look: loops (None: as their cards say), mirrorings of the cube, and where they are."""

    loops: int | None
    flips: Sequence[Flip]
    device: torch.device | str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to decide a task with.

    Args:
        maps: What each model says of every voxel.
        view: The segments of the volume.
        sample: The task's cube.
        seed: Segments that were given.
        asked: How networks look.
    """

    maps: Sequence[VoxelMaps]
    view: VolumeView
    sample: Sample
    seed: Sequence[int]
    asked: Asked

    @property
    def inside(self) -> NDArray[np.float64]:
        """Share of each segment's voxels that the models take for the neuron's, by position in the view."""
        chance = np.mean([maps.probability.mean(axis=0) for maps in self.maps], axis=0)
        return self.view.pooling.share(chance > 0.5)

    @property
    def dark(self) -> NDArray[np.float64]:
        """Share of each segment's voxels where the image is black, by position in the view."""
        return self.view.pooling.share(self.sample.image <= BLACK_VALUE)


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What one model says: probability and spread by segment id, the candidates, and which of them it adds."""

    probability: NDArray[np.float64]
    spread: NDArray[np.float64]
    candidates: NDArray[np.bool_]
    added: NDArray[np.bool_]


def decide_by_voxels(models: Sequence[Model], evidence: Evidence) -> Decision:
    """Return the decision of models that speak of voxels: these pooled, then growth over touching segments.

    The probability of a segment is the mean over models of the mean over looks; the spread is between all of these.
    """
    view, thresholds = evidence.view, _thresholds(models)
    pooled = [np.stack([view.pooling.mean(look) for look in maps.probability]) for maps in evidence.maps]
    of_models = np.stack([looks.mean(axis=0) for looks in pooled])
    between_looks = np.stack([looks.var(axis=0) for looks in pooled]).mean(axis=0)
    table = SegmentTable(
        ids=view.pooling.ids,
        voxels=view.pooling.voxels,
        probability=_rounded(of_models.mean(axis=0)),
        spread=np.sqrt(between_looks + of_models.var(axis=0)).round(DECIMALS),
        inside=evidence.inside,
        dark=evidence.dark,
    )
    segments = decide(table, view.pairs, seed=evidence.seed, thresholds=thresholds)
    return Decision(table, segments, view.resolution, thresholds)


def decide_by_segments(models: Sequence[Model], evidence: Evidence, graph: GraphView) -> Decision:
    """Return the decision where a model decides over the segment graph: it says itself what it adds.

    Of several models, more than half must add a segment; probabilities are means.
    """
    opinions = [_opinion(model, maps, evidence, graph) for model, maps in zip(models, evidence.maps, strict=True)]
    probability = np.stack([opinion.probability for opinion in opinions])
    spread = np.sqrt(np.stack([o.spread**2 for o in opinions]).mean(axis=0) + probability.var(axis=0))
    ids, thresholds, pooling = graph.graph.ids, _thresholds(models), evidence.view.pooling
    table = SegmentTable(
        ids=ids,
        voxels=graph.voxels,
        probability=_rounded(probability.mean(axis=0)[ids]),
        spread=spread[ids].round(DECIMALS),
        inside=np.mean([opinion.added for opinion in opinions], axis=0)[ids],
        dark=_by_id(pooling, evidence.dark)[ids],
    )
    candidates = np.any([opinion.candidates for opinion in opinions], axis=0)
    candidates[list(evidence.seed)] = False
    added = np.mean([opinion.added for opinion in opinions], axis=0) > 0.5
    verdicts = _verdicts(table, candidates=candidates, added=added, thresholds=thresholds)
    image = evidence.sample.image
    painted = pooling.paint(table.dense(table.probability)[pooling.ids], size=image.size).reshape(image.shape)
    return Decision(table, table.scores(verdicts), graph.resolution, thresholds, painted)


def _verdicts(
    table: SegmentTable, *, candidates: NDArray[np.bool_], added: NDArray[np.bool_], thresholds: Thresholds
) -> dict[int, Verdict]:
    is_unsure = table.dense(table.probability) >= thresholds.maybe
    return {int(i): "add" if added[i] else "maybe" if is_unsure[i] else "reject" for i in np.flatnonzero(candidates)}


def _opinion(model: Model, maps: VoxelMaps, evidence: Evidence, graph: GraphView) -> _Opinion:
    if model.head is not None:
        answer = model.head.score(graph.graph, evidence.seed, kept=graph.judged)
        return _of_candidates(answer.ids, answer.probability, answer.chosen, seed=evidence.seed)
    if model.card.joining is not None:
        joined = _join(model, evidence, graph)
        return _of_candidates(joined.ids, joined.probability, joined.added, seed=evidence.seed, spread=joined.spread)
    return _by_voxels(model, maps, evidence)


def _of_candidates(
    ids: NDArray[np.int64],
    chances: NDArray[np.float64],
    chosen: NDArray[np.bool_],
    *,
    seed: Sequence[int],
    spread: NDArray[np.float64] | float = 0.0,
) -> _Opinion:
    empty = np.zeros(SEGMENT_ID_COUNT)
    probability, deviation, candidates, added = empty.copy(), empty.copy(), empty.astype(bool), empty.astype(bool)
    probability[ids], deviation[ids], candidates[ids] = chances, spread, True
    probability[list(seed)] = 1.0
    added[ids[chosen]] = True
    added[list(seed)] = True
    return _Opinion(probability, deviation, candidates, added)


def _join(model: Model, evidence: Evidence, graph: GraphView) -> Joined:
    card, sample, asked = model.card, evidence.sample, evidence.asked
    assert card.joining is not None
    return join(
        looking(model, sample, flips=asked.flips, device=asked.device),
        Scene(evidence.view, graph, sample.labels, sample.seed),
        evidence.seed,
        rule=join_rules(card.joining)[graph.resolution],
        least=card.add_threshold,
        loops=card.loops if asked.loops is None else asked.loops,
    )


def _by_voxels(model: Model, maps: VoxelMaps, evidence: Evidence) -> _Opinion:
    decision = decide_by_voxels([model], replace(evidence, maps=[maps]))
    candidates, added = np.zeros(SEGMENT_ID_COUNT, bool), np.zeros(SEGMENT_ID_COUNT, bool)
    candidates[[score.id for score in decision.segments]] = True
    added[[score.id for score in decision.segments if score.verdict == "add"]] = True
    table = decision.table
    return _Opinion(table.dense(table.probability), table.dense(table.spread), candidates, added)


def _by_id(pooling: Pooling, column: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.zeros(SEGMENT_ID_COUNT)
    values[pooling.ids] = column
    return values


def _rounded(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.clip(probability, 0.0, 1.0).round(DECIMALS))


def _thresholds(models: Sequence[Model]) -> Thresholds:
    """Those of the card; for an ensemble, whose probabilities are means, the mean of the cards."""
    return Thresholds(
        add=float(np.mean([m.card.add_threshold for m in models])),
        maybe=float(np.mean([m.card.maybe_threshold for m in models])),
    )
