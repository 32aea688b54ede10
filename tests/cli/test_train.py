"""`ewval train`: a run folder, going on with it, and every way in which it cannot work."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import Result

from ewval.core.folder import DataFolder
from ewval.core.index.split import read_split
from ewval.core.models.card import ModelCard
from ewval.core.recipe import read_recipe
from ewval.core.tasks.table import TaskTable
from ewval.core.volumes.codec import encode
from ewval.nn.networks.architectures import build_network
from ewval.nn.weights import Model, load_network, save_network
from quick_recipe import QUICK

Cli = Callable[..., Result]
SMALL = ["--recipe", "quick.toml", "--device", "cpu"]


@pytest.fixture(autouse=True)
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "quick.toml"
    path.write_text(QUICK)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of one packed volume and four tasks in the seed system's layout."""
    folder = DataFolder(tmp_path_factory.mktemp("data"))
    labels = (1 + np.arange(64**3).reshape(64, 64, 64) // 2**15).astype(np.uint16)
    for path, array in ((folder.image(7), labels.astype(np.uint8)), (folder.segmentation(7), labels)):
        path.parent.mkdir(parents=True)
        path.write_bytes(encode(array))
    folder.task_vol.write_text(json.dumps({str(task): "7" for task in range(1, 5)}))
    rows = {str(task): {"seed": [task], "parent": None, "aggregate": [task, task + 1]} for task in range(1, 5)}
    folder.task_data.write_text(json.dumps(rows))
    write_split(folder, train=[1, 2, 3], val=[4])
    return folder.root


def write_split(folder: DataFolder, **sides: list[int]) -> None:
    empty: dict[str, Any] = {"train": [], "val": [], "test": [], "gap": []}
    described = {"rule": "volume", "seed": 0, "consensus": "rule", "fallback": None}
    folder.split.write_text(json.dumps({**described, **empty, **sides}))


def test_a_run_a_second_run_and_a_longer_one(cli: Cli, data: Path, tmp_path: Path) -> None:
    words = ["train", "--data", data, "--run", "run", *SMALL]
    first = cli(*words, "--steps", 2, "--json")
    assert first.exit_code == 0, first.stderr
    document = json.loads(first.stdout)
    assert document["why"] == "done"
    assert document["steps"] == 2
    assert document["tasks"] == 3
    assert document["validation_tasks"] == 1
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["arch"] == "lwunet"
    assert config["optimizer"]["learning_rate"] == 1e-3
    assert config["seed"] == 0
    assert len(config["split_sha256"]) == 64
    assert config["versions"]["torch"]
    again = cli(*words, "--steps", 2)
    assert again.exit_code == 0
    assert again.stdout.startswith("nothing to do, the run is finished: 2 steps")
    more = cli(*words, "--steps", 3, "--resume", "--quiet")
    assert (more.exit_code, more.stdout, more.stderr) == (0, "run/model.safetensors\n", "")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if '"kind": "step"' in line] == [0, 1, 2]


SEGMENTS = """arch = "lwunet"
[network]
context = 0
loops = 1
boundary = true
standardise = true
[samples]
batch_size = 2
sample_fraction = 1.0
vary_seed = 1
crop = 8
[loss]
name = "bce"
segments = true
"""


def test_segments_from_drawn_seeds_end_with_a_rule_in_the_card(
    cli: Cli, data: Path, tmp_path: Path, recipe: Path
) -> None:
    recipe.write_text(SEGMENTS)
    words = ["train", "--data", data, "--run", "run", *SMALL, "--steps", 2]
    assert cli(*words).exit_code == 0
    card = json.loads((tmp_path / "run" / "model.json").read_text())
    assert card["config"] == {"context": 0, "loops": 1, "boundary": True, "standardise": True}
    assert card["joining"]["full"] == card["joining"]["packed"]  # no volume as downloaded is at hand
    assert card["add_threshold"] == 2 * card["maybe_threshold"]
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert cli(*words).exit_code == 0
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


