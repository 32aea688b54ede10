"""Guards against figures that are too good to be true: the answer in the input, or the exam among the lessons."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ewval.core.evaluation.answerers import Answerer, ModelAnswerer
from ewval.core.evaluation.bootstrap import ClusterSums, interval, resampled_means
from ewval.core.evaluation.metrics import Floats, segment_metrics
from ewval.core.evaluation.scoring import Truth
from ewval.core.evaluation.tasks import Int64s, TaskSet
from ewval.core.graph.graph import build_graph
from ewval.core.index.subset import with_ancestors
from ewval.core.models.card import ModelCard
from ewval.core.progress import SILENT, Progress
from ewval.core.segments.decision import Question
from ewval.core.segments.views import GraphView, VolumeSource, VolumeView, graph_of_packed
from ewval.core.tasks.samples import Sample, SampleBuilder
from ewval.core.tasks.table import TaskTable

State = Literal["pass", "fail", "inconclusive"]

MAX_TASKS = 64
"""Tasks that the guards look at."""
NOTHING_LEFT = 0.1
"""A score that keeps less than this share has dropped to nothing; one that loses less has not fallen."""
_GROUP = 8


@dataclass(frozen=True, slots=True)
class Guard:
    """The outcome of one guard.

    Args:
        state: `inconclusive` where the guard could not tell.
        value: The figure it rests on; None where there is none.
        reason: One sentence.
    """

    state: State
    value: float | None
    reason: str

    def to_document(self) -> dict[str, Any]:
        """Return the guard as it stands in metrics.json."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Probe:
    """The tasks that the guards look at, and how the model did on them.

    Args:
        tasks: Where they come from.
        ids: int64 [n].
        score: float64 [n], the model's volume F1.
        seed_score: float64 [n], that of the seed alone.
    """

    tasks: TaskSet
    ids: Int64s
    score: Floats
    seed_score: Floats

    @property
    def groups(self) -> Int64s:
        """What the tasks are resampled by."""
        table = self.tasks.table
        return table.group[table.rows(self.ids)]

    @property
    def gain(self) -> Floats:
        """By how much the model beats the seed alone, task by task."""
        return self.score - self.seed_score

    @property
    def has_context(self) -> bool:
        """Whether a question can hold an ancestor's answer; a model that wants none is given none."""
        return self.tasks.builder.context > 0

    @property
    def questions(self) -> int:
        """How many questions the guards ask, own inputs counted."""
        return len(self.ids) * (1 + self.beats_seed * (1 + self.has_context))

    @property
    def beats_seed(self) -> bool:
        """Whether the model beats the seed alone by its 95 % interval."""
        return len(self.ids) > 0 and _interval(self.gain, self.groups)[0] > 0


def own_answer(tasks: TaskSet, ids: Int64s, *, progress: Progress = SILENT) -> Guard:
    """Change each task's own answer and compare its inputs: not one may differ; `progress` is advanced by tasks."""
    table = lineage(tasks.table, ids)  # changing answers copies the table, which may hold millions of tasks
    before = rebuilt(tasks.builder, table)
    other = {int(task): _other_answer(before, int(task)) for task in ids}
    suspects = _differing(before, rebuilt(before, table.with_answers(other)), ids, progress=progress)
    # A suspect may merely have an ancestor among the tasks, whose answer it is right to see: change it alone.
    alone = {task: rebuilt(before, table.with_answers({task: other[task]})) for task in suspects}
    leaking = [task for task in suspects if _differing(before, alone[task], np.array([task]))]
    if leaking:
        return Guard("fail", float(len(leaking)), f"the answer of task {leaking[0]} reaches its own input")
    return Guard("pass", 0.0, f"changing the answers of {len(ids)} tasks changed none of their inputs")


def shuffled_image(probe: Probe, answerer: ModelAnswerer, *, progress: Progress = SILENT) -> Guard:
    """Shuffle the voxels of each image: a model that looks at it must lose most of its gain over the seed."""
    if not probe.beats_seed:
        return Guard("inconclusive", None, "the model does not beat the seed alone by its interval")
    blinded = replace(answerer, sources=ShuffledSource(probe.tasks.sources))
    kept = rescored(probe, blinded, shuffle_image, progress=progress)
    fall = probe.score - kept
    share = float(fall.mean() / probe.gain.mean())
    low, _ = _interval(fall, probe.groups)
    text = f"volume F1 {probe.score.mean():.3f}, with shuffled images {kept.mean():.3f}"
    if share < NOTHING_LEFT:
        return Guard("fail", float(kept.mean()), f"{text}: the image hardly matters")
    return Guard("pass" if low > 0 else "inconclusive", float(kept.mean()), text)


def zeroed_context(probe: Probe, answerer: ModelAnswerer, *, progress: Progress = SILENT) -> Guard:
    """Take the ancestors' answers away: a model that was fed its answer there is left with nothing.

    Where no question holds any, all stay what they were, and nothing is asked again.
    """
    if not probe.beats_seed:
        return Guard("inconclusive", None, "the model does not beat the seed alone by its interval")
    kept = rescored(probe, answerer, zero_context, progress=progress) if probe.has_context else probe.score
    share = float((kept - probe.seed_score).mean() / probe.gain.mean())
    text = f"volume F1 {probe.score.mean():.3f}, without context {kept.mean():.3f}"
    if share < NOTHING_LEFT:
        return Guard("fail", float(kept.mean()), f"{text}: the answers came from the context")
    return Guard("pass", float(kept.mean()), text)


