"""The rule of joining, fitted: what the network's number and the contact's are worth, on cells it may learn from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.forest.calibration.logistic import fit_logistic
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.verdicts import segment_f1
from ewval.core.segments.views import Resolution, ViewSource
from ewval.core.tasks.samples import Sample, SampleBuilder
from ewval.nn.data.drawn_seeds import PartDataset
from ewval.nn.joining.joining import LEVELS, Candidates, Scene, candidates, join, looking
from ewval.nn.joining.rule import JoinRule
from ewval.nn.looks import voxel_maps
from ewval.nn.weights import Model

__all__ = ["Observed", "fit_joining", "fit_rule", "tune_least"]


@dataclass(frozen=True, slots=True)
class Observed:
    """Candidates whose truth is known, as columns.

    Args:
        pooled: float64[n], see `Candidates`.
        contact: float64[n], likewise.
        is_true: bool[n], whether it belongs to the neuron.
        weight: float64[n], how much it counts.
    """

    pooled: NDArray[np.float64]
    contact: NDArray[np.float64]
    is_true: NDArray[np.bool_]
    weight: NDArray[np.float64]

    @classmethod
    def of(cls, many: Sequence["Observed"]) -> "Observed":
        """Return `many` as one."""
        return cls(*(np.concatenate([getattr(one, name) for one in many]) for name in cls.__slots__))


def fit_joining(
    model: Model,
    parts: PartDataset,
    sources: Sequence[ViewSource],
    *,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> dict[Resolution, JoinRule]:
    """Return the rule for each resolution that `sources` show the volumes at.

    Args:
        model: Whose network looks, once at each sample.
        parts: Whole cubes with drawn seeds.
        sources: Where views and graphs of the volumes come from.
        device: Where the network is.
        progress: Hears of each sample.
    """
    progress.start(len(parts), unit="seeds")
    found: dict[Resolution, list[Observed]] = {}
    for sample in _by_volume(parts):
        maps = voxel_maps(model, [sample], loops=1, device=device)[0]
        for source in sources:
            view = source.view(sample.volume, sample.labels)
            graph = source.graph(sample.volume, sample.image, sample.labels)
            scene = Scene(view, graph, sample.labels, sample.seed)
            beside = candidates(lambda *_, maps=maps: maps, scene, _shown(sample))
            found.setdefault(graph.resolution, []).append(_observed(beside, scene, parts.neuron(sample.task)))
        progress.advance()
    return {resolution: fit_rule(Observed.of(many)) for resolution, many in found.items()}


def tune_least(
    model: Model,
    rule: JoinRule,
    builder: SampleBuilder,
    tasks: NDArray[np.int64],
    source: ViewSource,
    *,
    loops: int,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> float:
    """Return the one of `LEVELS` at which growth from the tasks' own seeds reaches the best mean F1 by volume.

    Args:
        model: Whose network looks.
        rule: For the graphs of `source`.
        builder: Of the tasks' samples.
        tasks: With an answer that adds something.
        source: Where views and graphs of the volumes come from.
        loops: Looks at most.
        device: Where the network is.
        progress: Hears of each task.
    """
    progress.start(len(tasks), unit="tasks")
    scores = np.zeros(len(LEVELS))
    for task in builder.table.by_volume(tasks).tolist():
        sample, row = builder.build(task), builder.table.row(task)
        view = source.view(sample.volume, sample.labels)
        graph = source.graph(sample.volume, sample.image, sample.labels)
        scene = Scene(view, graph, sample.labels, sample.seed)
        seed, true = builder.table.seed(row).tolist(), builder.table.aggregate(row).tolist()
        joined = join(looking(model, sample, device=device), scene, seed, rule=rule, least=LEVELS[-1], loops=loops)
        for index, level in enumerate(LEVELS):
            chosen = joined.ids[joined.added & (joined.probability >= level)].tolist()
            scores[index] += segment_f1(chosen, true, seed, view.sizes)
        progress.advance()
    return LEVELS[int(scores.argmax())]


def _by_volume(parts: PartDataset) -> Iterator[Sample]:
    for position in np.argsort(parts.volumes, kind="stable").tolist():
        sample = parts[position]
        if sample.seed.any():
            yield sample


def _shown(sample: Sample) -> NDArray[np.bool_]:
    """Return, by segment id, what the seed's mask shows."""
    inside = np.zeros(SEGMENT_ID_COUNT, dtype=bool)
    inside[np.unique(sample.labels[sample.seed])] = True
    return inside


def _observed(beside: Candidates, scene: Scene, neuron: NDArray[np.int64]) -> Observed:
    """Return one seed's candidates: they count by the root of their voxels, and all seeds alike, as tasks do."""
    roots = np.sqrt(scene.view.sizes[beside.ids].astype(np.float64))
    weight = roots / max(float(roots.sum()), 1.0)
    return Observed(beside.pooled, beside.contact, np.isin(beside.ids, neuron), weight)


def fit_rule(observed: Observed) -> JoinRule:
    """Return the rule of least cross-entropy."""
    columns = [observed.pooled, observed.contact, np.ones(len(observed.pooled))]
    return JoinRule(*fit_logistic(columns, observed.is_true, weight=observed.weight, toward=(0, 0, 0)))
