"""Small things to train on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ewval.core.folder import DataFolder
from ewval.core.volumes.codec import encode
from ewval.nn.data.batches import Batch

EDGE = 8


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums of floats come in one order, and small tensors gain nothing from more."""
    torch.set_num_threads(1)


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """Make a batch of cubes whose answer is the seed and what lies beside it: `make_batch(3, seed=1)`."""
    return _batch


def _batch(count: int = 2, *, seed: int = 0, edge: int = EDGE, context: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    target = torch.zeros(count, edge, edge, edge)
    low = torch.randint(0, edge // 2, (count, 3), generator=generator).tolist()
    for sample, (z, y, x) in enumerate(low):
        target[sample, z : z + edge // 2, y : y + edge // 2, x : x + edge // 2] = 1
    mask = target.clone()
    mask[:, edge // 2 :] = 0
    noise = torch.rand(count, edge, edge, edge, generator=generator)
    return Batch(
        tasks=torch.arange(count) + 100 * seed + 1,
        image=(100 + 80 * target + 40 * noise).round(),
        seed=mask,
        confidence=torch.where(mask > 0, 1.0, 10.0),
        context=(torch.rand(count, context, edge, edge, edge, generator=generator) > 0.8).float(),
        boundary=(noise > 0.8).float(),
        target=target,
    )


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of one packed volume, eight tasks and their split, in the seed system's layout."""
    folder = DataFolder(tmp_path_factory.mktemp("tiny"))
    grid = np.indices((64, 64, 64)) // 16
    labels = (1 + grid[0] * 16 + grid[1] * 4 + grid[2]).astype(np.uint16)
    image = (np.random.default_rng(0).integers(0, 60, labels.shape) + labels).astype(np.uint8)
    for path, array in ((folder.image(7), image), (folder.segmentation(7), labels)):
        path.parent.mkdir(parents=True)
        path.write_bytes(encode(array))
    tasks = range(1, 9)
    rows = {str(t): {"seed": [t], "parent": t - 1 or None, "aggregate": [t, t + 1]} for t in tasks}
    folder.task_vol.write_text(json.dumps({str(t): "7" for t in tasks}))
    folder.task_data.write_text(json.dumps(rows))
    sides = {"train": [1, 2, 3, 4, 5], "val": [6, 7], "test": [8], "gap": []}
    folder.split.write_text(json.dumps({"rule": "volume", "seed": 0, "consensus": "rule", "fallback": None, **sides}))
    return folder.root
