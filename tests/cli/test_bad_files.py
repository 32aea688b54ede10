"""One file that cannot be read costs its own tasks and no others; no such file is ever a traceback."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from bars import VOLUMES, write_bar_folder
from ewval.core.folder import DataFolder
from ewval.core.packing.pack import PackRequest, pack
from ewval.core.volumes.store import PackedStore
from ewval.core.workers import Workers
from raw_volumes import to_alone, write_raw

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a file that fails when it is read")

Cli = Callable[..., Result]
TASKS = (1001, 2001, 3001)
"""One in each of the first three volumes; the second volume is spoiled."""
BAD = VOLUMES[1]
FAILS_TO_READ = "/proc/self/mem"
"""Opens, and answers EIO to whoever reads it from its beginning, as a failing disk does."""


def a_folder(path: Path) -> None:
    path.mkdir()


def a_failing_disk(path: Path) -> None:
    path.symlink_to(FAILS_TO_READ)


def a_loop(path: Path) -> None:
    path.symlink_to(path)


CAUSES = {"Is a directory": a_folder, "Input/output error": a_failing_disk, "Too many levels": a_loop}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """The bars at full resolution too, packed, with their graphs."""
    folder = DataFolder(tmp_path_factory.mktemp("whole") / "data")
    write_bar_folder(folder.root)
    store = PackedStore(folder)
    for volume in VOLUMES:
        image, labels = (
            np.kron(a, np.ones((4, 4, 4), a.dtype)) for a in (store.image(volume), store.segmentation(volume))
        )
        write_raw(folder.raw(volume), image, segmentation=to_alone(labels.tobytes()))
        (folder.raw(volume) / "metadata.json").unlink()
    assert not pack(PackRequest(folder, workers=Workers(1))).failed
    return folder


@pytest.fixture
def data(whole: DataFolder, tmp_path: Path) -> DataFolder:
    """A copy whose files may be replaced, not changed."""
    return DataFolder(shutil.copytree(whole.root, tmp_path / "ewval-data", copy_function=os.link))


def files_of(folder: DataFolder, volume: int) -> dict[str, Path]:
    return {
        "raw segmentation": folder.raw(volume) / "segmentation.lzma",
        "raw metadata": folder.raw(volume) / "metadata.json",
        "packed image": folder.image(volume),
        "packed segmentation": folder.segmentation(volume),
        "graph": folder.graph(volume),
    }


def spoil(path: Path, cause: str) -> None:
    path.unlink(missing_ok=True)
    CAUSES[cause](path)


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("kind", ["raw segmentation", "raw metadata", "packed image", "packed segmentation", "graph"])
def test_predict_answers_the_others_and_names_the_task(cli: Cli, data: DataFolder, kind: str, cause: str) -> None:
    path = files_of(data, BAD)[kind]
    spoil(path, cause)
    result = cli("predict", *TASKS, "--json", "--api", "http://127.0.0.1:9")
    assert result.exit_code == 3, result.output
    assert [json.loads(line)["task"] for line in result.stdout.splitlines()] == [TASKS[0], TASKS[2]]
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("ewval: ") and "warning" not in line]
    assert line.startswith("ewval: task 2001: ")
    assert path.name in line
    assert cause in line


def test_predict_with_every_file_bad_ends_with_the_code_for_data(cli: Cli, data: DataFolder) -> None:
    spoil(data.graph(BAD), "Input/output error")
    result = cli("predict", 2001, "--api", "http://127.0.0.1:9")
    assert (result.exit_code, result.stdout) == (6, "")
    assert "see that you may read it" in result.stderr


@pytest.mark.parametrize("kind", ["raw segmentation", "packed image", "graph"])
def test_eval_scores_the_others_and_names_the_task(cli: Cli, data: DataFolder, kind: str) -> None:
    spoil(files_of(data, BAD)[kind], "Input/output error")
    result = cli("eval", "--split", "train", "--no-report", "--json", "--limit", 12, "--out", "scores")
    assert result.exit_code == 3, result.output
    document = json.loads(result.stdout)
    assert {item["id"] // 1000 for item in document["failed"]} == {2}
    assert document["tasks"] + len(document["failed"]) == 12


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("kind", ["packed image", "packed segmentation", "graph"])
def test_pack_verify_names_the_volume(cli: Cli, data: DataFolder, kind: str, cause: str) -> None:
    spoil(files_of(data, BAD)[kind], cause)
    result = cli("pack", "--verify", "--workers", 1, "--json")
    assert result.exit_code == 3, result.output
    document = json.loads(result.stdout)
    assert [item["id"] for item in document["failed"]] == [BAD]
    assert document["verified"] == len(VOLUMES) - 1


@pytest.mark.parametrize("cause", CAUSES)
def test_pack_packs_the_others_and_keeps_what_it_cannot_replace(cli: Cli, data: DataFolder, cause: str) -> None:
    for volume in VOLUMES:
        data.image(volume).unlink()
    spoil(data.raw(BAD) / "segmentation.lzma", cause)
    result = cli("pack", "--drop-raw", "--workers", 1, "--no-graph")
    assert result.exit_code == 3, result.output
    assert f"ewval: volume {BAD}: " in result.stderr
    assert cause in result.stderr
    assert data.raw(BAD).is_dir()
    assert all(data.is_packed(volume) and not data.raw(volume).exists() for volume in VOLUMES if volume != BAD)


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("kind", ["packed image", "packed segmentation"])
def test_index_counts_the_volume_as_damaged(cli: Cli, data: DataFolder, kind: str, cause: str) -> None:
    spoil(files_of(data, BAD)[kind], cause)
    result = cli("index", "--json")
    assert result.exit_code in (0, 3), result.output
    assert "Traceback" not in result.output
    if kind == "packed segmentation":
        assert [item["id"] for item in json.loads(result.stdout)["failed"]] == [BAD]


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("command", [("predict", 1001), ("eval",)])
@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "model.pt"])
def test_a_model_that_cannot_be_read_is_named(
    cli: Cli, data: DataFolder, tmp_path: Path, command: tuple[object, ...], name: str, cause: str
) -> None:
    from ewval.core.models.registry import find_model

    packaged = find_model("graph")
    for suffix in (".safetensors", ".json"):
        shutil.copy(packaged.with_suffix(suffix), tmp_path / f"model{suffix}")
    spoil(tmp_path / name, cause)
    model = "model.pt" if name == "model.pt" else "model.safetensors"
    result = cli(*command, "--model", model)
    assert result.exit_code == 6, result.output
    assert "model" in result.stderr
    assert "Traceback" not in result.output
    assert len([line for line in result.stderr.splitlines() if line.startswith("ewval: ")]) == 1


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("name", ["task_vol.json", "task_data.json", "split.json", "eyewire.sqlite"])
@pytest.mark.parametrize(
    "command", [("predict", 1001), ("eval", "--no-report"), ("index",), ("doctor",), ("pack", "--verify")]
)
def test_files_of_the_folder_that_cannot_be_read_are_named(
    cli: Cli, data: DataFolder, command: tuple[object, ...], name: str, cause: str
) -> None:
    spoil(data.root / name, cause)
    result = cli(*command)
    assert result.exit_code in (0, 2, 3, 6), result.output
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if result.exit_code:
        assert name in result.output


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize(
    "words",
    [
        ("doctor", "--token-file", "bad"),
        ("fetch", "--registry", "bad"),
        ("train", "--recipe", "bad.toml", "--run", "run"),
        ("doctor",),
    ],
)
def test_files_that_the_user_names_are_named(
    cli: Cli, data: DataFolder, tmp_path: Path, words: tuple[str, ...], cause: str
) -> None:
    for name in ("bad", "bad.toml", *(["ewval.toml"] if words == ("doctor",) else [])):
        spoil(tmp_path / name, cause)
    result = cli(*words)
    assert result.exit_code in (2, 6), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "bad" in result.stderr or "ewval.toml" in result.stderr


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000])
@pytest.mark.parametrize(
    "words",
    [
        ("predict", 7, "--model"),
        ("eval", "--model"),
        ("doctor", "--data"),
        ("index", "--out"),
        ("predict", 1001, "--out"),
        ("train", "--run"),
    ],
)
def test_names_that_are_too_long_are_refused_in_one_line(
    cli: Cli, data: DataFolder, words: tuple[object, ...], name: str
) -> None:
    result = cli(*words, name)
    assert result.exit_code in (2, 6), result.output
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
