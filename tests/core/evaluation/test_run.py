"""An evaluation from the call to its files: whole, resumed, shared between processes, with tasks that fail."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bars import ConstantNetwork, ask, finished, tasks_of, write_bar_folder
from ewval.core.errors import MissingError, UsageError
from ewval.core.evaluation.panel import load_models, make_panel
from ewval.core.evaluation.parts import PartFolder
from ewval.core.evaluation.report.plots import PlotSet
from ewval.core.evaluation.report.report import build_report
from ewval.core.evaluation.run import EvalRequest, evaluate, score_parts
from ewval.core.evaluation.scoring import COLUMNS, Question, Truth
from ewval.core.folder import DataFolder
from ewval.core.graph.graph import build_graph, save_graph
from ewval.core.models.card import ModelCard
from ewval.core.volumes.store import PackedStore
from ewval.nn.distributed import Team
from ewval.nn.networks.lwunet import LWUNet, LWUNetConfig
from ewval.nn.weights import Model, save_network


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An lwunet with random weights, saved."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    config = LWUNetConfig()
    save_network(path, Model(ModelCard("random", "lwunet", config={"context": 2, "loops": 1}), LWUNet(config)))
    return path


def request_of(folder: DataFolder, out: Path, model: Path, **options: object) -> EvalRequest:
    values = {"limit": 3, "loops": (1,), "device": "cpu", "baselines": False, "report": False, **options}
    return EvalRequest(folder, out, str(model), **values)


def test_metrics_json_has_the_form_of_the_contract(evaluated, shared):
    check = [sys.executable, str(shared / "tools" / "conform.py"), "eval", str(evaluated / "metrics.json")]
    result = subprocess.run(check, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_figures_of_a_right_answer_are_right(evaluated):
    document = json.loads((evaluated / "metrics.json").read_text())
    assert (document["model"], document["split"], document["tasks"]) == ("LookingNetwork", "test", 15)
    for figures in document["settings"].values():
        assert figures["segment"]["extend"] == {"tasks": 12} | dict.fromkeys(
            [f"{kind}_{name}" for kind in ("volume", "count") for name in ("precision", "recall", "f1")], 1.0
        )
        assert figures["segment"]["all"]["tasks"] == 15
        assert figures["iou"] == figures["agg_seedless_iou"] == 1.0
        assert figures["count_guesses"] == figures["count_gt"] == 15 * 16 * 16 * 64
        assert figures["count_seedless_gt"] == 12 * 16 * 16 * 48
        # Three tasks have nothing to add, and nothing was added to them.
        assert figures["undefined"] == dict.fromkeys(
            ["seedless_precision", "seedless_recall", "seedless_iou", "volume_f1"], 3
        )
        assert figures["ci95"]["segment.extend.volume_f1"] == [1.0, 1.0]
        certainty = 1 / (1 + np.exp(-3.0))
        assert figures["loss"] == pytest.approx(-np.log(certainty), rel=1e-5)
        assert figures["calibration"]["brier"] == pytest.approx((1 - certainty) ** 2, rel=1e-5)
        assert figures["calibration"]["ece"] == pytest.approx(1 - certainty, rel=1e-5)
        assert figures["calibration"]["augrc"] == 0.0
    baselines = document["baselines"]
    assert baselines["seed alone"]["segment"]["extend"]["volume_f1"] == 0.0
    assert baselines["seed alone"]["segment"]["all"]["volume_f1"] == pytest.approx(3 / 15)
    assert baselines["growth by image evidence"]["segment"]["extend"]["volume_f1"] == 1.0
    assert 0 < baselines["all touching segments"]["segment"]["extend"]["volume_f1"] < 0.5
    assert "loss" not in baselines["seed alone"]
    ahead = document["settings"]["loops=2"]["ahead_of"]
    assert ahead["seed alone"]["segment.extend.volume_f1"] == [1.0, 1.0, 1.0]
    assert ahead["growth by image evidence"]["segment.extend.volume_f1"] == [0.0, 0.0, 0.0]


def test_tasks_csv_has_a_row_a_task(evaluated):
    with (evaluated / "tasks.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["task", "cell", "volume", "split", *COLUMNS]
    assert [int(row["task"]) for row in rows] == list(range(4000, 4015))
    assert {(row["volume"], row["split"], row["iou"]) for row in rows} == {("14", "test", "1")}
    assert [row["extend"] for row in rows[:6]] == ["0", "1", "1", "1", "1", "0"]
    assert all(0 <= float(row["review_priority"]) < 1 for row in rows)


def test_nothing_but_results_is_left(evaluated):
    assert {path.name for path in evaluated.iterdir()} == {
        "metrics.json",
        "tasks.csv",
        "plots",
        "report.html",
        "identity.json",
    }


def test_the_same_call_again_has_nothing_to_do(bar_folder, model, tmp_path):
    request = request_of(bar_folder, tmp_path, model)
    first = evaluate(request)
    stamp = (tmp_path / "metrics.json").stat().st_mtime_ns
    again = evaluate(request)
    assert not first.was_done
    assert again.was_done
    assert again.document == json.loads(json.dumps(first.document))
    assert (tmp_path / "metrics.json").stat().st_mtime_ns == stamp
    assert not evaluate(request_of(bar_folder, tmp_path, model, seed=1)).was_done


@pytest.mark.parametrize("name", ["metrics.json", "identity.json"])
def test_results_that_are_damaged_are_made_again(bar_folder, model, tmp_path, name):
    request = request_of(bar_folder, tmp_path, model)
    evaluate(request)
    whole = {name: (tmp_path / name).read_bytes() for name in ("metrics.json", "identity.json")}
    for content in (b"", b"{", b"{}", b"[]", b"null", b"\xff", whole[name].replace(b'": ', b'" : ', 1)[:-2]):
        (tmp_path / name).write_bytes(content)
        assert not evaluate(request).was_done
        assert {name: (tmp_path / name).read_bytes() for name in whole} == whole
    assert evaluate(request).was_done


def test_an_evaluation_counts_packed_volumes_and_is_done_again_at_full_resolution(tmp_path):
    write_bar_folder(tmp_path / "data")
    folder = DataFolder(tmp_path / "data")
    request = EvalRequest(folder, tmp_path / "out", limit=3, device="cpu", report=False)
    document = evaluate(request).document
    assert document["settings"]["default"]["packed"] == 3
    assert not any("packed" in figures for figures in document["baselines"].values())
    assert evaluate(request).was_done
    store = PackedStore(folder)
    save_graph(folder.graph(14), build_graph(store.image(14), store.segmentation(14)))
    again = evaluate(request)
    assert not again.was_done
    assert "packed" not in again.document["settings"]["default"]


def test_a_network_that_reads_no_contacts_takes_packed_volumes(evaluated):
    document = json.loads((evaluated / "metrics.json").read_text())
    assert not any("packed" in figures for figures in document["settings"].values())


def test_what_was_interrupted_goes_on_where_it_stopped(bar_folder, tmp_path):
    class Stopping:
        """Stops after some questions, as a person with Ctrl-C would."""

        reads_graph = False

        def __init__(self, answerer, after):
            self.answerer, self.after, self.asked = answerer, after, 0

        def answer(self, questions):
            self.asked += len(questions)
            if self.asked > self.after:
                raise KeyboardInterrupt
            return self.answerer.answer(questions)

    tasks, team = tasks_of(bar_folder), Team(0, 1, torch.device("cpu"))
    network = ask(ConstantNetwork(), tasks)
    whole, parts = PartFolder(tmp_path / "whole", {}), PartFolder(tmp_path / "parts", {})
    for folder in (whole, parts):
        folder.open()
    score_parts(whole, tasks, {"a": network}, team=team)
    with pytest.raises(KeyboardInterrupt):
        score_parts(parts, tasks, {"a": Stopping(network, 6)}, team=team)
    rest = Stopping(network, 99)
    score_parts(parts, tasks, {"a": rest}, team=team)
    assert rest.asked == 15 - 6
    for one, other in zip(whole.read_all(15), parts.read_all(15), strict=True):
        assert np.array_equal(one.rows["a"], other.rows["a"], equal_nan=True)


def test_two_processes_give_the_metrics_of_one(bar_folder, model, tmp_path, cli):
    words = ["eval", "--data", str(bar_folder.root), "--model", str(model), "--limit", "4", "--loops", "1"]
    words += ["--device", "cpu", "--no-baselines", "--no-report"]
    alone = cli(*words, "--out", "one")
    assert alone.exit_code == 0, alone.stderr
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "ewval"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*launcher, *words, "--out", "two"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, env=environment)
    assert result.returncode == 0, result.stderr
    for file in ("metrics.json", "tasks.csv"):
        assert (tmp_path / "one" / file).read_text() == (tmp_path / "two" / file).read_text()


def test_a_task_that_fails_is_listed_and_tried_again(tmp_path, model):
    write_bar_folder(tmp_path / "data")
    folder = DataFolder(tmp_path / "data")
    shutil.move(folder.image(14), tmp_path / "image")
    with pytest.raises(MissingError, match=r"a task that can be scored \(packed volume 14 not found"):
        evaluate(request_of(folder, tmp_path / "out", model))
    request = request_of(folder, tmp_path / "out", model, side="all", limit=8, seed=1)
    partly = evaluate(request).document
    failed = {failure["id"] for failure in partly["failed"]}
    assert failed
    assert failed < set(range(4000, 4015))
    assert partly["tasks"] == 8 - len(failed)
    assert (tmp_path / "out" / "failed.txt").read_text().splitlines()[0].startswith("40")
    shutil.move(tmp_path / "image", folder.image(14))
    whole = evaluate(request).document
    assert (whole["failed"], whole["tasks"]) == ([], 8)
    assert not (tmp_path / "out" / "failed.txt").exists()


def test_a_model_of_another_factor_is_refused(bar_folder, tmp_path):
    card = ModelCard("half", "lwunet", factor=2, config={"context": 2, "loops": 1})
    save_network(tmp_path / "half.safetensors", Model(card, LWUNet(LWUNetConfig())))
    with pytest.raises(UsageError, match="model half needs volumes packed by 2, not 4"):
        evaluate(request_of(bar_folder, tmp_path / "out", tmp_path / "half.safetensors"))


def test_a_question_never_holds_its_answer(bar_folder):
    tasks = tasks_of(bar_folder)
    sample = tasks.builder.build(4001)
    with pytest.raises(ValueError, match="task 4001: the question holds its answer"):
        Question(sample, (5,), tasks.sources.view(14, sample.labels))
    question, truth = tasks.question(4001)
    assert question.sample.target is None
    assert isinstance(truth, Truth)


def test_all_sides_stand_in_one_file(bar_folder):
    tasks = tasks_of(bar_folder, "all")
    assert tasks.sides_of(np.array([4003, 1000, 3014, 2000])) == ["test", "train", "val", "train"]
    assert tasks_of(bar_folder, "val").sides_of(np.array([3000])) == ["val"]


def test_where_nothing_is_to_be_added_there_is_still_a_report(tmp_path):
    write_bar_folder(tmp_path / "data")
    folder = DataFolder(tmp_path / "data")
    split = json.loads(folder.split.read_text())
    folder.split.write_text(json.dumps(split | {"test": [4000, 4005]}))
    document = finished(ConstantNetwork(), folder, tmp_path / "out", report=False)
    figures = document["settings"]["loops=1"]
    assert figures["segment"]["extend"]["tasks"] == 0
    assert figures["segment"]["extend"]["volume_f1"] is None
    assert figures["segment"]["all"]["volume_f1"] == 1.0
    assert figures["ahead_of"] == {}
    assert {guard["state"] for guard in document["guards"].values()} == {"pass", "inconclusive"}
    json.dumps(document, allow_nan=False)
    html = build_report(document, PlotSet([], [], [], []), worst=[], best=[], about="")
    assert html.count("There is no such task.") == 2


def test_loops_that_are_not_named_are_what_suits_the_model(bar_folder: DataFolder) -> None:
    tasks = tasks_of(bar_folder)

    def settings(name: str, **options: object) -> list[str]:
        request = EvalRequest(bar_folder, model=name, baselines=False, device="cpu", **options)
        return list(make_panel(request, load_models(request), tasks).settings)

    assert settings("lwunet") == ["loops=32"]
    assert settings("lwunet", loops=(2, 1)) == ["loops=2", "loops=1"]
    assert settings("graph") == settings("graph", loops=(2,)) == ["default"]
