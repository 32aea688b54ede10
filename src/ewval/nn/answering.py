"""Many tasks answered: grouped by volume, given out in the order they were asked, a bad one never stopping the rest."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch

from ewval.core.constants import ELSEWHERE_CONFIDENCE, SEED_CONFIDENCE
from ewval.core.errors import EwvalError, MissingError
from ewval.core.fetch.on_disk import by_volume
from ewval.core.segments.views import VolumeSource, VolumeView
from ewval.core.tasks.samples import Sample, SampleBuilder
from ewval.core.tasks.table import TaskTable
from ewval.nn.answers import Answer, judge
from ewval.nn.predict import TaskPrediction, predict_samples
from ewval.nn.weights import Model

WINDOW = 128
"""Tasks that are ordered by volume at a time: what waits for its turn to be given out is 2 MB a task."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the networks look.

    Args:
        loops: Runs over their own answers; None: as each card says.
        tta: Average over the eight mirrorings of the cube.
        device: Where the networks are.
        batch_size: Samples at once, where the device gains by it.
    """

    loops: int | None = None
    tta: bool = False
    device: torch.device | str = "cpu"
    batch_size: int = 8


@dataclass(frozen=True, slots=True)
class Failed:
    """A task without an answer, and why."""

    task: int
    error: EwvalError


Outcome = Answer | Failed


class Answerer:
    """Answers tasks of one table with one model or several.

    Args:
        models: Loaded on the device of `settings`.
        builder: Samples of the tasks; its table holds them.
        source: Where the full-resolution segmentations are.
        settings: How the networks look.
    """

    def __init__(
        self, models: Sequence[Model], builder: SampleBuilder, *, source: VolumeSource, settings: Settings
    ) -> None:
        self.models, self.builder, self.source, self.settings = tuple(models), builder, source, settings

    @property
    def table(self) -> TaskTable:
        """The tasks that are known."""
        return self.builder.table

    def answer(self, tasks: Sequence[int]) -> Iterator[Outcome]:
        """Yield what came of each task, in the order of `tasks`; all of them stand in the table."""
        for start in range(0, len(tasks), WINDOW):
            yield from self._window(tasks[start : start + WINDOW])

    def _window(self, tasks: Sequence[int]) -> Iterator[Outcome]:
        waiting, ready = deque(tasks), dict[int, Outcome]()
        for outcome in self._by_volume(tasks):
            ready[outcome.task] = outcome
            while waiting and waiting[0] in ready:
                yield ready.pop(waiting.popleft())

    def _by_volume(self, tasks: Sequence[int]) -> Iterator[Outcome]:
        stream = iter(by_volume(tasks, self.table))
        while group := list(islice(stream, self.settings.batch_size)):
            built = [self._sample(task) for task in group]
            yield from (item for item in built if isinstance(item, Failed))
            yield from self._predict([item for item in built if isinstance(item, Sample)])

    def _sample(self, task: int) -> Sample | Failed:
        try:
            sample = self.builder.build(task)
            view = self.source.view(sample.volume, sample.labels)
            if any(model.by_segments for model in self.models):  # here, so that damage costs its own tasks alone
                self.source.graph(sample.volume, sample.image, sample.labels)
            return sample if sample.seed.any() else with_small_seed(sample, view, seed=self._seed(task))
        except EwvalError as error:
            return Failed(task, error)

    def _predict(self, samples: Sequence[Sample]) -> Iterator[Outcome]:
        settings = self.settings
        predictions = predict_samples(
            self.models,
            samples,
            sources=self.source,
            seeds=self._seed,
            loops=settings.loops,
            tta=settings.tta,
            device=settings.device,
            batch_size=settings.batch_size,
        )
        yield from (self._judged(prediction) for prediction in predictions)

    def _judged(self, prediction: TaskPrediction) -> Answer:
        row = self.table.row(prediction.task)
        consensus = self.table.aggregate(row).tolist() if self.table.has_aggregate(row) else None
        return judge(prediction, consensus=consensus)

    def _seed(self, task: int) -> list[int]:
        return [int(segment) for segment in self.table.seed(self.table.row(task))]


def with_small_seed(sample: Sample, view: VolumeView, *, seed: Sequence[int]) -> Sample:
    """Return the sample of a task whose seed did not survive the packing, marked wherever the seed has any voxel.

    Raises:
        MissingError: There is no seed, or the full-resolution segmentation that would show it is not at hand.
    """
    where = np.isin(view.pooling.ids, seed)[view.pooling.index]
    if not seed:
        raise MissingError(f"the seed of task {sample.task}", hint="Eyewire lists no seed segments for it")
    if not where.any():
        hint = (
            "its volume has no segments of these ids"
            if view.resolution == "full"
            else "it is too small for the packed cube; fetch the volume into another --data folder, without --drop-raw"
        )
        raise MissingError(f"the seed of task {sample.task} at 64^3", hint=hint)
    mask = np.zeros(sample.labels.shape, dtype=bool)
    mask.ravel()[view.pooling.block[where]] = True
    confidence = np.where(mask, np.float32(SEED_CONFIDENCE), np.float32(ELSEWHERE_CONFIDENCE))
    return replace(sample, seed=mask, confidence=confidence)
