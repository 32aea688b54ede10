"""Closed standard streams, and readers that leave: no traceback, the exit of the work, the work done."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
