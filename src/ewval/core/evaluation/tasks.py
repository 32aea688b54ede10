"""The tasks under evaluation: which they are, in what order, and as questions with their truths."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import MissingError
from ewval.core.evaluation.request import Side
from ewval.core.evaluation.scoring import Truth
from ewval.core.folder import DataFolder
from ewval.core.index.split import Split, read_split, split_path
from ewval.core.predict.batch import in_groups
from ewval.core.segments.decision import Question, ask
from ewval.core.segments.views import VolumeSource
from ewval.core.tasks.samples import Sample, SampleBuilder
from ewval.core.tasks.table import TaskTable
from ewval.core.volumes.store import PackedStore

Int64s = NDArray[np.int64]

CHUNK = 64
"""Tasks of a part at most; what an interruption can cost."""


@dataclass(frozen=True, slots=True)
class TaskSet:
    """Tasks of one data folder, ready to be asked.

    Args:
        table: The task table.
        split: The split that the tasks are a side of.
        side: Which one.
        ids: int64 [n], by volume, then by id.
        unanswered: Tasks of the side that no players' answer is known of; they are left out.
        builder: Makes the samples.
        sources: The full-resolution segmentations.
    """

    table: TaskTable
    split: Split
    side: Side
    ids: Int64s
    unanswered: int
    builder: SampleBuilder
    sources: VolumeSource

    def chunks(self) -> list[Int64s]:
        """Return the ids in parts that depend on their number alone, so that any number of processes share them."""
        size = min(CHUNK, max(1, -(-len(self.ids) // 16)))
        return [self.ids[begin : begin + size] for begin in range(0, len(self.ids), size)]

    def question(self, task: int, *, with_graph: bool = False) -> tuple[Question, Truth]:
        """Return a task as a question, and what is right; `with_graph` where the graph of its volume will be read.

        Raises:
            MissingError: Its volume is not packed.
            UnreadableError: A file of its volume cannot be read.
            DamagedError: A volume does not hold what it should.
        """
        sample = self.builder.build(task)
        if with_graph:  # here, so that a bad file costs its own tasks alone; the graph is kept
            self.sources.graph(sample.volume, sample.image, sample.labels)
        row = self.table.row(task)
        seed = tuple(int(i) for i in self.table.seed(row))
        view = self.sources.view(sample.volume, sample.labels)
        true = frozenset(int(i) for i in self.table.aggregate(row)) - set(seed) - {0}
        return ask(sample, seed, view), Truth(_target(sample), true)

    def groups(self, ids: Int64s, *, size: int) -> Iterator[list[int]]:
        """Yield neighbours among `ids`, `size` at most, in no more volumes than are kept decoded."""
        volumes = self.table.volume[self.table.rows(ids)].tolist()
        return in_groups(ids.tolist(), volumes, size=size)

    def questions(self, tasks: Sequence[int] | Int64s) -> Iterator[tuple[Question, Truth]]:
        """Yield each task as a question, and what is right."""
        for task in tasks:
            yield self.question(int(task))

    def sides_of(self, tasks: Int64s) -> list[str]:
        """Return the side that each of `tasks` stands on."""
        if self.side != "all":
            return [self.side] * len(tasks)
        sides = ("train", "val", "test")
        stands = [_stand_in(self.split.side(side), tasks) for side in sides]
        return [sides[at] for at in np.argmax(stands, axis=0)]

    def digest(self) -> str:
        """Return a checksum of the tasks, their seeds and their answers."""
        digest = hashlib.sha256()
        for row in self.table.rows(self.ids):
            digest.update(self.table.ids[row].tobytes() + self.table.seed(row).tobytes() + b"|")
            digest.update(self.table.aggregate(row).tobytes() + b";")
        return digest.hexdigest()


def read_tasks(
    folder: DataFolder, side: Side, *, limit: int | None, seed: int, context: int, fold: int | None = None
) -> TaskSet:
    """Return the tasks of one side of the folder's split, or `limit` of them, drawn with `seed`.

    Args:
        folder: The data folder.
        side: Of the split.
        limit: How many tasks; None for all.
        seed: Of the draw.
        context: Ancestors whose answers are given.
        fold: Of the cross-validation; None for the split itself.

    Raises:
        MissingError: There is no split, or nothing on this side that could be scored.
        DamagedError: A file is not in the form it should be.
    """
    split, table = read_split(folder, fold=fold), TaskTable.load(folder)
    ids, unanswered = _answered(split.side(side), table)
    if not len(ids):
        path = split_path(folder, fold=fold)
        raise MissingError(f"a task with an answer on the {side} side of {path}", hint=_EMPTY_HINT)
    if limit is not None and limit < len(ids):
        ids = np.random.default_rng(seed).choice(ids, limit, replace=False)
    return TaskSet(
        table=table,
        split=split,
        side=side,
        ids=table.by_volume(ids),
        unanswered=unanswered,
        builder=SampleBuilder(table, PackedStore(folder), context=context, withheld=split.withheld_from(side)),
        sources=VolumeSource(folder),
    )


_EMPTY_HINT = "`ewval index` with another split or fraction makes one; or choose another side"


def _target(sample: Sample) -> NDArray[np.bool_]:
    if sample.target is None:
        raise MissingError(f"answer of task {sample.task}")
    return sample.target


def _answered(ids: Int64s, table: TaskTable) -> tuple[Int64s, int]:
    rows = table.rows(ids)
    has_answer = np.array([table.has_aggregate(row) for row in rows], dtype=bool)
    return ids[has_answer], int((~has_answer).sum())


def _stand_in(ascending: Int64s, values: Int64s) -> NDArray[np.bool_]:
    """Return whether each of `values` is among the `ascending`; np.isin would sort all of them for every part."""
    if not len(ascending):
        return np.zeros(len(values), dtype=bool)
    at = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.asarray(ascending[at] == values)
