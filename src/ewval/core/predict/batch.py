"""Many tasks answered volume by volume, a bad one never stopping the rest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ewval.core.constants import ELSEWHERE_CONFIDENCE, SEED_CONFIDENCE
from ewval.core.errors import DataError, EwvalError, MissingError
from ewval.core.fetch.on_disk import by_volume
from ewval.core.models.decider import Decider
from ewval.core.predict.answers import Answer, judge
from ewval.core.predict.prediction import TaskPrediction, check_numbers, predict_questions
from ewval.core.segments.decision import Looks, Question, ask
from ewval.core.segments.views import VOLUMES_KEPT, GraphView, VolumeSource, VolumeView
from ewval.core.tasks.samples import Sample, SampleBuilder
from ewval.core.tasks.table import TaskTable


@dataclass(frozen=True, slots=True)
class Failed:
    """A task without an answer, and why."""

    task: int
    error: EwvalError


Outcome = Answer | Failed


class Answerer:
    """Answers tasks of one table.

    Args:
        decider: Who decides.
        builder: Samples of the tasks; its table holds them.
        source: Where the full-resolution segmentations are.
        looks: How networks look.
    """

    def __init__(self, decider: Decider, builder: SampleBuilder, *, source: VolumeSource, looks: Looks) -> None:
        self.decider, self.builder, self.source, self.looks = decider, builder, source, looks

    @property
    def table(self) -> TaskTable:
        """The tasks that are known."""
        return self.builder.table

    def answer(self, tasks: Sequence[int]) -> Iterator[Outcome]:
        """Yield what came of each of `tasks`, all of which stand in the table, volume by volume as they are first met.

        Within a volume, tasks that cannot be asked come before the others of their batch.
        """
        ordered = by_volume(tasks, self.table)
        volumes = self.table.volume[self.table.rows(ordered)].tolist()
        for group in in_groups(ordered, volumes, size=self.looks.batch_size):
            asked = [self._question(task) for task in group]
            yield from (item for item in asked if isinstance(item, Failed))
            yield from self._decide([item for item in asked if isinstance(item, Question)])

    def _question(self, task: int) -> Question | Failed:
        try:
            sample = self.builder.build(task)
            view, seed = self.source.view(sample.volume, sample.labels), self._seed(task)
            is_shown = bool(sample.seed.any())
            if self.decider.reads_graph:  # here, so that damage costs its own tasks alone
                graph = self.source.graph(sample.volume, sample.image, sample.labels)
                is_shown = is_shown or (self.decider.loops is None and _is_seed_in(graph, seed))
            return ask(sample if is_shown else with_small_seed(sample, view, seed=seed), seed, view)
        except EwvalError as error:
            return Failed(task, error)

    def _decide(self, questions: Sequence[Question]) -> Iterator[Outcome]:
        try:
            found = predict_questions(self.decider, questions, sources=self.source, looks=self.looks)
        except DataError as error:
            if len(questions) == 1:
                yield Failed(questions[0].sample.task, error)
            else:  # one of them hinders the others
                yield from (outcome for question in questions for outcome in self._decide([question]))
        else:
            yield from (self._judged(prediction) for prediction in found)

    def _judged(self, prediction: TaskPrediction) -> Outcome:
        try:
            check_numbers(prediction)
        except DataError as error:
            return Failed(prediction.task, error)
        row = self.table.row(prediction.task)
        consensus = self.table.aggregate(row).tolist() if self.table.has_aggregate(row) else None
        return judge(prediction, consensus=consensus)

    def _seed(self, task: int) -> list[int]:
        return [int(segment) for segment in self.table.seed(self.table.row(task))]


def _is_seed_in(graph: GraphView, seed: Sequence[int]) -> bool:
    """Tell whether a full-resolution graph knows a segment of the seed: whoever decides from it alone needs no more."""
    return graph.resolution == "full" and bool(len(graph.graph.rows(np.unique(np.array(seed, dtype=np.int64)))))


def in_groups(tasks: Sequence[int], volumes: Sequence[int], *, size: int) -> Iterator[list[int]]:
    """Yield neighbours among `tasks` together, `size` at most, in no more volumes than are kept decoded.

    Args:
        tasks: By volume.
        volumes: That of each task.
        size: Tasks of a group at most.
    """
    group: list[int] = []
    inside: set[int] = set()
    for task, volume in zip(tasks, volumes, strict=True):
        if len(group) == size or (len(inside) == VOLUMES_KEPT and volume not in inside):
            yield group
            group, inside = [], set()
        group.append(task)
        inside.add(volume)
    if group:
        yield group


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
            else "it is too small for the packed cube; fetch the volume elsewhere, and keep its raw files"
        )
        raise MissingError(f"the seed of task {sample.task} at 64^3", hint=hint)
    mask = np.zeros(sample.labels.shape, dtype=bool)
    mask.ravel()[view.pooling.block[where]] = True
    confidence = np.where(mask, np.float32(SEED_CONFIDENCE), np.float32(ELSEWHERE_CONFIDENCE))
    return replace(sample, seed=mask, confidence=confidence)
