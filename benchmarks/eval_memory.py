"""Memory and speed of an evaluation from few tasks to many, a constant predictor in place of the network.

    python benchmarks/eval_memory.py [FEW] [MANY]

Prints the highest memory of the process after each, and the growth as a share of it. Everything but the network is as
in `ewval eval`: parts on disk, rows, calibration, sums by cell.
"""

import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ewval.core.evaluation.answerers import guess_of
from ewval.core.evaluation.parts import PartFolder
from ewval.core.evaluation.run import score_parts
from ewval.core.evaluation.summary import summarize
from ewval.core.evaluation.tasks import TaskSet
from ewval.core.evaluation.totals import Totals
from ewval.core.eyewire.records import AggregateRecord, TaskRecord
from ewval.core.index.split import Split
from ewval.core.models.card import ModelCard
from ewval.core.predict.prediction import predict_samples
from ewval.core.segments.verdicts import touching_pairs
from ewval.core.segments.views import VolumeView
from ewval.core.tasks.samples import Sample
from ewval.core.tasks.table import TaskTable
from ewval.core.team import ALONE
from ewval.core.volumes.pooling import pool_packed
from ewval.nn.deciders import decider_for
from ewval.nn.networks.network import Network
from ewval.nn.weights import Model

EDGE = 6
CELLS = 500
NAME = "constant"
SHAPE = (EDGE, EDGE, EDGE)
LABELS = np.repeat(np.arange(1, EDGE + 1, dtype=np.uint16), EDGE * EDGE).reshape(SHAPE)
SEED = LABELS == 1
TARGET = LABELS <= 2


class ConstantNetwork(Network):
    def forward(self, *inputs, **_):
        return torch.full(inputs[0].shape, -1.0), torch.ones(inputs[0].shape)


class ConstantAnswerer:
    reads_graph = False

    def __init__(self, source):
        model = decider_for(Model(ModelCard(name=NAME, arch="lwunet"), ConstantNetwork()))
        [self._prediction] = predict_samples(model, [sample(0)], sources=source)

    def answer(self, questions):
        return [guess_of(replace(self._prediction, task=question.sample.task), question) for question in questions]


class OneView:
    _view = VolumeView(1, "packed", pool_packed(LABELS), touching_pairs(LABELS))

    def view(self, *_):
        return self._view


@dataclass
class SmallBuilder:
    """Samples of 6^3 voxels, so that 50,000 of them take a minute."""

    table: TaskTable

    def build(self, task):
        return sample(task)


def sample(task: int) -> Sample:
    confidence = np.where(SEED, 1, 10).astype(np.float32)
    return Sample(
        task, 1, 1, np.full(SHAPE, 99, np.uint8), LABELS, SEED, confidence, np.zeros((2, *SHAPE), bool), TARGET
    )


def task_set(count: int) -> TaskSet:
    answer = AggregateRecord({1: 1.0, 2: 1.0}, weight=9.0)
    records = ((TaskRecord(task, task % CELLS + 1, None, 1, "", seed=(1,)), answer) for task in range(1, count + 1))
    table = TaskTable.from_records(records)
    none = np.zeros(0, np.int64)
    return TaskSet(table, Split(none, none, table.ids, none), "test", table.ids, 0, SmallBuilder(table), OneView())


def run(tasks: TaskSet, folder: Path) -> dict:
    parts = PartFolder(folder, {})
    parts.open()
    began = time.perf_counter()
    answerers = {NAME: ConstantAnswerer(tasks.sources)}
    score_parts(parts, tasks, answerers, team=ALONE)
    totals = Totals()
    for part in parts.read_all(len(tasks.chunks())):
        totals.add(part, NAME)
    assert summarize(totals)["segment"]["all"]["tasks"] == len(tasks.ids)
    return {"tasks": len(tasks.ids), "seconds": time.perf_counter() - began, "peak_mib": peak_mib()}


def peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform == "linux" else 1024 * 1024)


def main(few: int = 1_000, many: int = 50_000) -> None:
    sets = [task_set(count) for count in (few, many)]  # the table is mapped from a file in real use
    with tempfile.TemporaryDirectory() as root:
        results = [run(tasks, Path(root) / str(len(tasks.ids))) for tasks in sets]
    for result in results:
        print(json.dumps(result))
    growth = results[1]["peak_mib"] - results[0]["peak_mib"]
    print(json.dumps({"growth_mib": growth, "growth_ratio": growth / results[0]["peak_mib"]}))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]))
