"""A small data folder whose right answers are known by construction, and networks that need no weights."""

# ruff: noqa: TID253 - its networks are torch modules, whoever imports it

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ewval.core.evaluation.answerers import ModelAnswerer
from ewval.core.evaluation.evidence import contact_evidence
from ewval.core.evaluation.output import Run, finish
from ewval.core.evaluation.panel import Models, make_panel
from ewval.core.evaluation.parts import PartFolder
from ewval.core.evaluation.run import EvalRequest, score_parts
from ewval.core.evaluation.tasks import TaskSet, read_tasks
from ewval.core.folder import DataFolder
from ewval.core.forest.decider import ForestDecider
from ewval.core.forest.model import HeadAnswer
from ewval.core.index.split import Split, write_split
from ewval.core.models.card import ModelCard
from ewval.core.segments.verdicts import reachable
from ewval.core.team import ALONE
from ewval.core.volumes.codec import encode
from ewval.nn.deciders import VoxelDecider
from ewval.nn.networks.network import Network
from ewval.nn.weights import Model

EDGE = 64
SLAB = 16
"""Each volume is cut into 64 bars, 16 x 16 voxels thick and 64 long; a neuron is four bars in a row."""
VOLUMES = (11, 12, 13, 14)


def bars() -> np.ndarray:
    """uint16 [64, 64, 64]: bar 1 + 16 * (z // 16) + 4 * (y // 16) + x // 16, so a row along x is one neuron."""
    z, y, x = np.indices((EDGE, EDGE, EDGE)) // SLAB
    return (1 + 16 * z + 4 * y + x).astype(np.uint16)


def brightness(labels: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """uint8 image: noise, with dark membranes between neurons and none between the bars of one."""
    neuron = (labels - 1) // 4
    image = rng.normal(170, 8, labels.shape)
    for axis in (0, 1):
        edge = np.diff(neuron, axis=axis) != 0
        low = (slice(None),) * axis + (slice(None, -1),)
        high = (slice(None),) * axis + (slice(1, None),)
        image[low][edge] = image[high][edge] = 60
    return image.clip(0, 255).astype(np.uint8)


def write_bar_folder(root: Path, *, volumes: Sequence[int] = VOLUMES) -> None:
    """Four volumes, 60 tasks: seed = first bar of a neuron, answer = all four; the last volume is the test side."""
    folder, rng, labels = DataFolder(root), np.random.default_rng(0), bars()
    vol, data, of_volume = {}, {}, {volume: [] for volume in volumes}
    for number, volume in enumerate(volumes):
        for path, array in (
            (folder.image(volume), brightness(labels, rng=rng)),
            (folder.segmentation(volume), labels),
        ):
            path.parent.mkdir(parents=True)
            path.write_bytes(encode(array))
        for neuron in range(15):
            task = 1000 * (number + 1) + neuron
            first = 4 * neuron + 1
            vol[str(task)] = str(volume)
            # Every fifth task has nothing to add: its seed is the whole neuron.
            seed = [first] if neuron % 5 else list(range(first, first + 4))
            parent = task - 1 if neuron % 3 else None
            data[str(task)] = {"seed": seed, "parent": parent, "aggregate": list(range(first, first + 4))}
            of_volume[volume].append(task)
    folder.task_vol.write_text(json.dumps(vol))
    folder.task_data.write_text(json.dumps(data))
    *train, val, test = (np.array(ids, dtype=np.int64) for ids in of_volume.values())
    none = np.zeros(0, dtype=np.int64)
    write_split(Split(np.concatenate(train) if train else none, val, test, none), folder)


class RowNetwork(Network):
    """Knows that neurons are rows along x: takes every row that holds a voxel of the seed."""

    def forward(self, image, seed, confidence, context, boundary=None, *, loops=None, **_):
        return self.sure(seed.amax(dim=-1, keepdim=True).expand_as(seed) > 0)

    def sure(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of +-3, and no uncertainty of its own."""
        return torch.where(mask, 3.0, -3.0), torch.ones(mask.shape)


class LookingNetwork(RowNetwork):
    """Takes the rows only where it sees a dark membrane between them, as no shuffled image shows it."""

    def forward(self, image, seed, confidence, context, boundary=None, *, loops=None, **_):
        sees = image[:, SLAB - 1].mean(dim=(1, 2)) < image.mean(dim=(1, 2, 3)) - 20
        rows = seed.amax(dim=-1, keepdim=True).expand_as(seed) > 0
        return self.sure((rows & sees[:, None, None, None]) | (seed > 0))


class CopyNetwork(RowNetwork):
    """Copies its last context channel, as the 2019 seed system's network learned to."""

    def forward(self, image, seed, confidence, context, boundary=None, *, loops=None, **_):
        return self.sure(context[:, -1] > 0)


class ConstantNetwork(RowNetwork):
    """Says the same of every voxel."""

    def forward(self, image, seed, confidence, context, boundary=None, *, loops=None, **_):
        return torch.full(seed.shape, -1.0), torch.ones(seed.shape)


class LookingHead:
    """A segment head: grows over contacts that are no darker than what lies behind them."""

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    def score(self, graph, seed_ids, *, kept=None) -> HeadAnswer:
        evidence, seed = contact_evidence(graph), np.zeros(65_536, bool)
        seed[list(seed_ids)] = True
        bright = evidence.pairs[evidence.score > -0.3]
        reached = reachable(bright, seed=seed, accepted=np.ones_like(seed))
        chosen = reached[graph.ids]
        return HeadAnswer(graph.ids, np.where(chosen, 0.9, 0.1), chosen)


def looking_forest() -> ForestDecider:
    """Decides over the segment graph, by how dark contacts are."""
    return ForestDecider(ModelCard("looking", "graph"), LookingHead())


def model_of(network: Network, *, loss: str = "bayes") -> VoxelDecider:
    """Whoever decides by a network that has no weights."""
    return VoxelDecider([Model(ModelCard(name=type(network).__name__, arch="lwunet", loss=loss), network)])


def tasks_of(folder: DataFolder, side: str = "test", **options: object) -> TaskSet:
    """The tasks of one side."""
    return read_tasks(folder, side, **{"limit": None, "seed": 0, "context": 2, **options})


def ask(network: Network, tasks: TaskSet) -> ModelAnswerer:
    """A network as an answerer."""
    return ModelAnswerer(model_of(network), tasks.sources)


def finished(network: Network, folder: DataFolder, out: Path, **options: Any) -> dict[str, Any]:
    """Evaluate a network that has no weights, from parts to report; returns what stands in metrics.json."""
    request = EvalRequest(folder, out, **{"loops": (1,), **options})
    tasks = tasks_of(folder, request.side, limit=request.limit)
    models = Models(model_of(network))
    panel = make_panel(request, models, tasks)
    parts = PartFolder(out / "parts", {})
    parts.open()
    score_parts(parts, tasks, panel.everyone, team=ALONE)
    return finish(Run(request, models.cards, panel, tasks, parts, out, {}))
