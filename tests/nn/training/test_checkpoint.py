"""Checkpoint files: whole or not there, and nothing but tensors and plain values."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ewval.core.errors import DamagedError
from ewval.nn.training.checkpoint import read_checkpoint

SAVE_FOREVER = """
import sys
from pathlib import Path
import torch
from ewval.nn.training.checkpoint import Position, save_checkpoint
network = torch.nn.Linear(1500, 1500)
optimizer = torch.optim.Adam(network.parameters())
step = 0
while True:
    step += 1
    save_checkpoint(Path(sys.argv[1]), card="{}", network=network, ema=None, optimizer=optimizer,
                    position=Position(step=step))
    print(step, flush=True)
"""


def test_killed_while_saving_it_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    process = subprocess.Popen([sys.executable, "-c", SAVE_FOREVER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.05)
    # Until a file is there that is not finished yet: the kill then falls into a save.
    while not list(tmp_path.glob(".last.pt.*.incomplete")):
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    reached = len(process.stdout.readlines())
    process.stdout.close()
    process.wait()
    assert read_checkpoint(path)["position"]["step"] >= 1 + reached


def test_half_a_checkpoint_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"format": 1, "tensor": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DamagedError, match="not a file of torch tensors"):
        read_checkpoint(path)


def test_other_content_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"format": 1}, path)
    with pytest.raises(DamagedError, match="does not hold the state of a training run"):
        read_checkpoint(path)


class Malice:
    """What runs code where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo owned > owned.txt",)


def test_code_in_a_checkpoint_is_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "last.pt"
    path.write_bytes(pickle.dumps(Malice(), protocol=2))
    with pytest.raises(DamagedError, match="not a file of torch tensors"):
        read_checkpoint(path)
    assert not (tmp_path / "owned.txt").exists()
