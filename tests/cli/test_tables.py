"""Tables on narrow terminals, in small encodings, and where COLUMNS is nonsense."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ewval.cli.tables import draw_table, is_sensible_width, terminal_width
from worlds import make_pair, write_world

COLUMNS = ["task", "cell", "volume", "add", "maybe", "remove", "agreement", "priority"]
ROW = [1415863, 77960, 123276, 12, 3, 0, "0.91", "0.37"]


@pytest.mark.parametrize("width", [1, 10, 20, 40, 50, 60, 79, 80, 200, None])
def test_no_value_is_cut_at_any_width(width: int | None) -> None:
    lines = draw_table(COLUMNS, [ROW, ROW], title="tasks", width=width)
    words = re.findall(r"[^\s|+:-]+", "\n".join(lines))
    for value in [*COLUMNS, *map(str, ROW)]:
        assert value in words
    assert max(map(len, lines)) <= max(width or 1000, len("agreement: 0.91"))


def test_a_table_of_nothing_has_its_columns() -> None:
    assert draw_table(["a", "b"], [], width=80) == ["+---+---+", "| a | b |", "+---+---+", "+---+---+"]


def test_what_stands_in_a_cell_stays_in_its_line() -> None:
    lines = draw_table(["name"], [["two\nlines [red]\t[/]"]], width=80)
    assert lines[3] == "| two lines [red] [/] |"


@pytest.mark.parametrize(
    "text", ["abc", "-5", "0", "", "1e3", "\u00b2", "\u0663", "99999999999999999999", " 80", "8" * 5000]
)
def test_nonsense_in_columns_means_unknown(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("COLUMNS", text)
    assert not is_sensible_width(text)
    assert terminal_width() is None


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    return write_world(folder, [make_pair(i, cell=1000 + i, seed=(i % 8 + 1,)) for i in range(1, 13)]).root


def run_index(data: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "ewval", "index", "--data", str(data)]
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "PYTHONIOENCODING")}
    return subprocess.run(command, capture_output=True, env=inherited | environment)


@pytest.mark.parametrize("columns", ["5", "18", "40", "abc", "-1", "0", "99999999999999999999"])
def test_the_real_command_at_widths_of_all_kinds(data: Path, columns: str) -> None:
    done = run_index(data, COLUMNS=columns, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert {"side", "tasks", "train", "val", "test", "gap"} <= set(re.findall(r"[a-z]+", done.stdout.decode("ascii")))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_names_that_the_encoding_lacks_are_escaped(data: Path, tmp_path: Path, encoding: str) -> None:
    named = tmp_path / "\u0434\u0430\u043d\u043d\u044b\u0435-\u2026"
    named.symlink_to(data)
    done = run_index(named, PYTHONIOENCODING=encoding, LC_ALL="C.UTF-8")
    assert done.returncode == 0, done.stderr
    assert b"task_vol.json" in done.stdout
    assert str(named) in done.stdout.decode(encoding) or b"\\u0434" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
def test_a_terminal_of_fifty_columns_gets_records(data: Path) -> None:
    import fcntl
    import pty
    import struct
    import termios

    code = "from ewval.cli.streams import guard_streams; guard_streams(); from ewval.cli.output import Output;"
    code += f" Output().table({COLUMNS!r}, [{ROW!r}], title='tasks')"
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    subprocess.run(
        [sys.executable, "-c", code], stdout=theirs, env=environment | {"PYTHONIOENCODING": "ascii"}, check=True
    )
    shown = os.read(ours, 4096).decode("ascii").replace("\r\n", "\n")
    os.close(ours)
    os.close(theirs)
    assert shown.startswith("tasks\ntask: 1415863\ncell: 77960\nvolume: 123276\n")
