"""`ewval predict`: each outcome as the contract says, on a generated world served as Eyewire would."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from ewval.core.sim.faults import Faults
from worlds import make_pair, write_world

TASKS = 5


@pytest.fixture(scope="module")
def model(tmp_path_factory, fetched_world, world_tasks):
    """A fresh network, small so that an answer takes a tenth of a second, which adds a few segments of the world."""
    import torch

    from ewval.core.fetch.on_disk import LocalData
    from ewval.core.folder import DataFolder
    from ewval.core.models.card import ModelCard
    from ewval.core.predict.prediction import predict_samples
    from ewval.core.segments.views import VolumeSource
    from ewval.core.tasks.samples import SampleBuilder
    from ewval.core.volumes.store import PackedStore
    from ewval.nn.deciders import decider_for
    from ewval.nn.networks.architectures import build_network
    from ewval.nn.weights import Model, save_network

    torch.manual_seed(4)
    config = {"loops": 1}
    fresh = Model(ModelCard("fresh", "lwunet", loops=1, config=config), build_network("lwunet", config).eval())
    folder, task = DataFolder(fetched_world), min(world_tasks)
    sample = SampleBuilder(LocalData(folder).table([task]), PackedStore(folder)).build(task)
    (prediction,) = predict_samples(decider_for(fresh), [sample], sources=VolumeSource(folder))
    maybe, add = np.quantile(prediction.table.probability, [0.8, 0.9])
    path = tmp_path_factory.mktemp("model") / "fresh.safetensors"
    save_network(path, replace(fresh, card=replace(fresh.card, add_threshold=float(add), maybe_threshold=float(maybe))))
    return path


@pytest.fixture(scope="module")
def world_tasks(tiny_world):
    """Some task records of the generated world by id; their parents come first."""
    paths = sorted((tiny_world / "api/1.0/task").glob("*.json"))[:TASKS]
    return {int(path.stem): json.loads(path.read_text()) for path in paths}


@pytest.fixture
def fetched(fetched_world):
    """A data folder that holds the whole generated world; copy it before changing it."""
    return fetched_world


@pytest.fixture
def predict(cli, model):
    def run(*words, data, **options):
        return cli("predict", *words, "--model", model, "--data", data, "--api", "http://127.0.0.1:9", **options)

    return run


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_task_that_is_not_here_is_fetched_packed_and_answered(
    cli, model, tiny_world, world_tasks, wire_server, tmp_path
):
    server = wire_server(tiny_world)
    task = min(world_tasks)
    words = ("predict", task, "--model", model, "--data", tmp_path / "data", "--json")
    result = cli(*words, "--api", server.api_url, env={"EWVAL_TOKEN": "secret"})
    assert result.exit_code == 0, result.output
    (document,) = lines(result)
    assert document["task"] == task
    assert document["seed"] == sorted(int(segment) for segment in world_tasks[task]["prior"]["segments"])
    assert document["resolution"] == "full"
    # What was fetched is kept: the second run asks nothing of the server, and says the same.
    asked = len(server.requests)
    again = cli(*words, "--api", server.api_url)
    assert (again.exit_code, again.stdout, len(server.requests)) == (0, result.stdout, asked)


def test_json_passes_the_conformance_check(predict, fetched, world_tasks, shared, tmp_path):
    result = predict("-", "--json", data=fetched, input="\n".join(map(str, sorted(world_tasks))))
    assert result.exit_code == 0, result.output
    path = tmp_path / "predictions.jsonl"
    path.write_text(result.stdout)
    checked = subprocess.run(
        [sys.executable, shared / "tools/conform.py", "predict", path], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_answers_come_in_the_order_asked_and_do_not_depend_on_it(predict, fetched, world_tasks):
    tasks = sorted(world_tasks)
    forward = predict(*tasks, "--json", data=fetched)
    backward = predict(*reversed(tasks), "--json", "--batch-size", 1, data=fetched)
    assert [document["task"] for document in lines(forward)] == tasks
    assert lines(backward) == lines(forward)[::-1]


def test_a_bad_task_does_not_stop_the_rest(cli, model, fetched, tiny_world, world_tasks, wire_server, tmp_path):
    server = wire_server(tiny_world)
    data = shutil.copytree(fetched, tmp_path / "data")
    first, last = sorted(world_tasks)[:2]
    result = cli(
        *("predict", first, 99999999, last, "--model", model, "--data", data, "--api", server.api_url, "--json"),
        env={"EWVAL_TOKEN": "secret"},
    )
    assert result.exit_code == 3
    assert [document["task"] for document in lines(result)] == [first, last]
    assert "ewval: task 99999999 not found" in result.stderr


def test_an_unknown_task_alone_is_exit_6(cli, model, tiny_world, wire_server, tmp_path):
    server = wire_server(tiny_world)
    words = ("predict", 99999999, "--model", model, "--data", tmp_path / "data", "--api", server.api_url)
    result = cli(*words, env={"EWVAL_TOKEN": "secret"})
    assert (result.exit_code, result.stdout) == (6, "")
    assert "ewval: task 99999999 not found" in result.stderr


@pytest.mark.parametrize(
    ("token", "said"), [(None, "no Eyewire token is set"), ("wrong", "the token was refused (403)")]
)
def test_without_a_good_token_nothing_is_answered(
    cli, model, tiny_world, world_tasks, wire_server, tmp_path, token, said
):
    server = wire_server(tiny_world)
    words = (
        "predict",
        *sorted(world_tasks)[:2],
        "--model",
        model,
        "--data",
        tmp_path / "data",
        "--api",
        server.api_url,
    )
    result = cli(*words, env={} if token is None else {"EWVAL_TOKEN": token})
    assert (result.exit_code, result.stdout) == (4, "")
    assert said in result.stderr


def test_a_server_that_is_down_is_exit_5(cli, model, tmp_path):
    words = ("predict", 12, "--model", model, "--data", tmp_path / "data", "--api", "http://127.0.0.1:9")
    result = cli(*words, env={"EWVAL_TOKEN": "secret"})
    assert (result.exit_code, result.stdout) == (5, "")
    assert "cannot reach http://127.0.0.1:9" in result.stderr


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [("429", 5, "the server keeps throttling: http"), ("reset", 5, "cannot reach http"), ("html", 6, "is damaged: ")],
)
def test_a_bucket_in_trouble_is_said_with_its_reason(
    cli, tiny_world, world_tasks, wire_server, tmp_path, kind, code, said
):
    server = wire_server(tiny_world, faults=Faults(1.0, (kind,), limit=None, hosts=("bucket",)))
    words = ("predict", min(world_tasks), "--data", tmp_path / "data", "--api", server.api_url)
    result = cli(*words, env={"EWVAL_TOKEN": "secret"})
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert f"task {min(world_tasks)}" in result.stderr
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_damaged_volume_is_named_and_exit_6(predict, fetched, world_tasks, tmp_path):
    data = shutil.copytree(fetched, tmp_path / "data")
    task = min(world_tasks)
    volume = world_tasks[task]["data"]["segmentation"]["id"]
    (data / "segmentation" / str(volume) / "segmentation.lzma").write_bytes(b"no lzma")
    result = predict(task, data=data)
    assert (result.exit_code, result.stdout) == (6, "")
    assert f"segmentation/{volume}/segmentation.lzma is damaged" in result.stderr


def test_a_damaged_raw_segmentation_is_named_and_exit_6(predict, fetched, world_tasks, tmp_path):
    data = shutil.copytree(fetched, tmp_path / "data")
    task = min(world_tasks)
    volume = world_tasks[task]["data"]["segmentation"]["id"]
    path = data / "raw" / str(volume) / "segmentation.lzma"
    path.write_bytes(path.read_bytes()[:1000])
    result = predict(task, data=data)
    assert result.exit_code == 6
    assert f"raw/{volume}/segmentation.lzma is damaged" in result.stderr


def test_a_damaged_slice_costs_only_the_tasks_of_its_volume(cli, fetched, world_tasks, tmp_path):
    data = shutil.copytree(fetched, tmp_path / "data")
    of_volume = {task: record["data"]["segmentation"]["id"] for task, record in world_tasks.items()}
    damaged = of_volume[min(of_volume)]
    (data / "raw" / str(damaged) / "jpg" / "7.jpg").write_bytes(b"no picture")
    (data / "graphs" / f"{damaged}.npz").unlink(missing_ok=True)  # so that it has to be measured again
    result = cli("predict", *sorted(of_volume), "--json", "--model", "graph", "--data", data)
    whole = [task for task, volume in sorted(of_volume.items()) if volume != damaged]
    assert whole
    assert result.exit_code == 3, result.output
    assert [document["task"] for document in lines(result)] == whole
    assert f"raw/{damaged}/jpg/7.jpg is damaged" in result.stderr


def test_without_a_consensus_agreement_is_null(predict, tmp_path):
    folder = write_world(tmp_path / "data", [make_pair(7, answer=None)])
    settle(folder, 7)
    result = predict(7, "--json", data=folder.root)
    assert result.exit_code == 0, result.output
    (document,) = lines(result)
    assert (document["consensus"], document["agreement"], document["remove"]) == (None, None, [])
    text = predict(7, data=folder.root)
    assert "no players' consensus to compare with" in text.stdout


def test_a_root_task_has_no_context_and_is_answered(predict, tmp_path):
    folder = write_world(tmp_path / "data", [make_pair(7, parent=None)])
    settle(folder, 7)
    result = predict(7, "--json", data=folder.root)
    assert result.exit_code == 0, result.output
    assert lines(result)[0]["consensus"] == [1, 2]


def test_a_task_with_nothing_to_add_says_so(predict, tmp_path):
    # All segments belong to the seed, so no model could add one.
    folder = write_world(tmp_path / "data", [make_pair(7, seed=range(1, 9), answer=range(1, 9))])
    settle(folder, 7)
    result = predict(7, "--json", data=folder.root)
    assert result.exit_code == 0, result.output
    (document,) = lines(result)
    assert (document["add"], document["segments"], document["agreement"]) == ([], [], 1.0)
    assert "nothing to add" in predict(7, data=folder.root).stdout


def test_a_seed_that_vanishes_in_the_packed_cube_is_exit_6_without_the_raw_volume(predict, tmp_path):
    folder = write_world(tmp_path / "data", [make_pair(7, seed=[500])])
    settle(folder, 7)
    result = predict(7, data=folder.root)
    assert (result.exit_code, result.stdout) == (6, "")
    assert "the seed of task 7 at 64^3 not found" in result.stderr


def test_a_task_without_a_seed_is_exit_6(predict, tmp_path):
    folder = write_world(tmp_path / "data", [make_pair(7, seed=[])])
    settle(folder, 7)
    result = predict(7, data=folder.root)
    assert result.exit_code == 6
    assert "Eyewire lists no seed segments for it" in result.stderr


def test_a_folder_of_the_seed_system_is_answered_as_it_is(predict, tmp_path):
    write_world(tmp_path / "data", [])
    folder = write_world(tmp_path / "data", [make_pair(7)])
    folder.ledger.unlink()
    folder.task_vol.write_text(json.dumps({"7": "100"}))
    folder.task_data.write_text(json.dumps({"7": {"seed": [1], "parent": None, "aggregate": [1, 2]}}))
    result = predict(7, "--json", data=folder.root)
    assert result.exit_code == 0, result.output
    assert lines(result)[0]["consensus"] == [1, 2]
    assert lines(result)[0]["resolution"] == "packed"


def settle(folder, *tasks):
    from ewval.core.ledger.ledger import Ledger

    with closing(Ledger(folder.ledger)) as ledger:
        for task in tasks:
            ledger.settle(task, context=2)


WARNING = "warning: 1 task was answered from packed (64^3) volumes, which have lost most of the contacts"


@pytest.mark.parametrize(
    ("name", "is_packed", "is_warned"), [("graph", True, True), ("graph", False, False), ("fresh", True, False)]
)
def test_a_model_that_reads_contacts_warns_of_packed_volumes(
    cli, model, fetched, world_tasks, tmp_path, name, is_packed, is_warned
):
    data = shutil.copytree(fetched, tmp_path / "data")
    if is_packed:
        shutil.rmtree(data / "raw")
        shutil.rmtree(data / "graphs")
    words = ("predict", min(world_tasks), "--json", "--model", model if name == "fresh" else name, "--data", data)
    result = cli(*words)
    assert result.exit_code == 0, result.output
    assert [document["resolution"] for document in lines(result)] == ["packed" if is_packed else "full"]
    assert (WARNING in result.stderr) == is_warned
    others = [line for line in result.stderr.splitlines() if "familiarity" not in line]  # a generated volume is unlike
    assert len(others) == is_warned
    assert cli(*words, "--quiet").stderr == result.stderr


def test_segments_prints_what_the_games_form_takes(predict, fetched, world_tasks):
    first, second = sorted(world_tasks)[:2]
    documents = lines(predict(first, second, "--json", data=fetched))
    wanted = [",".join(map(str, sorted({*d["seed"], *d["add"]}))) for d in documents]
    assert predict(first, "--segments", data=fetched).stdout == f"{wanted[0]}\n"
    both = predict(first, second, "--segments", data=fetched).stdout
    assert both == f"{first}\t{wanted[0]}\n{second}\t{wanted[1]}\n"


def test_rank_puts_those_that_need_a_look_first(predict, fetched, world_tasks):
    tasks = sorted(world_tasks)
    documents = lines(predict(*tasks, "--json", "--rank", data=fetched))
    priorities = [document["review_priority"] for document in documents]
    assert priorities == sorted(priorities, reverse=True)
    quiet = predict(*tasks, "-q", "--rank", data=fetched)
    assert quiet.stdout.split() == [str(document["task"]) for document in documents]


def test_quiet_prints_the_segments_to_add(predict, fetched, world_tasks):
    task = min(world_tasks)
    (document,) = lines(predict(task, "--json", data=fetched))
    result = predict(task, "-q", data=fetched)
    assert [int(line) for line in result.stdout.split()] == document["add"]
    assert result.stderr == ""


def test_options_of_networks_are_said_to_be_ignored_by_a_model_without_one(cli, tmp_path):
    folder = write_world(tmp_path / "data", [make_pair(7)])
    settle(folder, 7)
    result = cli("predict", 7, "--loops", 2, "--tta", "--model", "graph", "--data", folder.root)
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[:2] == [
        "ewval: warning: --loops is ignored: model graph has no loops",
        "ewval: warning: --tta is ignored: model graph does not look at the cube",
    ]


def test_an_empty_out_is_one_line_and_exit_2(predict, fetched, world_tasks, tmp_path):
    result = predict(min(world_tasks), "--out", "", data=fetched)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "ewval: --out names no folder; . is the working folder\n"
    assert not (tmp_path / "run.json").exists()


def test_a_cell_stands_for_its_tasks(predict, cli, model, fetched, world_tasks, tiny_world, wire_server, tmp_path):
    server = wire_server(tiny_world)
    cell = next(iter(world_tasks.values()))["cell"]
    data = shutil.copytree(fetched, tmp_path / "data")
    words = ("predict", "--cell", cell, "--model", model, "--data", data, "--api", server.api_url, "--json")
    result = cli(*words, env={"EWVAL_TOKEN": "secret"})
    assert result.exit_code == 0, result.output
    expected = sorted(task for task, record in world_tasks.items() if record["cell"] == cell)
    assert [document["task"] for document in lines(result)] == expected


def test_a_cell_that_nobody_knows_does_not_stop_the_rest(
    cli, model, fetched, world_tasks, tiny_world, wire_server, tmp_path
):
    server = wire_server(tiny_world)
    data = shutil.copytree(fetched, tmp_path / "data")
    words = ("predict", "--model", model, "--data", data, "--api", server.api_url, "--json", "--cell", 99999999)
    alone = cli(*words, env={"EWVAL_TOKEN": "secret"})
    assert (alone.exit_code, alone.stdout) == (6, "")
    assert "ewval: cell 99999999 not found" in alone.stderr
    result = cli(*words, min(world_tasks), env={"EWVAL_TOKEN": "secret"})
    assert result.exit_code == 3
    assert [document["task"] for document in lines(result)] == [min(world_tasks)]
    assert "ewval: cell 99999999 not found" in result.stderr


def test_what_cannot_be_answered_is_not_counted_as_progress(cli, model, tiny_world, wire_server, tmp_path):
    server = wire_server(tiny_world)
    result = cli("predict", 7, 8, "--model", model, "--data", tmp_path / "data", "--api", server.api_url)
    assert result.exit_code == 4
    assert "predict: " not in result.stderr
    assert result.stderr.splitlines()[-1].endswith("`ewval doctor` says how to get one (2 tasks: 7, 8)")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--api", "eyewire.org"), 2, "ewval: --api should be a URL such as https://eyewire.org"),
        (("--token-file", "none"), 6, "ewval: token file none not found"),
        (("--out", "file"), 2, "ewval: cannot write file/run.json: "),
    ],
)
def test_nonsense_is_told_also_where_nothing_has_to_be_fetched(
    cli, model, fetched, world_tasks, tmp_path, words, code, said
):
    (tmp_path / "file").touch()
    result = cli("predict", min(world_tasks), "--model", model, "--data", fetched, *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(said)
    assert len(result.stderr.splitlines()) == 1


def test_out_saves_everything_and_the_next_run_goes_on(predict, fetched, world_tasks, tmp_path):
    from PIL import Image

    from nrrd_files import decode_nrrd

    first, second = sorted(world_tasks)[:2]
    out = tmp_path / "out"
    whole = predict(first, second, "--json", data=fetched)
    assert predict(first, "--out", out, data=fetched).exit_code == 0
    before = (out / str(first) / "prediction.json").stat().st_mtime_ns
    resumed = predict(first, second, "--json", "--out", out, data=fetched)
    assert resumed.exit_code == 0, resumed.output
    assert resumed.stdout == whole.stdout
    assert (out / str(first) / "prediction.json").stat().st_mtime_ns == before
    folder = out / str(second)
    document = json.loads((folder / "prediction.json").read_text())
    verdicts = decode_nrrd((folder / "segments.nrrd").read_bytes())
    assert verdicts.shape == (256, 256, 256)
    added = {score["id"]: score["voxels"] for score in document["segments"] if score["verdict"] == "add"}
    assert int((verdicts == 2).sum()) == sum(added.values())
    with np.load(folder / "masks.npz") as masks:
        assert masks["probability"].shape == (64, 64, 64)
    with Image.open(folder / "slices.png") as picture:
        assert picture.width > 1000


def test_out_that_holds_answers_of_other_options_is_refused(predict, fetched, world_tasks, tmp_path):
    task = min(world_tasks)
    assert predict(task, "--out", tmp_path / "out", data=fetched).exit_code == 0
    result = predict(task, "--out", tmp_path / "out", "--loops", 2, data=fetched)
    assert result.exit_code == 2
    assert "holds answers made with another loops" in result.stderr


def test_the_terminal_shows_a_table_of_segments(predict, fetched, world_tasks):
    task = min(world_tasks)
    result = predict(task, data=fetched)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"task {task}, cell {world_tasks[task]['cell']}, volume")
    columns = [name.strip() for name in result.stdout.splitlines()[2].split("|")]
    assert columns == ["", "segment", "voxels", "probability", "uncertainty", "verdict", "players", ""]
    assert "review priority" in result.stdout


def test_many_tasks_are_a_table_of_tasks(predict, fetched, world_tasks):
    tasks = sorted(world_tasks)[:3]
    result = predict(*tasks, data=fetched)
    assert "|    task |" in result.stdout or "| task " in result.stdout
    assert all(str(task) in result.stdout for task in tasks)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to predict"),
        (("abc",), "'abc' is not a task id"),
        (("7", "--cell", "x"), "'x' is not a cell id"),
        (("7", "--json", "--segments"), "--json and --segments cannot be used together"),
        (("7", "--loops", "0"), "--loops"),
        (("7", "--batch-size", "0"), "--batch-size"),
        (("7", "--device", "gpu"), "none of auto, cpu, cuda"),
    ],
)
def test_nonsense_is_exit_2(cli, tmp_path, words, said):
    result = cli("predict", *words, "--data", tmp_path / "data")
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_missing_model_is_one_line_and_exit_6(cli, tmp_path):
    result = cli("predict", 7, "--model", "nobody", "--data", tmp_path / "data")
    assert (result.exit_code, result.stdout) == (6, "")
    assert result.stderr.startswith("ewval: model nobody not found")
    assert len(result.stderr.splitlines()) == 1


def test_a_device_that_is_not_there_is_exit_7(cli, model, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    result = cli("predict", 7, "--model", model, "--device", "cuda", "--data", tmp_path / "data")
    assert result.exit_code == 7


def test_flips_and_several_models_can_be_asked_for(predict, model, fetched, world_tasks):
    task = min(world_tasks)
    (plain,) = lines(predict(task, "--json", data=fetched))
    (flipped,) = lines(predict(task, "--json", "--tta", data=fetched))
    (both,) = lines(predict(task, "--json", "--model", model, data=fetched))
    assert [s["probability"] for s in flipped["segments"]] != [s["probability"] for s in plain["segments"]]
    assert both["model"] == "fresh+fresh"
    assert both["segments"] == plain["segments"]  # twice the same model is that model


def test_two_processes_give_what_one_gives(predict, fetched, model, world_tasks, tmp_path):
    asked = "".join(f"{task}\n" for task in [*sorted(world_tasks)[:3], 99999999])
    alone = predict("-", "--json", data=fetched, input=asked, env={"EWVAL_TOKEN": "secret"})
    words = ["predict", "-", "--json", "--model", model, "--data", fetched, "--api", "http://127.0.0.1:9"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "ewval"]
    shared = subprocess.run(
        [sys.executable, *map(str, (*launch, *words))],
        input=asked,
        env=os.environ | {"OMP_NUM_THREADS": "1", "EWVAL_TOKEN": "secret"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert alone.exit_code != 0  # the task that does not exist
    assert shared.returncode != 0
    assert "99999999" in alone.stderr
    assert "99999999" in shared.stderr
    assert len(alone.stdout.splitlines()) == 3
    assert shared.stdout == alone.stdout


def test_a_report_is_written_where_the_answers_are(predict, fetched, world_tasks, tmp_path):
    task = min(world_tasks)
    result = predict(task, "--report", "--out", tmp_path / "out", data=fetched)
    assert result.exit_code == 0, result.output
    assert f"report: {tmp_path / 'out' / 'report.html'}" in result.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"ewval: task {task}" in page
    assert len(page) < 5_000_000
    again = predict(task, "--report", data=fetched)  # without --out it lies in the present folder
    assert again.exit_code == 0
    assert (tmp_path / "report.html").is_file()


def test_without_neuroglancer_view_is_exit_7_before_any_work(cli, tmp_path):
    if find_spec("neuroglancer") is not None:
        pytest.skip("neuroglancer is installed")
    result = cli("predict", 7, "--view", "--data", tmp_path / "data")
    assert result.exit_code == 7
    assert "pip install 'ewval[view]'" in result.stderr


def test_more_requests_than_are_made_unasked_are_exit_2(
    cli, model, tiny_world, world_tasks, wire_server, tmp_path, monkeypatch
):
    monkeypatch.setattr("ewval.core.fetch.budget.CONSENT_ABOVE", 100)
    server = wire_server(tiny_world)
    words = ("predict", min(world_tasks), "--model", model, "--data", tmp_path / "data", "--api", server.api_url)
    result = cli(*words, env={"EWVAL_TOKEN": "secret"})
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert "`ewval fetch` shows which with --dry-run, and makes them with --yes" in result.stderr
