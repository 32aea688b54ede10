"""Many tasks: given out in order, bad ones apart, small seeds found, folders that go on where they stopped."""

import json
import shutil
from contextlib import closing

import numpy as np
import pytest
import torch

from ewval.core.errors import DamagedError, MissingError, UsageError
from ewval.core.fetch.on_disk import LocalData
from ewval.core.folder import DataFolder
from ewval.core.graph.graph import build_graph, save_graph
from ewval.core.ledger.ledger import Ledger
from ewval.core.models.card import ModelCard
from ewval.core.models.registry import load_ensemble
from ewval.core.predict import work
from ewval.core.predict.batch import Answerer, Failed, with_small_seed
from ewval.core.predict.report import Reporter
from ewval.core.predict.run import PredictRequest, PredictRun
from ewval.core.predict.shards import Shards
from ewval.core.segments.decision import Looks
from ewval.core.segments.views import VolumeSource, view_volume
from ewval.core.tasks.samples import SampleBuilder
from ewval.core.volumes.store import PackedStore
from ewval.nn.deciders import decider_for
from ewval.nn.networks.architectures import build_network
from ewval.nn.shards import own_device
from ewval.nn.weights import Model
from worlds import make_pair, write_world

CONFIG = {"loops": 1}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    card = ModelCard("fresh", "lwunet", loops=1, config=CONFIG, add_threshold=0.5, maybe_threshold=0.0)
    return decider_for(Model(card, build_network("lwunet", CONFIG).eval()))


@pytest.fixture
def folder(tmp_path):
    """Six tasks in two volumes, asked for in turns."""
    pairs = [make_pair(task, volume=100 + task % 2, seed=[task]) for task in range(1, 7)]
    folder = write_world(tmp_path / "data", pairs)
    settle(folder, range(1, 7))
    return folder


def settle(folder, tasks):
    with closing(Ledger(folder.ledger)) as ledger:
        for task in tasks:
            ledger.settle(task, context=2)


def answerer(folder, model, **looks):
    table = LocalData(folder).table(range(1, 7))
    builder = SampleBuilder(table, PackedStore(folder))
    return Answerer(model, builder, source=VolumeSource(folder), looks=Looks(**looks))


def nothing_to_fetch(tasks, cells, context):
    raise AssertionError("nothing had to be fetched")


def run_of(folder, model, tasks, *, out=None, cells=()):
    request = PredictRequest(folder, tuple(tasks), model, cells=cells, out=out)
    return PredictRun(request, fetch=nothing_to_fetch)


@pytest.mark.parametrize("window", [1, 4, 128])
def test_answers_come_in_the_order_asked_though_volumes_are_done_together(folder, model, monkeypatch, window):
    monkeypatch.setattr(work, "WINDOW", window)
    tasks = [1, 2, 3, 4, 5, 6]
    request = PredictRequest(folder, tuple(tasks), model, looks=Looks(batch_size=2))
    assert [result.task for result in PredictRun(request, fetch=nothing_to_fetch)] == tasks


def test_one_volume_is_done_before_the_next_is_begun(folder, model):
    assert [outcome.task for outcome in answerer(folder, model, batch_size=2).answer([4, 1, 2, 3, 6])] == [
        4,
        2,
        6,
        1,
        3,
    ]


def test_a_bad_task_is_named_and_the_others_go_on(folder, model):
    folder.segmentation(101).write_bytes(b"damaged")
    outcomes = {outcome.task: outcome for outcome in answerer(folder, model).answer([1, 2, 3, 4])}
    assert [type(outcomes[task]) is Failed for task in (1, 2, 3, 4)] == [True, False, True, False]
    assert isinstance(outcomes[1].error, DamagedError)


def test_a_seed_too_small_for_the_packed_cube_is_marked_from_the_full_one(folder, model):
    builder = SampleBuilder(LocalData(folder).table([1]), PackedStore(folder))
    sample = builder.build(1)
    full = np.repeat(np.repeat(np.repeat(sample.labels, 4, 0), 4, 1), 4, 2)
    full[100, 40, 80] = 999
    view = view_volume(101, sample.labels, full=full)
    marked = with_small_seed(sample, view, seed=[999])
    assert np.argwhere(marked.seed).tolist() == [[25, 10, 20]]
    assert (marked.confidence == np.where(marked.seed, 1, 10)).all()


