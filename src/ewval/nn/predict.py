"""From samples to segments: what evaluation and `ewval predict` both use, so that they can never disagree."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from ewval.core.cube import Sample
from ewval.core.doubts import BLACK_VALUE
from ewval.core.segments import DECIMALS, SegmentScore, SegmentTable, Thresholds, decide, review_priority
from ewval.core.views import Resolution, ViewSource, VolumeSource, VolumeView
from ewval.nn.looks import ALL_FLIPS, NO_FLIP, VoxelMaps, voxel_maps
from ewval.nn.weights import Model

__all__ = ["SeedLookup", "TaskPrediction", "VolumeSource", "model_name", "predict_samples"]

SeedLookup = Callable[[int], Iterable[int]]
"""From a task to its seed segments."""


@dataclass(frozen=True, slots=True)
class TaskPrediction:
    """The answer to one task.

    Args:
        task: Its id.
        volume: The volume it lies in.
        cell: Its cell; None where unknown.
        model: Name of the model; the names joined by + for an ensemble.
        loops: Runs of the network over its own answer.
        seed: Segments that were given, ascending.
        probability: float32 64^3, that a voxel belongs to the neuron; mean over looks and models.
        sigma: float32 64^3, the network's own uncertainty, at least 1; mean over looks and models.
        table: All scored segments of the volume.
        segments: The candidates, most probable first.
        resolution: Whether segments were scored at full resolution or in the packed cube.
        thresholds: Between the verdicts.
    """

    task: int
    volume: int
    cell: int | None
    model: str
    loops: int
    seed: tuple[int, ...]
    probability: NDArray[np.float32]
    sigma: NDArray[np.float32]
    table: SegmentTable
    segments: tuple[SegmentScore, ...]
    resolution: Resolution
    thresholds: Thresholds

    @property
    def add(self) -> tuple[int, ...]:
        """The answer: ids that the model would colour, ascending."""
        return tuple(sorted(s.id for s in self.segments if s.verdict == "add"))

    @property
    def maybe(self) -> tuple[int, ...]:
        """Ids that a person should look at, ascending."""
        return tuple(sorted(s.id for s in self.segments if s.verdict == "maybe"))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Full-resolution voxels by segment id, int64[65536]."""
        return self.table.dense(self.table.voxels).astype(np.int64)

    @property
    def review_priority(self) -> float:
        """How much a person's look at the model's own answer is worth, in [0, 1)."""
        return review_priority(self.add, self.segments)


def predict_samples(
    model: Model | Sequence[Model],
    samples: Iterable[Sample],
    *,
    sources: ViewSource,
    seeds: SeedLookup | None = None,
    loops: int | None = None,
    tta: bool = False,
    device: torch.device | str = "cpu",
    batch_size: int = 1,
) -> Iterator[TaskPrediction]:
    """Yield the answer to each sample, in order; the same whatever `batch_size` and whatever else is asked.

    Args:
        model: One model, or several whose segment probabilities are averaged.
        samples: From `ewval.core.cube.SampleBuilder`; those of one volume in a row are the fastest.
        sources: Where the full-resolution segmentations are.
        seeds: From a task to its seed segments; without it, those that the seed mask shows at 64^3.
        loops: Runs of the networks over their own answers; default: as each card says.
        tta: Average over the eight mirrorings of the cube.
        device: Where the networks are.
        batch_size: Samples at once, where the device gains by it.

    Raises:
        DamagedError: A segmentation in `raw/` does not hold what it should.
    """
    models = [model] if isinstance(model, Model) else list(model)
    flips = ALL_FLIPS if tta else NO_FLIP
    stream = iter(samples)
    while group := list(islice(stream, batch_size)):
        maps = [voxel_maps(m, group, loops=loops, flips=flips, device=device, batch_size=batch_size) for m in models]
        for sample, of_sample in zip(group, zip(*maps, strict=True), strict=True):
            seed = _seed_shown(sample) if seeds is None else seeds(sample.task)
            view = sources.view(sample.volume, sample.labels)
            yield _prediction(models, sample, maps=of_sample, view=view, seed=seed, loops=loops)


def model_name(models: Sequence[Model]) -> str:
    """Return what an answer says it was made by."""
    return "+".join(m.card.name for m in models)


def _prediction(
    models: Sequence[Model],
    sample: Sample,
    *,
    maps: Sequence[VoxelMaps],
    view: VolumeView,
    seed: Iterable[int],
    loops: int | None,
) -> TaskPrediction:
    seed = tuple(sorted(int(i) for i in seed))
    chance = _mean([m.probability for m in maps])
    table = _table(view, maps, inside=chance > 0.5, dark=sample.image <= BLACK_VALUE)
    thresholds = _thresholds(models)
    return TaskPrediction(
        task=sample.task,
        volume=sample.volume,
        cell=sample.cell if sample.cell >= 0 else None,
        model=model_name(models),
        loops=models[0].card.loops if loops is None else loops,
        seed=seed,
        probability=chance,
        sigma=_mean([m.sigma for m in maps]),
        table=table,
        segments=decide(table, view.pairs, seed=seed, thresholds=thresholds),
        resolution=view.resolution,
        thresholds=thresholds,
    )


def _table(
    view: VolumeView, maps: Sequence[VoxelMaps], *, inside: NDArray[np.bool_], dark: NDArray[np.bool_]
) -> SegmentTable:
    """Score every segment: the mean over models of the mean over looks; the spread is between all of these."""
    pooled = [np.stack([view.pooling.mean(look) for look in m.probability]) for m in maps]
    of_model = np.stack([looks.mean(axis=0) for looks in pooled])
    between_looks = np.stack([looks.var(axis=0) for looks in pooled]).mean(axis=0)
    spread = np.sqrt(between_looks + of_model.var(axis=0))
    return SegmentTable(
        ids=view.pooling.ids,
        voxels=view.pooling.voxels,
        probability=np.clip(of_model.mean(axis=0), 0.0, 1.0).round(DECIMALS),
        spread=spread.round(DECIMALS),
        inside=view.pooling.share(inside),
        dark=view.pooling.share(dark),
    )


def _thresholds(models: Sequence[Model]) -> Thresholds:
    """Those of the card; for an ensemble, whose probabilities are means, the mean of the cards."""
    return Thresholds(
        add=float(np.mean([m.card.add_threshold for m in models])),
        maybe=float(np.mean([m.card.maybe_threshold for m in models])),
    )


def _mean(maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.asarray(np.mean([m.mean(axis=0) for m in maps], axis=0), dtype=np.float32)


def _seed_shown(sample: Sample) -> list[int]:
    ids = np.unique(sample.labels[sample.seed])
    return [int(i) for i in ids if i]
