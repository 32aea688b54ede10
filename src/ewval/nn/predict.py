"""From samples to segments: what evaluation and `ewval predict` both use, so that they can never disagree."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from ewval.core.segments.verdicts import SegmentScore, SegmentTable, Thresholds, review_priority
from ewval.core.segments.views import Resolution, ViewSource, VolumeSource
from ewval.core.tasks.samples import Sample
from ewval.nn.decisions import Asked, Decision, Evidence, decide_by_segments, decide_by_voxels
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
        samples: From `ewval.core.tasks.samples.SampleBuilder`; those of one volume in a row are the fastest.
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
    asked = Asked(loops, flips, device)
    stream = iter(samples)
    while group := list(islice(stream, batch_size)):
        maps = [
            [_blank(sample) for sample in group]
            if m.by_segments
            else voxel_maps(m, group, loops=loops, flips=flips, device=device, batch_size=batch_size)
            for m in models
        ]
        for sample, of_sample in zip(group, zip(*maps, strict=True), strict=True):
            seed = _seed_shown(sample) if seeds is None else seeds(sample.task)
            ids = tuple(sorted(int(i) for i in seed))
            evidence = Evidence(of_sample, sources.view(sample.volume, sample.labels), sample, ids, asked)
            decision = _decide(models, evidence, sources)
            yield _prediction(models, sample, maps=of_sample, decision=decision, seed=ids, loops=loops)


def model_name(models: Sequence[Model]) -> str:
    """Return what an answer says it was made by."""
    return "+".join(m.card.name for m in models)


def _decide(models: Sequence[Model], evidence: Evidence, sources: ViewSource) -> Decision:
    if not any(model.by_segments for model in models):
        return decide_by_voxels(models, evidence)
    sample = evidence.sample
    return decide_by_segments(models, evidence, sources.graph(sample.volume, sample.image, sample.labels))


def _blank(sample: Sample) -> VoxelMaps:
    """Return the maps of a model that decides over segments: its network is not asked, its answer is painted."""
    shape = (1, *sample.image.shape)
    return VoxelMaps(np.zeros(shape, dtype=np.float32), np.ones(shape, dtype=np.float32))


def _prediction(
    models: Sequence[Model],
    sample: Sample,
    *,
    maps: Sequence[VoxelMaps],
    decision: Decision,
    seed: tuple[int, ...],
    loops: int | None,
) -> TaskPrediction:
    return TaskPrediction(
        task=sample.task,
        volume=sample.volume,
        cell=sample.cell if sample.cell >= 0 else None,
        model=model_name(models),
        loops=models[0].card.loops if loops is None else loops,
        seed=seed,
        probability=_mean([m.probability for m in maps]) if decision.painted is None else decision.painted,
        sigma=_mean([m.sigma for m in maps]),
        table=decision.table,
        segments=decision.segments,
        resolution=decision.resolution,
        thresholds=decision.thresholds,
    )


def _mean(maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.asarray(np.mean([m.mean(axis=0) for m in maps], axis=0), dtype=np.float32)


def _seed_shown(sample: Sample) -> list[int]:
    ids = np.unique(sample.labels[sample.seed])
    return [int(i) for i in ids if i]
