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


def cells_of(shared: Path, name: str) -> list[str]:
    """Some cells of the real data whose tasks are all there."""
    scored = json.loads((shared / "data" / "scored.json").read_text())["tasks"][name]
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


@pytest.mark.timeout(1500)  # half a minute on two idle cores, most of it forests; more on busy ones
@pytest.mark.parametrize(
    ("name", "recipe"), [("fib25", ()), ("gala", ("--recipe", "demo"))]
)  # the default, and fewer trees
def test_real_em_goes_all_the_way_to_a_predicted_trace(
    shared: Path, name: str, recipe: tuple[str, ...], cli: Run, wire_server: Callable[..., WireServer], tmp_path: Path
) -> None:
    server = wire_server(shared / "data" / name)
    asked = [word for cell in cells_of(shared, name) for word in ("--cell", cell)]
    rates = ("--api-rate", "1000", "--bucket-rate", "10000", "--pack", "--drop-raw")

    # The real process, for what only a process shows: the console entry, the environment, the exit code.
    fetched = process("fetch", *asked, *rates, cwd=tmp_path, EWVAL_TOKEN="secret", EWVAL_API=server.api_url)
    assert fetched.returncode == 0, fetched.stderr
    assert "secret" not in fetched.stdout + fetched.stderr
    assert not any(request.token for request in server.requests if request.host == "bucket")
    missing = {request.path for request in server.requests if request.status == 404}
    assert missing or name == "gala"  # some ancestors answer 404: absent, not failed
    data = Path("ewval-data")
    assert not list((data / "raw").iterdir())
    assert all(path.stat().st_size < 1.5e6 for path in (data / "graphs").iterdir())

    def walk(*words: object) -> Result:
        result = cli(*words, env={"EWVAL_TOKEN": "secret", "EWVAL_API": server.api_url})
        assert result.exit_code == 0, result.output
        return result

    walk("pack", "--verify")
    indexed = json.loads(walk("index", "--split", "cell", "--test-fraction", "0.3", "--json").stdout)
    assert indexed["failed"] == []
    assert indexed["examples"]["contacts"] > 100
    trained = json.loads(walk("train", "--run", "run", *recipe, "--json").stdout)
    assert (trained["why"], trained["cells"] > 2) == ("done", True)
    walk("eval", "--limit", "8", "--model", "run", "--out", "scores")
    split = json.loads((data / "split.json").read_text())
    task = max(split["test"])
    shown = walk("predict", task, "--model", "run")
    assert f"task {task}" in shown.stdout.lower()
    Path("predict.json").write_text(walk("predict", task, "--model", "run", "--json").stdout)

    rows = list(map(json.loads, Path("run/metrics.jsonl").read_text().splitlines()))
    assert [row["kind"] for row in rows[-1:]] == ["end"]
    assert json.loads(Path("predict.json").read_text())["resolution"] == "full"
    assert conforms(shared, "predict", Path("predict.json"))
    assert conforms(shared, "eval", Path("scores/metrics.json"))


@pytest.mark.timeout(900)
def test_answers_without_raw_files_are_those_with_them(
    shared: Path, cli: Run, wire_server: Callable[..., WireServer], tmp_path: Path
) -> None:
    server = wire_server(shared / "data" / "gala")
    environment = {"EWVAL_TOKEN": "secret", "EWVAL_API": server.api_url}
    asked = [word for cell in cells_of(shared, "gala") for word in ("--cell", cell)]
    said = []
    for data, words in (("with", ["--pack", "--no-graph"]), ("without", ["--pack", "--drop-raw"])):
        rates = ("--api-rate", "1000", "--bucket-rate", "10000")
        assert cli("fetch", *asked, *rates, *words, "--data", data, env=environment).exit_code == 0
        assert cli("index", "--data", data, env=environment).exit_code == 0
        split = json.loads((tmp_path / data / "split.json").read_text())
        tasks = [str(task) for side in ("train", "val", "test") for task in split[side]]
        answered = cli("predict", "-", "--json", "--data", data, input="\n".join(tasks), env=environment)
        assert answered.exit_code == 0, answered.stderr
        said.append(answered.stdout)
    assert said[0] == said[1]
    assert len(said[0].splitlines()) > CELLS