PRETRAINED = (
    SEGMENTS
    + """[pretraining]
cubes = 2
tasks = 2
magnify = 4
steps = 1
learning_rate = 0.01
vary_seed = 1
"""
)


def test_pretraining_comes_first_and_only_once(cli: Cli, data: Path, tmp_path: Path, recipe: Path) -> None:
    recipe.write_text(PRETRAINED)
    words = ["train", "--data", data, "--run", "run", *SMALL, "--steps", 1]
    assert cli(*words).exit_code == 0
    first = tmp_path / "run" / "pretraining"
    config = json.loads((first / "config.json").read_text())
    assert (config["steps"], config["optimizer"]["learning_rate"]) == (1, 0.01)
    kept = (first / "model.safetensors").read_bytes()
    card = load_network(tmp_path / "run").card
    assert set(card.volumes) == {7}  # the ids of generated cubes mean nothing elsewhere
    assert cli(*words).exit_code == 0
    assert (first / "model.safetensors").read_bytes() == kept


def test_first_weights_take_the_place_of_pretraining(cli: Cli, data: Path, tmp_path: Path, recipe: Path) -> None:
    recipe.write_text(PRETRAINED)
    assert cli("train", "--data", data, "--run", "run", *SMALL, "--steps", 1, "--init", "none").exit_code == 0
    assert not (tmp_path / "run" / "pretraining").exists()


def test_the_effective_recipe_lies_beside_the_run_and_makes_it_again(cli: Cli, data: Path, tmp_path: Path) -> None:
    words = ["train", "--data", data, *SMALL, "--steps", 1, "--learning-rate", "0.01"]
    assert cli(*words, "--run", "first").exit_code == 0
    again = ["train", "--data", data, "--run", "again", "--recipe", "first/recipe.toml", "--device", "cpu"]
    assert cli(*again).exit_code == 0
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "again"))
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_plain_options_are_the_packaged_recipe() -> None:
    from ewval.cli.train import NetworkOptions, _network_recipe

    recipe = _network_recipe("lwunet", read_recipe("lwunet"), NetworkOptions())
    assert recipe.loss.segments
    assert recipe.pretraining is not None
    assert _network_recipe("seed-2019", read_recipe("seed-2019"), NetworkOptions()).network.context == 2
    longer = _network_recipe("lwunet", read_recipe("lwunet"), NetworkOptions(epochs=3))
    assert longer.length.total(10) == 30


def test_other_options_do_not_continue_a_run(cli: Cli, data: Path, tmp_path: Path) -> None:
    words = ["train", "--data", data, "--run", "run", *SMALL, "--steps", 1]
    assert cli(*words).exit_code == 0
    before = (tmp_path / "run" / "last.pt").read_bytes()
    other = cli(*words, "--batch-size", 3)
    assert other.exit_code == 2
    last = other.stderr.splitlines()[-1]
    assert last.startswith("ewval: the run in run was begun with other options (batch_size was 2, not 3)")
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


@pytest.mark.parametrize("kept", ["config.json", "model.safetensors"])
def test_a_run_of_forests_is_not_overwritten_by_a_network(
    cli: Cli, data: Path, tmp_path: Path, recipe: Path, kept: str
) -> None:
    recipe.write_text(PRETRAINED)
    (tmp_path / "run").mkdir()
    content = '{"arch": "graph"}' if kept == "config.json" else "weights"
    (tmp_path / "run" / kept).write_text(content)
    result = cli("train", "--data", data, "--run", "run", *SMALL, "--steps", 1)
    assert result.exit_code == 2, result.stderr
    assert "use them, or another run folder" in result.stderr or "; use another run folder" in result.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == [kept]
    assert (tmp_path / "run" / kept).read_text() == content


