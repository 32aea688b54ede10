"""Several processes do what one does."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ewval.nn.distributed import Team
from quick_recipe import QUICK

SCRIPT = Path(__file__).with_name("two_processes.py")


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("two_processes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_two(*words: str) -> list[subprocess.CompletedProcess[str]]:
    """Run two processes with the environment that torchrun gives; return how each ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        **os.environ,
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    started = [
        subprocess.Popen(
            [sys.executable, *words],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ended = []
    for process in started:
        out, err = process.communicate(timeout=240)
        ended.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    return ended


def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    ended = run_two(str(SCRIPT), str(tmp_path / "found.pt"))
    assert [process.returncode for process in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    script, found = load_script(), torch.load(tmp_path / "found.pt", weights_only=True)
    for loss in script.LOSSES:
        two, one = found[loss], script.train(loss, Team(0, 1, torch.device("cpu")))
        assert two["samples"] == one["samples"] == [4, 4, 4]
        assert two["losses"] == pytest.approx(one["losses"], abs=1e-5)
        assert two["validation"] == pytest.approx(one["validation"], abs=1e-5)
        for key, value in one["weights"].items():
            assert torch.allclose(two["weights"][key], value, rtol=0, atol=1e-5), key


def test_the_command_shares_a_run_and_one_process_speaks(tmp_path: Path, tiny_data: Path) -> None:
    words = ["-m", "ewval", "train", "--data", tiny_data, "--run", tmp_path / "run"]
    (tmp_path / "quick.toml").write_text(QUICK)
    words += ["--recipe", tmp_path / "quick.toml", "--steps", "2", "--batch-size", "2", "--json", "--device", "cpu"]
    ended = run_two(*map(str, words))
    assert [process.returncode for process in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    document = json.loads(ended[0].stdout)
    assert (document["why"], document["steps"], document["tasks"]) == ("done", 2, 5)
    assert ended[1].stdout == ""
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["samples"] for line in lines if line["kind"] == "step"] == [2, 2]
