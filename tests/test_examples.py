"""The examples do what they say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def environment(tmp_path):
    """A shell's environment in which `ewval` is this one."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "ewval"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ewval "$@"\n')
    script.chmod(0o755)
    changed = {"PATH": f"{script.parent}:{os.environ['PATH']}", "EWVAL_TOKEN": "secret", "TRIES": "2", "PAUSE_S": "0"}
    return os.environ | changed


def test_the_batch_goes_on_after_failures_and_keeps_what_it_has(tiny_world, wire_server, environment, tmp_path):
    server = wire_server(tiny_world)
    task = min(int(path.stem) for path in (tiny_world / "api/1.0/task").glob("*.json"))
    ids, answers = tmp_path / "ids.txt", tmp_path / "answers"
    ids.write_text(f"{task}  # a comment\n99999999\n")
    options = ("--data", tmp_path / "data", "--api", server.api_url, "-q")
    command = ["sh", EXAMPLES / "batch.sh", ids, answers, *options]
    result = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True)
    assert result.returncode == 3, result.stderr
    tried = [request for request in server.requests if request.path.endswith("/task/99999999")]
    assert len(tried) >= 2
    (answer,) = (json.loads(line) for line in (answers / "predictions.jsonl").read_text().splitlines())
    assert answer["task"] == task
    assert (answers / "failed.txt").read_text().startswith("99999999  # task 99999999 not found")
    # Without the task that does not exist there is nothing left to do.
    ids.write_text(f"{task}\n")
    finished = (answers / str(task) / "prediction.json").stat().st_mtime_ns
    result = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (answers / str(task) / "prediction.json").stat().st_mtime_ns == finished
    assert not (answers / "failed.txt").exists()
