"""The road from end to end: from a server in Eyewire's form over real EM to a predicted trace, as users walk it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from ewval.core.sim.server import WireServer

CELLS = 12
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def cells(shared: Path) -> list[str]:
    """Some cells of the real data whose tasks are all there."""
    scored = json.loads((shared / "data" / "scored.json").read_text())["tasks"]["fib25"]
    return [str(cell) for cell in sorted({row["cell"] for row in scored})[:CELLS]]


def conforms(shared: Path, kind: str, path: Path) -> bool:
    """Whether the independent checker finds no fault in an output; it names each one."""
    checker = shared / "tools" / "conform.py"
    ended = subprocess.run(
        [sys.executable, str(checker), kind, str(path)], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return True


def process(*words: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the real `ewval`."""
    command = [sys.executable, "-m", "ewval", *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | variables, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.timeout(1500)  # a minute on two idle cores, most of it twenty training steps; more on busy ones
def test_real_em_goes_all_the_way_to_a_predicted_trace(
    shared: Path, cells: list[str], cli: Run, wire_server: Callable[..., WireServer], tmp_path: Path
) -> None:
    server = wire_server(shared / "data" / "fib25")
    asked = [word for cell in cells for word in ("--cell", cell)]
    rates = ("--api-rate", "1000", "--bucket-rate", "10000")

    # The real process, for what only a process shows: the console entry, the environment, the exit code.
    fetched = process("fetch", *asked, *rates, cwd=tmp_path, EWVAL_TOKEN="secret", EWVAL_API=server.api_url)
    assert fetched.returncode == 0, fetched.stderr
    assert "secret" not in fetched.stdout + fetched.stderr
    assert not any(request.token for request in server.requests if request.host == "bucket")
    missing = {request.path for request in server.requests if request.status == 404}
    assert missing  # some ancestors answer 404: absent, not failed

    def walk(*words: object) -> Result:
        result = cli(*words, env={"EWVAL_TOKEN": "secret", "EWVAL_API": server.api_url})
        assert result.exit_code == 0, result.output
        return result

    walk("pack")
    indexed = json.loads(walk("index", "--test-fraction", "0.3", "--json").stdout)
    assert indexed["failed"] == []
    trained = json.loads(walk("train", "--run", "run", "--steps", "20", "--batch-size", "1", "--json").stdout)
    assert (trained["why"], trained["steps"]) == ("done", 20)
    walk("eval", "--limit", "8", "--model", "run", "--out", "scores")
    split = json.loads(Path("ewval-data/split.json").read_text())
    task = max(split["test"])
    shown = walk("predict", task, "--model", "run")
    assert f"task {task}" in shown.stdout.lower()
    Path("predict.json").write_text(walk("predict", task, "--model", "run", "--json").stdout)

    rows = map(json.loads, Path("run/metrics.jsonl").read_text().splitlines())
    assert [row["kind"] for row in rows].count("step") == trained["steps"]
    assert conforms(shared, "predict", Path("predict.json"))
    assert conforms(shared, "eval", Path("scores/metrics.json"))
    assert conforms(shared, "split", Path("ewval-data/split.json"))
    assert json.loads(Path("predict.json").read_text())["task"] == task
    asked_before = len(server.requests)
    walk("fetch", *asked, *rates)
    assert len(server.requests) - asked_before <= len(cells)  # nothing is fetched twice, at most the cells' lists


def one_line(result: subprocess.CompletedProcess[str] | Result) -> str:
    """Return what a failed command said: exactly one line, no traceback."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("ewval: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    return lines[0]


def test_the_first_command_of_a_newcomer_fails_with_advice(
    tmp_path: Path, tiny_world: Path, wire_server: Callable[..., WireServer]
) -> None:
    server = wire_server(tiny_world)
    ended = process("predict", "1415863", cwd=tmp_path, EWVAL_API=server.api_url)
    assert ended.returncode == 4
    assert "ewval doctor" in one_line(ended)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"eyewire.sqlite", ".fetch.lock"}


def test_a_server_that_is_down_is_said_in_one_line(cli: Run, tiny_world: Path) -> None:
    with WireServer(tiny_world) as server:
        url = server.api_url
    result = cli("fetch", "1410002", "--api", url, env={"EWVAL_TOKEN": "secret"})
    assert result.exit_code == 5
    assert "cannot reach" in one_line(result)


def test_a_refused_token_is_said_in_one_line(
    cli: Run, tiny_world: Path, wire_server: Callable[..., WireServer]
) -> None:
    server = wire_server(tiny_world, token="right")
    result = cli("fetch", "1410002", "--api", server.api_url, env={"EWVAL_TOKEN": "wrong"})
    assert result.exit_code == 4
    assert "refused" in one_line(result)
    assert "wrong" not in result.stderr


@pytest.mark.parametrize("words", [("fetch", "999999999"), ("fetch", "--cell", "999999999"), ("predict", "999999999")])
def test_what_eyewire_does_not_know_is_named(
    cli: Run, tiny_world: Path, wire_server: Callable[..., WireServer], words: tuple[str, ...]
) -> None:
    server = wire_server(tiny_world)
    result = cli(*words, "--api", server.api_url, env={"EWVAL_TOKEN": "secret"})
    assert result.exit_code in (3, 6)
    assert "999999999" in one_line(result)


@pytest.mark.parametrize("words", [("index",), ("train", "--run", "run"), ("eval",), ("pack",)])
def test_an_empty_data_folder_is_said_in_one_line(cli: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    result = cli(*words)
    assert result.exit_code in (2, 6)
    assert "ewval fetch" in one_line(result) or "ewval index" in one_line(result)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("train", "--run", "r", "--batch-size", "0"), "--batch-size"),
        (("index", "--test-fraction", "2"), "test"),
        (("fetch", "--api-rate", "-1", "7"), "rate"),
        (("predict", "seven"), "'seven' is not a task id"),
        (("eval", "--split", "sideways"), "sideways"),
        (("pack", "--factor", "3"), "3"),
    ],
)
def test_nonsense_values_are_usage_errors(cli: Run, words: tuple[str, ...], text: str) -> None:
    Path("ewval-data").mkdir()
    result = cli(*words)
    assert result.exit_code == 2
    assert text in result.stderr
    assert "Traceback" not in result.stderr