def split_overlap(tasks: TaskSet, cards: Sequence[ModelCard]) -> Guard:
    """Count what is tested and was learned from, by the split and by the cards of the models that are asked.

    By the split: volumes or cells, whichever it is made of. By the card: cells in volumes that the model has seen,
    since a model may come from elsewhere and know this folder better than its split says.
    """
    if tasks.side != "test":
        return Guard("inconclusive", None, "checked on the test side only")
    split, table = tasks.split, tasks.table
    rule = split.fallback or split.rule
    unit, column = ("volume", table.volume) if rule.startswith("volume") else ("cell", table.group)
    learned = np.concatenate([split.train, split.val])
    known = learned[np.isin(learned, table.ids)]
    shared = np.intersect1d(column[table.rows(known)], column[table.rows(tasks.ids)])
    if len(shared):
        return Guard("fail", float(len(shared)), f"{unit} {shared[0]} is tested and was learned from")
    rows = table.rows(tasks.ids)
    for card in cards:
        seen = np.isin(table.volume[rows], np.array(card.volumes)) & np.isin(table.group[rows], np.array(card.cells))
        cells = np.unique(table.group[rows][seen])
        if len(cells):
            reason = f"cell {cells[0]} is tested and is one that model {card.name} learned from, by its card"
            return Guard("fail", float(len(cells)), reason)
    return Guard("pass", 0.0, f"no {unit} is tested and was learned from")


class ShuffledSource:
    """Views of volumes whose images are shuffled, the full-resolution ones too; nothing of it reaches the disk.

    Args:
        sources: The volumes as they are.
    """

    def __init__(self, sources: VolumeSource) -> None:
        self._sources = sources
        self._latest: tuple[int, GraphView] | None = None

    def view(self, volume: int, packed: NDArray[np.uint16]) -> VolumeView:
        """Return the view of the volume, which knows no image."""
        return self._sources.view(volume, packed)

    def graph(self, volume: int, image: NDArray[np.uint8], packed: NDArray[np.uint16]) -> GraphView:
        """Return the graph of the volume as the shuffled image shows it; `image` is shuffled already."""
        if self._latest is None or self._latest[0] != volume:
            self._latest = (volume, self._measure(volume, image, packed))
        return self._latest[1]

    def _measure(self, volume: int, image: NDArray[np.uint8], packed: NDArray[np.uint16]) -> GraphView:
        full, labels = self._sources.image(volume), self._sources.labels(volume)
        if full is None or labels is None:
            return graph_of_packed(image, packed)
        return GraphView(build_graph(shuffled(full, key=volume), labels), "full", 1)


def shuffle_image(question: Question) -> Question:
    """Return the question with the image's voxels in an order drawn from the volume's id."""
    sample = question.sample
    return replace(question, sample=replace(sample, image=shuffled(sample.image, key=sample.volume)))


def shuffled(image: NDArray[np.uint8], *, key: int) -> NDArray[np.uint8]:
    """Return the image with its voxels in an order drawn from `key`."""
    return np.random.default_rng(key).permutation(image.ravel()).reshape(image.shape)


def zero_context(question: Question) -> Question:
    """Return the question without its ancestors' answers."""
    return replace(question, sample=replace(question.sample, context=np.zeros_like(question.sample.context)))


def rescored(
    probe: Probe, answerer: Answerer, change: Callable[[Question], Question], *, progress: Progress = SILENT
) -> Floats:
    """Return the volume F1 of each task when its question is changed so, float64 [n]."""
    scores: list[float] = []
    for group in probe.tasks.groups(probe.ids, size=_GROUP):
        asked = list(probe.tasks.questions(group))
        guesses = answerer.answer([change(question) for question, _ in asked])
        scores += [_f1(guess.chosen, pair) for guess, pair in zip(guesses, asked, strict=True)]
        progress.advance(len(group))
    return np.array(scores)


def rebuilt(builder: SampleBuilder, table: TaskTable) -> SampleBuilder:
    """Return a builder of the same kind over another table."""
    return type(builder)(table, builder.store, context=builder.context, withheld=builder.withheld)


def _f1(chosen: frozenset[int], asked: tuple[Question, Truth]) -> float:
    question, truth = asked
    return segment_metrics(set(chosen), set(truth.true), size=question.view.sizes)["volume_f1"]


def lineage(table: TaskTable, ids: Int64s) -> TaskTable:
    """Return the table of these tasks and all their ancestors alone."""
    chosen = np.zeros(len(table), dtype=bool)
    chosen[table.rows(ids)] = True
    rows = np.flatnonzero(with_ancestors(table, chosen))
    plain = {name: getattr(table, name)[rows] for name in ("ids", "volume", "cell", "parent", "corner", "answer")}
    return replace(table, **plain, seeds=table.seeds.take(rows), aggregates=table.aggregates.take(rows), mapped=None)


def _other_answer(builder: SampleBuilder, task: int) -> list[int]:
    """Return an answer that differs from the task's own in every segment of the volume that is not its seed."""
    table, row = builder.table, builder.table.row(task)
    seed, answer = table.seed(row), table.aggregate(row)
    present = np.unique(builder.store.segmentation(int(table.volume[row])))
    flipped = np.setdiff1d(present[present > 0], answer)
    return sorted({*flipped.tolist(), *seed.tolist()})


def _differing(before: SampleBuilder, after: SampleBuilder, ids: Int64s, *, progress: Progress = SILENT) -> list[int]:
    found = []
    for task in ids.tolist():
        if not _same_inputs(before.build(task), after.build(task)):
            found.append(task)
        progress.advance()
    return found


def _same_inputs(one: Sample, other: Sample) -> bool:
    names: Sequence[str] = ("image", "labels", "seed", "confidence", "context")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def _interval(values: Floats, groups: NDArray[np.int64]) -> tuple[float, float]:
    _, index = np.unique(groups, return_inverse=True)
    sums = np.bincount(index, weights=values).astype(np.float64)
    return interval(resampled_means(ClusterSums(np.bincount(index), sums[:, None]))[:, 0])
