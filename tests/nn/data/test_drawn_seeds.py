"""Samples with drawn seeds: the same again for the same position, others each round, and no other task's answer."""

from pathlib import Path

import numpy as np
import pytest

from ewval.core.folder import DataFolder
from ewval.core.tasks.samples import SampleBuilder
from ewval.core.tasks.table import TaskTable
from ewval.core.volumes.store import PackedStore
from ewval.nn.data.batches import collate
from ewval.nn.data.drawn_seeds import PartConfig, PartDataset


def parts(data: Path, *, tasks: tuple[int, ...] = (1, 2, 3), crop: int | None = 16, draws: int = 2) -> PartDataset:
    folder = DataFolder(data)
    builder = SampleBuilder(TaskTable.load(folder), PackedStore(folder), context=0)
    return PartDataset(builder, tasks, PartConfig(draws, crop))


def test_a_position_is_one_sample_and_the_next_round_another(tiny_data: Path) -> None:
    first, again = parts(tiny_data), parts(tiny_data)
    assert len(first) == 6
    assert first.volumes.tolist() == [7] * 6
    for position in (0, 5, 6, 13):
        one, other = first[position], again[position]
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.seed, other.seed)
    rounds = [first[position].seed.tobytes() + first[position].image.tobytes() for position in range(0, 60, 6)]
    assert len(set(rounds)) > 5


def test_a_sample_shows_a_part_the_rest_and_what_touches(tiny_data: Path) -> None:
    whole = parts(tiny_data, tasks=(1, 2, 3, 4, 5), crop=None)
    # Every task is the parent of the next one, so all belong to one cell: 1 to 6 in a row of blocks.
    assert whole.neuron(3).tolist() == [1, 2, 3, 4, 5, 6]
    for position in range(20):
        sample = whole[position]
        assert sample.target is not None
        assert sample.touching is not None
        assert set(np.unique(sample.labels[sample.target])) == {1, 2, 3, 4, 5, 6}
        assert not (sample.seed & ~sample.target).any()
        assert not (sample.seed & (sample.touching > 0)).any()
        assert sample.confidence[sample.seed].tolist() == [1.0] * int(sample.seed.sum())
        assert sample.context.shape == (0, 64, 64, 64)


def test_crops_lie_where_the_seed_touches_something(tiny_data: Path) -> None:
    cropped = parts(tiny_data)
    for position in range(30):
        sample = cropped[position]
        assert sample.image.shape == sample.seed.shape == (16, 16, 16)
        assert sample.seed.any()
        assert sample.touching is not None
        assert sample.touching.any()
    batch = collate([cropped[0], cropped[1]])
    assert batch.touching is not None
    assert batch.touching.shape == (2, 16, 16, 16)


def test_an_answer_of_another_task_moves_nothing(tiny_data: Path) -> None:
    plain, changed = parts(tiny_data), parts(tiny_data)
    table = changed.builder.table.with_answers({7: [1, 2, 3, 40], 8: [1, 50]})
    changed = PartDataset(SampleBuilder(table, changed.builder.store, context=0), (1, 2, 3), changed.config)
    for position in range(12):
        for name in ("image", "seed", "target", "touching"):
            np.testing.assert_array_equal(getattr(plain[position], name), getattr(changed[position], name))


@pytest.mark.parametrize("values", [{"draws": 0}, {"draws": 1, "crop": 30}, {"draws": 1, "crop": 68}])
def test_settings_without_sense_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"nothing to learn from|is not a multiple of 4 up to 64"):
        PartConfig(**values)