@pytest.mark.parametrize(
    ("seed", "is_full", "said"),
    [([], True, "lists no seed segments"), ([999], True, "no segments of these ids"), ([999], False, "too small")],
)
def test_a_seed_that_is_nowhere_is_missing(folder, seed, is_full, said):
    sample = SampleBuilder(LocalData(folder).table([1]), PackedStore(folder)).build(1)
    full = np.repeat(np.repeat(np.repeat(sample.labels, 4, 0), 4, 1), 4, 2) if is_full else None
    with pytest.raises(MissingError, match=said):
        with_small_seed(sample, view_volume(101, sample.labels, full=full), seed=seed)


def test_a_run_goes_on_where_it_stopped(folder, model, tmp_path):
    out = tmp_path / "out"
    first = {result.task: result.document for result in run_of(folder, model, [1, 2], out=out)}
    results = list(run_of(folder, model, [2, 3, 1], out=out))
    assert [result.task for result in results] == [2, 3, 1]
    assert [result.answer is None for result in results] == [True, False, True]  # saved ones are not done again
    assert json.loads(json.dumps(first[1])) == results[2].document
    lines = (out / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["task"] for line in lines] == [2, 3, 1]


def listed(out):
    return [json.loads(line)["task"] for line in (out / "predictions.jsonl").read_text().splitlines()]


def test_a_run_that_asks_for_less_keeps_the_answers_of_earlier_ones_listed(folder, model, tmp_path):
    out = tmp_path / "out"
    list(run_of(folder, model, [3, 1, 2], out=out))
    list(run_of(folder, model, [1, 4], out=out))
    assert listed(out) == [3, 2, 1, 4]
    shutil.rmtree(out / "2")
    with (out / "predictions.jsonl").open("a") as lines:
        lines.write('{"task": 4, cut short\n{"task": 99999, "answer": "gone"}\nnonsense\n')
    list(run_of(folder, model, [4], out=out))
    assert listed(out) == [3, 1, 4]


@pytest.mark.parametrize("content", [{}, [], {"task": 1}, "other", "cut"])
def test_a_file_that_is_no_answer_to_its_task_is_made_anew(folder, model, tmp_path, content):
    out = tmp_path / "out"
    first = list(run_of(folder, model, [1, 2], out=out))
    other = json.loads((out / "2" / "prediction.json").read_text())
    put = {"other": other, "cut": {**other, "task": 1, "segments": None}}.get(str(content), content)
    (out / "1" / "prediction.json").write_text(json.dumps(put))
    results = list(run_of(folder, model, [1, 2], out=out))
    assert [result.document["task"] for result in results] == [1, 2]
    assert json.dumps(results[0].document) == json.dumps(first[0].document)
    assert listed(out) == [1, 2]


def done_anew(run):
    """Return the tasks whose saved answers were not taken."""
    return [result.task for result in run if result.answer is not None]


@pytest.mark.parametrize("changed", [{"seed": [2]}, {"answer": (1, 2, 3)}, {"answer": None}])
def test_an_answer_to_a_question_that_has_changed_is_found_anew(model, tmp_path, changed):
    pairs = [make_pair(1, volume=101), make_pair(2, volume=101)]
    folder = write_world(tmp_path / "data", pairs)
    settle(folder, [1, 2])
    list(run_of(folder, model, [1, 2], out=tmp_path / "out"))
    folder.ledger.unlink()
    write_world(tmp_path / "data", [make_pair(1, volume=101, **changed), pairs[1]])
    settle(folder, [1, 2])
    assert done_anew(run_of(folder, model, [1, 2], out=tmp_path / "out")) == [1]
    assert done_anew(run_of(folder, model, [1, 2], out=tmp_path / "out")) == []


