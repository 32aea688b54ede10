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
from ewval.core.tasks.table import TaskTable
from ewval.core.volumes.codec import encode
from ewval.nn.card import ModelCard
from ewval.nn.networks.architectures import build_network
from ewval.nn.weights import Model, load_model, save_model

Cli = Callable[..., Result]
SMALL = ["--arch", "rsunet", "--widths", "4,8", "--loops", "1", "--batch-size", "2", "--device", "cpu"]


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
    assert config["arch"] == "rsunet"
    assert config["optimizer"]["learning_rate"] == 1e-3
    assert config["seed"] == 0
    assert len(config["split_sha256"]) == 64
    assert config["versions"]["torch"]
    again = cli(*words, "--steps", 2)
    assert again.exit_code == 0
    assert again.stdout.startswith("nothing to do, the run was finished before: 2 steps")
    more = cli(*words, "--steps", 3, "--resume", "--quiet")
    assert (more.exit_code, more.stdout, more.stderr) == (0, "run/model.safetensors\n", "")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if '"kind": "step"' in line] == [0, 1, 2]


def test_segments_from_drawn_seeds_end_with_a_rule_in_the_card(cli: Cli, data: Path, tmp_path: Path) -> None:
    words = [
        "train",
        "--data",
        data,
        "--run",
        "run",
        "--loops",
        1,
        "--batch-size",
        2,
        "--device",
        "cpu",
        "--loss",
        "bce",
    ]
    words += ["--context", 0, "--boundary", "--standardise", "--vary-seed", 1, "--crop", 8, "--segment-loss"]
    assert cli(*words, "--steps", 2, "--sample-fraction", 1).exit_code == 0
    card = json.loads((tmp_path / "run" / "model.json").read_text())
    assert card["config"] == {"context": 0, "loops": 1, "boundary": True, "standardise": True}
    assert card["joining"]["full"] == card["joining"]["packed"]  # no volume as downloaded is at hand
    assert card["add_threshold"] == 2 * card["maybe_threshold"]
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert cli(*words, "--steps", 2, "--sample-fraction", 1).exit_code == 0
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_other_options_do_not_continue_a_run(cli: Cli, data: Path, tmp_path: Path) -> None:
    words = ["train", "--data", data, "--run", "run", *SMALL, "--steps", 1]
    assert cli(*words).exit_code == 0
    before = (tmp_path / "run" / "last.pt").read_bytes()
    other = cli(*words, "--loss", "bce")
    assert other.exit_code == 2
    assert other.stderr.splitlines()[-1].startswith("ewval: the run in run was begun with other options (loss was {")
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


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
    words = ["train", "--data", data, "--run", tmp_path / "run", *SMALL]
    process = subprocess.Popen(
        [sys.executable, "-m", "ewval", *map(str, words), "--steps", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("train: 1/20 steps")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 130
    assert out.startswith("interrupted; the same command goes on: ")
    assert out.endswith("\nmodel: " + str(tmp_path / "run" / "model.safetensors") + "\n")
    assert (tmp_path / "run" / "last.pt").exists()


REFUSED = [
    (["--loss", "dice"], 2, "unknown loss 'dice': one of bayes, sampled, bce"),
    (["--arch", "unet"], 2, "there is no architecture 'unet': one of lwunet, rsunet"),
    (["--arch", "lwunet"], 2, "--widths goes with --arch rsunet"),
    (["--widths", "4,x"], 2, "--widths '4,x' are not whole numbers with commas between them"),
    (["--augment", "some"], 2, "--augment some is none of none, symmetries, full"),
    (["--symmetries", "some"], 2, "unknown symmetries 'some': one of none, keep-z, all"),
    (["--optimizer", "sgd"], 2, "unknown optimizer 'sgd' or schedule 'step'"),
    (["--learning-rate", "-1"], 2, "learning_rate must be > 0"),
    (["--precision", "float8"], 2, "unknown precision 'float8'"),
    (["--sample-fraction", "0"], 2, "sample fraction 0.0 is not in (0, 1]"),
    (["--device", "gpu"], 2, "--device 'gpu' is none of auto, cpu, cuda, cuda:N"),
    (["--device", "cuda:77"], 7, "device cuda:77 is not available"),
    (["--data", "nowhere"], 2, "there is no data folder nowhere"),
    (["--boundary"], 2, "--boundary goes with --arch lwunet; rsunet always has it"),
    (["--crop", "16"], 2, "--crop goes with --vary-seed"),
    (["--vary-seed", "2"], 2, "--vary-seed goes with --context 0"),
    (["--vary-seed", "2", "--context", "0", "--crop", "30"], 2, "crop 30 is not a multiple of 4 up to 64"),
    (["--segment-loss"], 2, "--segment-loss goes with --vary-seed"),
    (["--fold", "3"], 6, "split-3.json not found; `ewval index` makes it"),
    (["--init", "nothing"], 6, "model nothing not found; name a path or one of:"),
    (["--resume"], 6, "leave out --resume to begin a run"),
]


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


def test_first_weights_of_another_shape_are_refused(cli: Cli, data: Path, tmp_path: Path) -> None:
    assert cli("train", "--data", data, "--run", "first", *SMALL, "--steps", 1).exit_code == 0
    other = cli("train", "--data", data, "--run", "run", *SMALL, "--widths", "6,8", "--init", "first")
    assert other.exit_code == 2
    assert "--init first is a rsunet with other layers than this rsunet; match --arch" in other.stderr
    same = cli("train", "--data", data, "--run", "run", *SMALL, "--steps", 1, "--init", "first")
    assert same.exit_code == 0


def test_the_card_lists_what_was_learned_from_by_the_first_weights_too(cli: Cli, data: Path, tmp_path: Path) -> None:
    config = {"context": 2, "loops": 1, "widths": [4, 8]}
    first = ModelCard("first", "rsunet", config=config, cells=[5], volumes=[99])
    save_model(tmp_path / "first.safetensors", Model(first, build_network("rsunet", config)))
    begun = cli("train", "--data", data, "--run", "run", *SMALL, "--steps", 1, "--init", "first.safetensors")
    assert begun.exit_code == 0, begun.stderr
    card = load_model(tmp_path / "run").card
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


def test_divergence_ends_with_1_and_keeps_the_checkpoint(cli: Cli, data: Path, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "copy")
    shutil.copytree(data, folder.root)
    write_split(folder, train=[1, 2, 3])  # no validation, which would see it sooner
    words = ["train", "--data", folder.root, "--run", "run", *SMALL, "--learning-rate", "1e30", "--clip", "0"]
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


def test_a_number_of_steps_is_kept_to_without_gain_unless_patience_is_named(cli: Cli, data: Path) -> None:
    words = ["train", "--data", data, *SMALL, "--learning-rate", "1e-12", "--sample-fraction", "1", "--steps", 12]
    for run, patience, why in (("kept", [], "done"), ("cut", ["--patience", 2], "early")):
        document = json.loads(cli(*words, "--run", run, *patience, "--json").stdout)
        assert document["why"] == why
        assert (document["steps"] == 12) == (why == "done")
