"""What training is fed with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ewval.core.errors import SettingError
from ewval.core.folder import DataFolder
from ewval.core.tasks.table import TaskTable
from ewval.nn.data.tasks import SampleConfig, SourceRequest, open_sources, usable
from ewval.nn.distributed import Team

ALONE = Team(0, 1, torch.device("cpu"))


def team(rank: int) -> Team:
    return Team(rank, 2, torch.device("cpu"))


def request(**samples: Any) -> SourceRequest:
    return SourceRequest(SampleConfig(**samples))


def test_an_epoch_draws_its_share_and_goes_on_where_it_was_left(tiny_data: Path) -> None:
    sources = open_sources(
        DataFolder(tiny_data), SourceRequest(SampleConfig(batch_size=2, sample_fraction=1.0)), team=ALONE
    )
    assert (sources.tasks, sources.validation_tasks, sources.rule) == (5, 2, "volume")
    whole = [batch.tasks.tolist() for batch in sources.training.epoch(0, skip=0)]
    rest = [batch.tasks.tolist() for batch in sources.training.epoch(0, skip=2)]
    assert len(whole) == len(sources.training) == 3
    assert sorted(task for batch in whole for task in batch) == [1, 2, 3, 4, 5]
    assert rest == whole[2:]
    assert [batch.tasks.tolist() for batch in sources.validation] == [[6, 7]]


def test_processes_share_training_and_validation(tiny_data: Path) -> None:
    whole = request(batch_size=2, sample_fraction=1.0)
    both = [open_sources(DataFolder(tiny_data), whole, team=team(rank)) for rank in (0, 1)]
    drawn = [[task for batch in one.training.epoch(0, skip=0) for task in batch.tasks.tolist()] for one in both]
    assert len(drawn[0]) == len(drawn[1]) == 2
    assert not set(drawn[0]) & set(drawn[1])
    checked = [[task for batch in one.validation for task in batch.tasks.tolist()] for one in both]
    assert sorted(checked[0] + checked[1]) == [6, 7]


def test_a_small_fraction_of_few_tasks_is_still_one_each(tiny_data: Path) -> None:
    little = request(batch_size=2, sample_fraction=0.01)
    assert [len(open_sources(DataFolder(tiny_data), little, team=team(rank)).training) for rank in (0, 1)] == [1, 1]


def test_a_batch_that_cannot_be_shared_evenly_is_refused(tiny_data: Path) -> None:
    with pytest.raises(SettingError, match="batch_size 3 cannot be shared evenly by 2 processes"):
        open_sources(DataFolder(tiny_data), request(batch_size=3), team=team(0))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sample_fraction": 1.5}, r"sample_fraction 1\.5 is not in \(0, 1\]"),
        ({"batch_size": 0}, "batch_size 0 is not >= 1"),
        ({"vary_seed": -1}, "vary_seed -1 is not >= 0"),
        ({"crop": 16}, "crop needs vary_seed"),
        ({"vary_seed": 2, "crop": 30}, "crop 30 is not a multiple of 4 up to 64"),
    ],
)
def test_samples_that_make_no_sense_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SampleConfig(**values)


def test_training_shows_no_answer_of_the_other_sides(tiny_data: Path) -> None:
    """Task 6 (validation) has task 5 (training) as its parent: the one may see the other, not the reverse."""
    sources = open_sources(
        DataFolder(tiny_data), SourceRequest(SampleConfig(batch_size=1, sample_fraction=1.0)), team=ALONE
    )
    first = {int(batch.tasks[0]): batch for batch in sources.training.epoch(0, skip=0)}
    assert float(first[2].context.sum()) > 0
    assert sum(float(batch.context.sum()) for batch in sources.validation) > 0


def test_only_tasks_with_an_answer_and_something_to_add(tiny_data: Path) -> None:
    table = TaskTable.load(DataFolder(tiny_data)).with_answers({1: [1], 2: [2, 3]})
    ids = np.array([1, 2], dtype=np.int64)
    assert usable(table, ids, extend_only=False).tolist() == [1, 2]
    assert usable(table, ids, extend_only=True).tolist() == [2]
