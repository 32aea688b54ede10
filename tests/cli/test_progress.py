"""Progress where there is no terminal: a plain line every 30 s or 5 %."""

import os
import subprocess
import sys

import pytest

from ewval.cli.progress import PlainLines, progress_bar
from ewval.core.progress import SILENT


class Clock:
    """A clock that tests move by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_every_five_percent() -> None:
    lines: list[str] = []
    progress = PlainLines("pack", clock=Clock(), write=lines.append)
    progress.start(1000, unit="volumes")
    for _ in range(1000):
        progress.advance()
    assert len(lines) == 20
    assert lines[-1].startswith("pack: 1000/1000 volumes (100 %)")


def test_a_line_every_thirty_seconds() -> None:
    lines: list[str] = []
    clock = Clock()
    progress = PlainLines("fetch", clock=clock, write=lines.append)
    progress.start(100_000, unit="files")
    for _ in range(60):
        clock.now += 1
        progress.advance()
    assert [line.split()[1] for line in lines] == ["30/100000", "60/100000"]
    assert lines[0].endswith("1.0/s 99970 s left")


def test_a_note_is_shown_until_it_is_removed() -> None:
    lines: list[str] = []
    progress = PlainLines("fetch", clock=Clock(), write=lines.append)
    progress.start(2)
    progress.note("slowed down: 2.5/s")
    progress.advance()
    progress.note("")
    progress.advance()
    assert "slowed down" in lines[0]
    assert "slowed down" not in lines[1]


def test_without_a_total_the_count_is_shown() -> None:
    lines: list[str] = []
    clock = Clock()
    progress = PlainLines("index", clock=clock, write=lines.append)
    clock.now = 30
    progress.advance(5)
    assert lines[0].startswith("index: 5 ")


def test_a_quiet_run_shows_nothing() -> None:
    with progress_bar("pack", quiet=True) as progress:
        assert progress is SILENT


def test_no_terminal_means_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("pack") as progress:
        progress.start(1, unit="volumes")
        progress.advance()
    assert capsys.readouterr().err.startswith("pack: 1/1 volumes (100 %)")


STREAMING = """
from ewval.cli.output import Output
from ewval.cli.progress import progress_bars
with progress_bars("fetch", "predict") as (fetch, predict):
    predict.start(2, unit="tasks")
    for task in range(2):
        Output().json_line({"task": task, "segments": list(range(60))})
        predict.advance()
"""


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
@pytest.mark.parametrize("is_piped", [True, False])
def test_results_reach_stdout_whole_while_bars_are_drawn_on_a_terminal(is_piped: bool) -> None:
    ours, terminal = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", STREAMING], stdout=subprocess.PIPE if is_piped else terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        piped = process.stdout.read() if process.stdout else b""
        shown = drained(ours)
    wanted = [f'{{"task": {task}, "segments": {list(range(60))}}}' for task in range(2)]
    assert process.returncode == 0
    assert piped.decode().splitlines() == (wanted if is_piped else [])
    assert [line in shown for line in wanted] == [not is_piped] * 2
    assert "predict" in shown
    assert "fetch" not in shown  # it never started


def drained(terminal: int) -> str:
    """Return all that was written to a pseudo-terminal, and close it."""
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(terminal)
    return b"".join(parts).decode()