def test_tensorboard_writes_its_events(cli: Cli, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    result = cli("train", "--data", data, "--run", "run", *SMALL, "--steps", 1, "--tensorboard")
    assert result.exit_code == 0, result.stderr
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


def test_without_tensorboard_the_extra_is_named(
    cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # what Python does where it is missing
    result = cli("train", "--data", data, "--run", "run", *SMALL, "--tensorboard")
    assert result.exit_code == 7
    assert result.stderr == (
        "ewval: tensorboard is not installed (extra 'tb'); install it with `pip install 'ewval[tb]'`\n"
    )
    assert not (tmp_path / "run").exists()


def test_deterministic_runs_are_equal_bit_for_bit(cli: Cli, data: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        assert cli("train", "--data", data, "--run", name, *SMALL, "--steps", 2, "--deterministic").exit_code == 0
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_sigterm_saves_says_so_and_exits_with_130(data: Path, tmp_path: Path) -> None:
    words = ["train", "--data", data, "--run", tmp_path / "run", "--recipe", tmp_path / "quick.toml", "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ewval", *map(str, words), "--steps", "100"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("train: 5/100 steps")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 130
    assert out.startswith("interrupted; the same command resumes: ")
    assert out.endswith("\nmodel: " + str(tmp_path / "run" / "model.safetensors") + "\n")
    assert (tmp_path / "run" / "last.pt").exists()


REFUSED = [
    (["--recipe", "best"], 6, "recipe best not found; name a .toml file or one of: "),
    (["--recipe", "mine.toml"], 6, "recipe mine.toml not found"),
    (["--arch", "unet"], 2, "--arch 'unet' is none of graph, lwunet"),
    (["--arch", ""], 2, "--arch '' is none of graph, lwunet"),
    (["--arch", "graph"], 2, "--arch graph is not that of recipe quick.toml, which is for lwunet"),
    (["--learning-rate", "-1"], 2, "recipe quick.toml: optimizer: learning_rate must be > 0"),
    (["--device", "gpu"], 2, "--device 'gpu' is none of auto, cpu, cuda, cuda:N"),
    (["--device", "cuda:77"], 7, "device cuda:77 is not available"),
    (["--data", "nowhere"], 2, "there is no data folder nowhere"),
    (["--fold", "3"], 6, "split-3.json not found; `ewval index` makes it"),
    (["--init", "nothing"], 6, "model nothing not found; name a path or one of:"),
    (["--resume"], 6, "there is no run to resume here"),
]
RECIPES = [
    ("loss", 'name = "dice"', "loss.name: Input should be 'bayes', 'sampled' or 'bce'"),
    ("loss", "segments = true", "loss.segments needs samples.vary_seed"),
    ("optimizer", 'name = "sgd"', "optimizer.name: Input should be 'adam' or 'adamw'"),
    ("optimizer", "clip = -1", "optimizer: learning_rate must be > 0"),
    ("augment", 'symmetries = "some"', "augment.symmetries: Input should be 'none', 'keep-z' or 'all'"),
    ("compute", 'precision = "float8"', "compute.precision: Input should be 'auto', 'float32' or 'bfloat16'"),
    ("network", "widths = [4, 8]", "network.widths: Unexpected keyword argument"),
    ("samples", "vary_seed = 2", "samples.vary_seed needs network.context = 0"),
    ("samples", "crop = 16", "samples: crop needs vary_seed"),
    ("tempo", "fast = 1", "tempo: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("section", "line", "said"), RECIPES, ids=lambda value: value)
def test_a_recipe_that_makes_no_sense_is_one_line_with_its_key(
    cli: Cli, data: Path, tmp_path: Path, recipe: Path, section: str, line: str, said: str
) -> None:
    recipe.write_text(f'arch = "lwunet"\n[{section}]\n{line}\n')
    result = cli("train", "--data", data, "--run", "run", *SMALL)
    assert result.exit_code == 2, result.stderr
    assert f"ewval: recipe quick.toml: {said}" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, list) else None
)
def test_what_makes_no_sense_is_one_line_and_leaves_nothing(
    cli: Cli, data: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    result = cli("train", "--data", data, "--run", "run", *SMALL, "--steps", 1, *words)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr.splitlines()[-1]
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert not (tmp_path / "run").exists()


def test_first_weights_of_another_shape_are_refused(cli: Cli, data: Path, tmp_path: Path, recipe: Path) -> None:
    assert cli("train", "--data", data, "--run", "first", *SMALL, "--steps", 1).exit_code == 0
    recipe.write_text(QUICK.replace("loops = 1", "loops = 1\nboundary = true"))
    other = cli("train", "--data", data, "--run", "run", *SMALL, "--init", "first")
    assert other.exit_code == 2
    assert "--init first is a lwunet with other layers than the recipe's network" in other.stderr
    recipe.write_text(QUICK)
    same = cli("train", "--data", data, "--run", "run", *SMALL, "--steps", 1, "--init", "first")
    assert same.exit_code == 0


def test_the_card_lists_what_was_learned_from_by_the_first_weights_too(cli: Cli, data: Path, tmp_path: Path) -> None:
    config = {"context": 0, "loops": 1}
    first = ModelCard("first", "lwunet", context=0, config=config, cells=[5], volumes=[99])
    save_network(tmp_path / "first.safetensors", Model(first, build_network("lwunet", config)))
    begun = cli("train", "--data", data, "--run", "run", *SMALL, "--steps", 1, "--init", "first.safetensors")
    assert begun.exit_code == 0, begun.stderr
    card = load_network(tmp_path / "run").card
    table, split = TaskTable.load(DataFolder(data)), read_split(DataFolder(data))
    rows = table.rows(np.concatenate([split.train, split.val]))
    assert set(card.cells) == {5, *table.group[rows].tolist()}
    assert set(card.volumes) == {99, *table.volume[rows].tolist()}


def test_an_empty_train_side_is_missing(cli: Cli, data: Path, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "copy")
    folder.root.mkdir()
    for path in (data / "task_vol.json", data / "task_data.json"):
        (folder.root / path.name).write_bytes(path.read_bytes())
    write_split(folder, val=[4])
    result = cli("train", "--data", folder.root, "--run", "run", *SMALL)
    assert result.exit_code == 6
    assert "a task to train on in" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_volume_that_is_not_packed_is_named(cli: Cli, data: Path, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "copy")
    folder.root.mkdir()
    for name in ("task_vol.json", "task_data.json", "split.json"):
        (folder.root / name).write_bytes((data / name).read_bytes())
    result = cli("train", "--data", folder.root, "--run", "run", *SMALL, "--steps", 1)
    assert result.exit_code == 6
    assert "packed volume 7 not found; `ewval pack` makes it" in result.stderr


def test_a_damaged_checkpoint_is_said_so_and_kept(cli: Cli, data: Path, tmp_path: Path) -> None:
    words = ["train", "--data", data, "--run", "run", *SMALL]
    assert cli(*words, "--steps", 1).exit_code == 0
    last = tmp_path / "run" / "last.pt"
    last.write_bytes(last.read_bytes()[:500])
    result = cli(*words, "--steps", 2)
    assert result.exit_code == 6
    assert "run/last.pt is damaged" in result.stderr
    assert last.stat().st_size == 500


def test_a_finished_run_whose_model_is_cut_short_is_damaged(cli: Cli, data: Path, tmp_path: Path) -> None:
    words = ["train", "--data", data, "--run", "run", *SMALL, "--steps", 1]
    assert cli(*words).exit_code == 0
    model = tmp_path / "run" / "model.safetensors"
    whole = model.read_bytes()
    model.write_bytes(whole[:500])
    result = cli(*words)
    assert result.exit_code == 6
    assert "run/model.safetensors is damaged" in result.stderr
    assert model.stat().st_size == 500
    model.unlink()  # as the message says
    assert cli(*words).exit_code == 0
    assert model.read_bytes() == whole


def test_divergence_ends_with_1_and_keeps_the_checkpoint(cli: Cli, data: Path, tmp_path: Path, recipe: Path) -> None:
    recipe.write_text(QUICK + "[optimizer]\nclip = 0.0\n")
    folder = DataFolder(tmp_path / "copy")
    shutil.copytree(data, folder.root)
    write_split(folder, train=[1, 2, 3])  # no validation, which would see it sooner
    words = ["train", "--data", folder.root, "--run", "run", *SMALL, "--learning-rate", "1e30"]
    assert cli(*words, "--steps", 1).exit_code == 0
    before = (tmp_path / "run" / "last.pt").read_bytes()
    result = cli(*words, "--steps", 9)
    assert result.exit_code == 1
    assert "training diverged at step" in result.stderr.splitlines()[-1]
    assert "the last good checkpoint is kept" in result.stderr.splitlines()[-1]
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


def test_a_run_that_is_a_file_is_refused(cli: Cli, data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    result = cli("train", "--data", data, "--run", "run", *SMALL)
    assert result.exit_code == 2
    assert "--run run is not a folder" in result.stderr


def test_a_number_of_steps_is_kept_to_without_gain_whatever_the_patience(cli: Cli, data: Path, recipe: Path) -> None:
    recipe.write_text(QUICK + "sample_fraction = 1.0\n[length]\nepochs = 6\npatience = 2\n")
    words = ["train", "--data", data, *SMALL, "--learning-rate", "1e-12"]
    for run, steps, why in (("kept", ["--steps", 12], "done"), ("cut", [], "early")):
        document = json.loads(cli(*words, "--run", run, *steps, "--json").stdout)
        assert document["why"] == why
        assert (document["steps"] == 12) == (why == "done")


FOR_NETWORKS = [
    ("--steps", 1),
    ("--epochs", 1),
    ("--batch-size", 2),
    ("--learning-rate", 0.1),
]


@pytest.mark.parametrize("words", FOR_NETWORKS, ids=lambda words: str(words[0]))
def test_options_of_networks_are_refused_for_forests(
    cli: Cli, data: Path, tmp_path: Path, words: tuple[object, ...]
) -> None:
    result = cli("train", "--data", data, "--run", "run", *words)
    assert result.exit_code == 2
    assert result.stderr == f"ewval: {words[0]} is for networks, not for --arch graph\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "ignored"),
    [
        (("--device", "cpu", "--deterministic"), []),
        (("--device", "cuda"), ["device"]),
        (("--tensorboard", "--device", "cuda:1"), ["device", "tensorboard"]),
    ],
)
def test_options_that_change_nothing_for_forests_are_said_to_be_ignored(
    cli: Cli, data: Path, words: tuple[object, ...], ignored: list[str]
) -> None:
    result = cli("train", "--data", data, "--run", "run", "--init", "none-such", *words)
    said = [line for line in result.stderr.splitlines() if "ignored" in line]
    assert said == [f"ewval: warning: --{name} is ignored: --arch graph has no network" for name in ignored]


def test_a_kind_of_model_that_is_none_is_named_with_those_that_are(cli: Cli, data: Path) -> None:
    result = cli("train", "--data", data, "--run", "run", "--arch", "seed-2019")
    assert (result.exit_code, result.stderr) == (2, "ewval: --arch 'seed-2019' is none of graph, lwunet\n")


def test_a_run_without_a_name_is_refused(cli: Cli, data: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = cli("train", "--data", data, "--run", "")
    assert (result.exit_code, result.stderr) == (2, "ewval: --run needs the name of a folder\n")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("sides", "said"), [("", "''"), ("train,", "''"), ("train,exam", "'exam'")])
def test_a_side_that_is_none_is_named(cli: Cli, data: Path, sides: str, said: str) -> None:
    result = cli("train", "--data", data, "--run", "run", "--sides", sides)
    assert (result.exit_code, result.stderr) == (2, f"ewval: --sides {said} is none of train, val, test\n")
