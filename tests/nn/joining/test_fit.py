"""How a model of segments comes to decide: the rule and the threshold, on tasks of the data folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ewval.core.folder import DataFolder
from ewval.core.models.card import ModelCard
from ewval.core.segments.views import VolumeSource
from ewval.nn.data.tasks import SampleConfig, SourceRequest, fitting_parts, tuning_tasks
from ewval.nn.joining.fit import fit_joining, tune_least
from ewval.nn.joining.rule import JoinRule
from ewval.nn.networks.network import Network
from ewval.nn.weights import Model


class KnowsNothing(Network):
    """Says one in two of every voxel."""

    def prepare(self, image: Tensor, seed: Tensor, context: Tensor, boundary: Tensor | None) -> Tensor:
        return torch.zeros_like(image).unsqueeze(1)

    def step(self, fixed: Tensor, seed: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        return fixed, torch.ones_like(fixed)


MODEL = Model(ModelCard("nothing", "lwunet", loss="bce", context=0, loops=1), KnowsNothing())
REQUEST = SourceRequest(SampleConfig(vary_seed=2), context=0)


def test_the_validation_side_is_fitted_on_where_there_is_one(tiny_data: Path) -> None:
    parts = fitting_parts(DataFolder(tiny_data), REQUEST)
    assert parts.task_ids.tolist() == [6, 7]
    assert len(parts) == 8
    assert tuning_tasks(parts, seed=0).tolist() == [6, 7]


def test_a_network_that_knows_nothing_leaves_the_share_of_what_is_true(tiny_data: Path) -> None:
    folder = DataFolder(tiny_data)
    parts = fitting_parts(folder, REQUEST)
    rules = fit_joining(MODEL, parts, [VolumeSource(folder)])
    assert list(rules) == ["packed"]  # no volume as downloaded is at hand
    assert rules["packed"].network == 0
    assert rules["packed"].probability(np.zeros(1), np.array([-0.5]))[0] < 0.5


@pytest.mark.parametrize(("offset", "expected"), [(-0.7, 0.3), (0.5, 0.6), (-9.0, 0.9)])
def test_the_threshold_is_the_highest_that_reaches_the_best_score(
    tiny_data: Path, offset: float, expected: float
) -> None:
    """All candidates are alike: below their probability everything joins, above it nothing does."""
    folder = DataFolder(tiny_data)
    parts = fitting_parts(folder, REQUEST)
    rule, tasks = JoinRule(0.0, 0.0, offset), tuning_tasks(parts, seed=0)
    assert tune_least(MODEL, rule, parts.builder, tasks, VolumeSource(folder), loops=2) == expected
