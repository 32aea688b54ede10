"""Closed standard streams, and readers that leave: no traceback, the exit of the work, the work done."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bars import write_bar_folder
from ewval.core.folder import DataFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
EWVAL = f"{sys.executable} -m ewval"


@pytest.fixture
def data(tmp_path: Path, raw_volume: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    for volume in (5, 6):
        shutil.copytree(raw_volume, folder.raw(volume))
    return folder


def shell(line: str, cwd: Path) -> tuple[list[int], str]:
    """Run a line of bash; return the exit codes of its pipe and what reached the outside."""
    script = f"{line}; codes=(${{PIPESTATUS[@]}}); echo ${{codes[@]}} > codes"
    done = subprocess.run(["bash", "-c", script], cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return [int(code) for code in (cwd / "codes").read_text(encoding="ascii").split()], done.stdout + done.stderr


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0>&- 1>&- 2>&-"])
def test_work_is_done_with_streams_closed(data: DataFolder, tmp_path: Path, closed: str) -> None:
    codes, output = shell(f"{EWVAL} pack --data data --workers 1 --no-graph {closed}", tmp_path)
    assert codes == [0]
    assert "Traceback" not in output
    assert data.is_packed(5)
    assert data.is_packed(6)


@pytest.mark.parametrize("reader", ["2>&1 | head -1", "2>&1 | true", "| true", "2>&1 >out | head -1"])
def test_work_is_done_when_the_reader_leaves(data: DataFolder, tmp_path: Path, reader: str) -> None:
    codes, output = shell(f"{EWVAL} pack --data data --workers 1 --no-graph {reader}", tmp_path)
    assert codes[0] == 0
    assert "Traceback" not in output
    assert "BrokenPipe" not in output
    assert data.is_packed(6)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--version 1>&-", 0),
        ("--help 1>&- 2>&-", 0),
        ("doctor 1>&- 2>&-", 0),
        ("pack - --data data 0<&-", 2),
        ("predict - --data data 0<&-", 2),
        ("fetch - --data data 0<&- 2>&-", 2),
        ("index --data nowhere 2>&-", 2),
        ("--help | true", 0),
        ("train --help | head -1", 0),
    ],
)
def test_the_exit_is_the_same_with_streams_closed(data: DataFolder, tmp_path: Path, words: str, code: int) -> None:
    codes, output = shell(f"{EWVAL} {words}", tmp_path)
    assert codes[0] == code
    assert "Traceback" not in output


@pytest.mark.parametrize("words", ["doctor", "pack", "fetch 7", "eval"])
def test_a_working_folder_that_is_gone_is_named(tmp_path: Path, words: str) -> None:
    codes, output = shell(f"mkdir gone; (cd gone && rmdir ../gone && {EWVAL} {words})", tmp_path)
    assert codes == [2]
    assert "ewval: " in output
    assert "Traceback" not in output


def test_predict_stops_where_nobody_reads_and_nothing_is_saved(tmp_path: Path) -> None:
    write_bar_folder(tmp_path / "data")
    tasks = " ".join(str(1000 + number) for number in range(15))
    words = f"predict {tasks} --data data --json --api http://127.0.0.1:9"
    codes, output = shell(f"{EWVAL} {words} 2>err | true", tmp_path)
    assert codes[0] == 0
    assert output == ""
    assert "Traceback" not in (tmp_path / "err").read_text(encoding="ascii")
    codes, _ = shell(f"{EWVAL} {words} --out answers 2>err | true", tmp_path)
    assert codes[0] == 0
    assert len(list((tmp_path / "answers").glob("*/prediction.json"))) == 15
