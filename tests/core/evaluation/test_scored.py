"""Our segment figures equal those of an independent scorer on real tasks."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ewval.core.evaluation.run import score_chunk
from ewval.core.evaluation.scoring import COLUMN, named_segments
from ewval.core.evaluation.tasks import read_tasks
from ewval.core.eyewire.replies import parse_aggregate, parse_task
from ewval.core.folder import DataFolder
from ewval.core.index.split import Split, write_split
from ewval.core.packing.pack import pack_volume
from ewval.core.tasks.seed_files import write_task_files
from ewval.core.tasks.table import TaskTable, files_of

VOLUME = 71141


class Recorded:
    """Answers with what stands in a predictions file."""

    reads_graph = False

    def __init__(self, path: Path) -> None:
        lines = (json.loads(line) for line in path.read_text().splitlines())
        self.chosen = {line["task"]: line["segments"] for line in lines}

    def answer(self, questions):
        return [named_segments(question, self.chosen.get(question.sample.task, ())) for question in questions]


@pytest.fixture(scope="module")
def scorer(shared):
    spec = importlib.util.spec_from_file_location("score", shared / "tools" / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fib25(shared, tmp_path_factory):
    """The scored tasks of FIB-25 as a data folder whose test side they are."""
    source, folder = shared / "data" / "fib25", DataFolder(tmp_path_factory.mktemp("fib25"))
    scored = json.loads((shared / "data" / "scored.json").read_text())["tasks"]["fib25"]
    ids = np.array([row["task"] for row in scored])
    records = []
    for task in ids.tolist():
        path = source / "api/1.0/task" / str(task)
        reply = path.with_suffix(".json").read_text().replace("{BUCKET}", "http://127.0.0.1")
        record = parse_task(json.loads(reply), task=task, url="")
        aggregate = parse_aggregate(json.loads((path / "aggregate.json").read_text()), url="")
        records.append((record, aggregate))
    write_task_files(folder, files_of(TaskTable.from_records(records)))
    none = np.zeros(0, np.int64)
    write_split(Split(none, none, ids, none), folder)
    shutil.copytree(source / "volumes" / "Volume-71140-71141", folder.raw(VOLUME), copy_function=shutil.copyfile)
    folder.raw(VOLUME).chmod(0o755)
    pack_volume(folder, VOLUME)
    return read_tasks(folder, "test", limit=None, seed=0, context=2)


def test_segment_f1_equals_the_independent_scorer_on_every_scored_task(fib25, scorer, shared):
    rival = shared / "data" / "fib25" / "rival-ffn.jsonl"
    part = score_chunk(fib25, fib25.ids, {"ffn": Recorded(rival)})
    predictions = {row["task"]: set(row["segments"]) for row in map(json.loads, rival.read_text().splitlines())}
    expected = {row["task"]: row for row in scorer.score_tasks("fib25", predictions, None)}
    assert len(part.tasks) == len(expected) == 84
    for task, row in zip(part.tasks.tolist(), part.rows["ffn"], strict=True):
        for name in ("volume_f1", "count_f1", "wrong_voxels"):
            assert row[COLUMN[name]] == pytest.approx(expected[task][name], abs=1e-12), (task, name)
        assert bool(row[COLUMN["extend"]]) == expected[task]["extend"]
    extend = part.rows["ffn"][part.rows["ffn"][:, COLUMN["extend"]] > 0]
    assert extend[:, COLUMN["volume_f1"]].mean() == pytest.approx(0.374, abs=5e-4)