def test_an_answer_whose_task_is_no_longer_known_stands(folder, model, tmp_path):
    list(run_of(folder, model, [1], out=tmp_path / "out"))
    assert done_anew(run_of(DataFolder(tmp_path / "empty"), model, [1], out=tmp_path / "out")) == []


def test_answers_of_another_model_whose_run_is_unknown_are_found_anew(folder, model, tmp_path):
    out = tmp_path / "out"
    list(run_of(folder, model, [1, 2], out=out))
    (out / "run.json").unlink()
    assert done_anew(run_of(folder, load_ensemble((None,)), [1], out=out)) == [1]
    assert listed(out) == [1]  # the answer to task 2 is the other model's


def test_an_answer_at_64_is_found_anew_once_the_volume_is_at_hand(tmp_path):
    folder = write_world(tmp_path / "data", [make_pair(1, volume=101)])
    settle(folder, [1])
    graph, out = load_ensemble((None,)), tmp_path / "out"
    list(run_of(folder, graph, [1], out=out))
    assert done_anew(run_of(folder, graph, [1], out=out)) == []
    labels = np.repeat(np.arange(256, dtype=np.uint16) // 4 % 8 + 1, 256 * 256).reshape(256, 256, 256)
    save_graph(folder.graph(101), build_graph(np.full(labels.shape, 101, np.uint8), labels))
    assert done_anew(run_of(folder, graph, [1], out=out)) == [1]
    assert done_anew(run_of(folder, graph, [1], out=out)) == []


def test_an_interrupted_run_leaves_what_was_done(folder, model, tmp_path):
    out = tmp_path / "out"
    stream = iter(run_of(folder, model, [1, 2, 3], out=out))
    next(stream)
    stream.close()
    assert (out / "1" / "prediction.json").is_file()
    assert not list(out.rglob("*.incomplete"))
    assert [result.task for result in run_of(folder, model, [1, 2, 3], out=out)] == [1, 2, 3]


def test_a_folder_made_with_other_weights_is_refused(folder, model, tmp_path):
    list(run_of(folder, model, [1], out=tmp_path / "out"))
    torch.manual_seed(1)
    other = decider_for(Model(model.cards[0], build_network("lwunet", CONFIG).eval()))
    with pytest.raises(UsageError, match="made with another weights"):
        run_of(folder, other, [1], out=tmp_path / "out")


def test_a_damaged_answer_is_found_anew_and_a_damaged_folder_is_named(folder, model, tmp_path):
    list(run_of(folder, model, [1], out=tmp_path / "out"))
    answer = tmp_path / "out" / "1" / "prediction.json"
    before = answer.read_bytes()
    answer.write_text("[1]")
    list(run_of(folder, model, [1], out=tmp_path / "out"))
    assert answer.read_bytes() == before
    (tmp_path / "out" / "run.json").write_text("{")
    with pytest.raises(DamagedError, match=r"run\.json is damaged: not JSON"):
        run_of(folder, model, [1], out=tmp_path / "out")


def test_a_report_of_saved_answers_reads_their_maps(folder, model, tmp_path):
    out = tmp_path / "out"
    list(run_of(folder, model, [1, 2], out=out))
    run = run_of(folder, model, [1, 2], out=out)
    reporter = Reporter(run, opened=1)
    for result in run:
        reporter.take(result)
    reporter.write(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    data = json.loads(page.partition('type="application/json">')[2].partition("</script>")[0])
    assert [row["task"] for row in data["list"]] == [1, 2]
    assert len(data["tasks"]) == 1  # the one with the higher priority
    (out / "1" / "masks.npz").write_bytes(b"broken")
    with pytest.raises(DamagedError, match=r"masks\.npz is damaged"):
        run.saved.probability(1)


def test_a_report_of_several_processes_needs_a_folder(folder, model):
    run = run_of(folder, model, [1])
    run.shards = Shards(0, 2)
    with pytest.raises(UsageError, match="report under torchrun needs an output folder"):
        Reporter(run)


def test_alone_a_process_takes_the_device_that_is_named():
    assert own_device("cpu") == torch.device("cpu")
    assert not Shards().has("anything")
