"""`ewval pack`, as a user or a script sees it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Cli = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path, raw_volume: Path, cli: Cli) -> Path:
    """The default data folder, with raw volumes 5 and 6; 6 has a damaged slice."""
    folder = tmp_path / "ewval-data"
    for volume in (5, 6):
        shutil.copytree(raw_volume, folder / "raw" / str(volume))
    (folder / "raw" / "6" / "jpg" / "9.jpg").write_bytes(b"?")
    return folder


def test_volumes_are_packed_and_counted(cli: Cli, data: Path) -> None:
    result = cli("pack", 5)
    assert result.exit_code == 0
    assert result.stdout.startswith("packed 1 volume, ")
    assert "pack: 1/1 volumes (100 %)" in result.stderr
    assert (data / "images" / "5" / "image.lzma").is_file()
    assert (data / "segmentation" / "5" / "segmentation.lzma").is_file()


def test_the_same_command_again_says_that_all_is_done(cli: Cli, data: Path) -> None:
    cli("pack", 5)
    result = cli("pack", 5)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "nothing to do: 1 volume was packed before\n", "")


def test_some_that_fail_are_named_and_the_exit_code_is_3(cli: Cli, data: Path) -> None:
    result = cli("pack", "--workers", 1, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 3
    assert {key: document[key] for key in ("done", "skipped", "absent")} == {"done": 1, "skipped": 0, "absent": 0}
    (failed,) = document["failed"]
    assert failed["id"] == 6
    assert "9.jpg is damaged: not a whole JPEG" in failed["reason"]
    assert document["bytes"] > 0
    assert document["seconds"] > 0
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("ewval: ")]
    assert line.startswith("ewval: volume 6: ")
    assert line.endswith("delete it and run the command that made it (`ewval fetch`, `ewval pack`, ...) again")
    assert "Traceback" not in result.stderr


def test_debugging_shows_the_traceback_of_the_worker(cli: Cli, data: Path) -> None:
    result = cli("pack", 6, env={"EWVAL_DEBUG": "1"})
    assert result.exit_code == 6
    assert "in decode_slice" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("ewval: volume 6: ")


@pytest.mark.parametrize(("asked", "code"), [((99,), 6), ((99, 98), 6), ((5, 99), 3), ((6, 99), 6)])
def test_unknown_volumes_are_named(cli: Cli, data: Path, asked: tuple[int, ...], code: int) -> None:
    result = cli("pack", *asked, "--workers", 1)
    assert result.exit_code == code
    assert "ewval: volume 99: volume 99 not found; `ewval fetch` downloads the volumes" in result.stderr


def test_quiet_prints_the_packed_ids_only(cli: Cli, data: Path) -> None:
    result = cli("pack", "-", "-q", input="5  # the only whole one\n")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "5\n", "")


def test_verification_finds_what_is_damaged_or_missing(cli: Cli, data: Path) -> None:
    cli("pack", 5)
    (data / "task_vol.json").write_text('{"10": "5", "11": "77"}')
    shutil.rmtree(data / "raw")
    whole = cli("pack", 5, "--verify", "--workers", 1)
    assert whole.exit_code == 0
    assert "verified 1 volume in " in whole.stdout
    partly = cli("pack", "--verify", "--workers", 1, "--json")
    assert partly.exit_code == 3
    assert json.loads(partly.stdout)["verified"] == 1
    assert "ewval: volume 77: packed volume 77 not found; `ewval pack` makes it" in partly.stderr
    (data / "images" / "5" / "image.lzma").write_bytes(b"?")
    none = cli("pack", "--verify", "--workers", 1)
    assert none.exit_code == 6
    assert "image.lzma is damaged" in none.stderr


def test_a_folder_without_raw_volumes_has_nothing_to_pack(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "ewval-data").mkdir()
    result = cli("pack")
    assert result.exit_code == 0
    assert result.stdout == "nothing to pack: there are no raw volumes; `ewval fetch` downloads them\n"


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("--data", "nowhere"), 2, "there is no data folder nowhere"),
        (("--factor", 3), 2, "factor 3 is none of 1, 2, 4, 8"),
        (("--workers", 0), 2, "Invalid value for '--workers'"),
        (("five",), 2, "'five' is not a volume id: ids are positive whole numbers"),
        (("--dask", "nonsense"), 5, "no Dask scheduler answers at nonsense: an address is HOST:PORT"),
    ],
)
def test_nonsense_is_refused_in_one_line(
    cli: Cli, data: Path, words: tuple[object, ...], code: int, problem: str
) -> None:
    if code == 5:
        pytest.importorskip("distributed")
    result = cli("pack", *words)
    assert result.exit_code == code
    assert problem in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert not (data / "images").exists()


def test_dask_without_its_extra_is_named(cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = cli("pack", "--dask", "127.0.0.1:8786")
    assert result.exit_code == 7
    assert "distributed is not installed (extra 'cluster'); install it with `pip install 'ewval[cluster]'`" in (
        result.stderr
    )


def test_the_real_process_packs_in_processes_of_its_own(data: Path) -> None:
    command = [sys.executable, "-m", "ewval", "pack", "--data", str(data), "--workers", "2"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 3
    assert result.stdout.startswith("packed 1 volume, ")
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupt_ends_with_one_line_and_the_same_command_goes_on(data: Path, cli: Cli) -> None:
    for volume in range(7, 20):
        (data / "raw" / str(volume)).symlink_to(data / "raw" / "5")
    command = [sys.executable, "-m", "ewval", "pack", "--data", str(data), "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
        rest = process.stderr.read()
    assert first.startswith("pack: ")
    assert process.returncode == 130
    assert rest.splitlines()[-1].startswith("interrupted; finished work is saved; resume with: ewval pack")
    assert "Traceback" not in rest
    assert not list(data.rglob("*.incomplete"))
    assert cli("pack", "--verify", 5, "--workers", 1).exit_code == 0


def test_volumes_that_cannot_gain_a_graph_are_counted(cli: Cli, data: Path) -> None:
    bare = cli("pack", 5, "--no-graph")
    assert (bare.exit_code, " a graph" in bare.stdout) == (0, False)
    assert not (data / "graphs").exists()
    gained = cli("pack", 5)
    assert gained.stdout.startswith("packed 1 volume, ")
    assert " MB a graph" in gained.stdout
    (data / "graphs" / "5.npz").unlink()
    shutil.rmtree(data / "raw")
    without = cli("pack")
    assert (without.exit_code, without.stdout.startswith("nothing to pack")) == (0, True)
    assert without.stderr.startswith("ewval: volume 5 has neither a segment graph nor raw files to measure it in")
