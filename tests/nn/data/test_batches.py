import json
import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ewval.core.errors import UsageError
from ewval.core.index.build import IndexRequest, index
from ewval.core.tasks.samples import SampleBuilder
from ewval.core.tasks.table import TaskTable
from ewval.core.volumes.store import PackedStore
from ewval.nn.data.batches import (
    Batch,
    SamplerConfig,
    TaskDataset,
    VolumeSampler,
    boundary_of,
    collate,
    collate_bytes,
    make_loader,
)
from worlds import MemoryStore, make_pair, write_world

VOLUMES = st.lists(st.integers(0, 9), min_size=1, max_size=120).map(np.array)
SHAPES = st.fixed_dictionaries(
    {
        "batch_size": st.integers(1, 7),
        "fraction": st.sampled_from([1.0, 0.5, 0.25, 0.3]),
        "seed": st.integers(0, 3),
        "streams": st.integers(1, 3),
        "mix": st.integers(1, 4),
    }
)


def flat(batches: list[list[int]]) -> list[int]:
    return [position for batch in batches for position in batch]


def memory_dataset(tasks: int = 10) -> TaskDataset:
    pairs = [make_pair(i, parent=i - 1 or None, volume=100 + i % 3, place=None) for i in range(1, tasks + 1)]
    return TaskDataset(SampleBuilder(TaskTable.from_records(pairs), MemoryStore()), range(1, tasks + 1))


def test_a_batch_holds_the_samples_as_floats() -> None:
    dataset = memory_dataset()
    samples = [dataset[i] for i in (4, 1)]
    batch = collate(samples)
    assert batch.tasks.tolist() == [5, 2]
    assert len(batch) == 2
    assert batch.context.shape == (2, 2, 64, 64, 64)
    for name in ("image", "seed", "confidence", "context", "target"):
        tensor = getattr(batch, name)
        assert tensor.dtype == torch.float32
        expected = np.stack([getattr(sample, name) for sample in samples]).astype(np.float32)
        assert np.array_equal(tensor.numpy(), expected), name
    assert np.array_equal(batch.boundary.numpy(), np.stack([boundary_of(s.labels) for s in samples]))


def test_a_batch_has_targets_only_where_every_sample_has_one() -> None:
    pairs = [make_pair(1), make_pair(2, answer=None)]
    builder = SampleBuilder(TaskTable.from_records(pairs), MemoryStore())
    assert collate([builder.build(1), builder.build(2)]).target is None


def test_bytes_carry_the_same_values_as_floats() -> None:
    dataset = memory_dataset(3)
    samples = [dataset[0], dataset[2]]
    small, large = collate_bytes(samples), collate(samples)
    assert small.image.dtype == torch.uint8
    moved = small.to("cpu")
    for field in fields(Batch):
        one, other = getattr(moved, field.name), getattr(large, field.name)
        assert (one is None and other is None) or torch.equal(one, other), field.name


def test_a_boundary_is_where_a_neighbour_differs_or_nothing_is() -> None:
    labels = np.array([[[1, 1, 2, 2, 2, 0, 0, 2, 2, 2]]], dtype=np.uint16)
    assert boundary_of(labels)[0, 0].astype(int).tolist() == [0, 1, 1, 0, 1, 1, 1, 1, 0, 0]


@given(st.integers(0, 5))
def test_a_boundary_is_that_of_six_neighbours_in_any_direction(seed: int) -> None:
    labels = np.random.Generator(np.random.PCG64(seed)).integers(0, 3, (4, 3, 5)).astype(np.uint16)
    expected = np.zeros(labels.shape, dtype=bool)
    for here in np.ndindex(*labels.shape):
        near = [tuple(np.add(here, step)) for step in (*np.eye(3, dtype=int), *-np.eye(3, dtype=int))]
        inside = [n for n in near if all(0 <= i < edge for i, edge in zip(n, labels.shape, strict=True))]
        expected[here] = labels[here] == 0 or any(labels[n] != labels[here] for n in inside)
    assert np.array_equal(boundary_of(labels), expected)


@given(VOLUMES, SHAPES)
def test_an_epoch_sees_every_task_of_its_draw_once(volumes: np.ndarray, shape: dict[str, Any]) -> None:
    sampler = VolumeSampler(volumes, SamplerConfig(**shape))
    batches = sampler.batches(0)
    seen = flat(batches)
    assert len(seen) == len(set(seen)) == max(1, round(shape["fraction"] * len(volumes)))
    assert len(batches) == len(sampler)
    assert all(len(batch) == shape["batch_size"] for batch in batches[:-1])


@given(VOLUMES, SHAPES)
def test_epochs_go_on_where_the_last_one_ended(volumes: np.ndarray, shape: dict[str, Any]) -> None:
    sampler = VolumeSampler(volumes, SamplerConfig(**shape))
    drawn = len(flat(sampler.batches(0)))
    epochs = -(-len(volumes) // drawn)
    seen = [position for epoch in range(epochs) for position in flat(sampler.batches(epoch))]
    assert set(seen) == set(range(len(volumes)))
    assert sorted(seen[: len(volumes) // drawn * drawn]) == sorted(set(seen[: len(volumes) // drawn * drawn]))


def test_two_epochs_of_half_the_tasks_see_each_exactly_once() -> None:
    volumes = np.repeat(np.arange(20), 30)
    sampler = VolumeSampler(volumes, SamplerConfig(fraction=0.5))
    assert sorted(flat(sampler.batches(0)) + flat(sampler.batches(1))) == list(range(600))


def test_two_epochs_of_all_tasks_see_each_once_an_epoch_in_another_order() -> None:
    sampler = VolumeSampler(np.repeat(np.arange(20), 30), SamplerConfig())
    first, second = flat(sampler.batches(0)), flat(sampler.batches(1))
    assert sorted(first) == sorted(second) == list(range(600))
    assert first != second


@given(VOLUMES, SHAPES, st.integers(2, 3), st.integers(0, 4))
def test_shards_are_disjoint_and_equal_in_length(
    volumes: np.ndarray, shape: dict[str, Any], shards: int, epoch: int
) -> None:
    samplers = [VolumeSampler(volumes, SamplerConfig(**shape, shards=shards, shard=i)) for i in range(shards)]
    parts = [flat(sampler.batches(epoch)) for sampler in samplers]
    assert len({len(part) for part in parts}) == 1
    assert len({len(sampler.batches(epoch)) for sampler in samplers}) == 1
    together = [position for part in parts for position in part]
    assert len(together) == len(set(together))
    assert len(together) > shape["fraction"] * len(volumes) - shards - 0.5


@pytest.mark.parametrize("streams", [1, 3])
def test_each_volume_is_in_use_once_and_by_one_worker(streams: int) -> None:
    """With a cache of the window's size each worker decodes each of its volumes once."""
    volumes = np.repeat(np.arange(60), 30)
    config = SamplerConfig(batch_size=10, streams=streams, mix=8)
    decoded = 0
    batches = VolumeSampler(volumes, config).batches(0)
    for stream in range(streams):
        cache: list[int] = []
        for position in flat(batches[stream::streams]):
            volume = int(volumes[position])
            decoded += volume not in cache
            cache = [volume, *(v for v in cache if v != volume)][: config.mix + 2]
    assert decoded <= 60 + 3 * (streams - 1)  # two neighbours may share a volume, and the last batches are mixed


def test_batches_mix_the_tasks_of_many_volumes() -> None:
    volumes = np.repeat(np.arange(200), 30)
    batches = VolumeSampler(volumes, SamplerConfig(batch_size=16, mix=32)).batches(0)
    assert np.mean([len(set(volumes[batch].tolist())) for batch in batches]) > 10


def test_the_order_depends_on_seed_and_epoch_and_nothing_else() -> None:
    volumes = np.repeat(np.arange(7), 5)
    first = VolumeSampler(volumes, SamplerConfig(batch_size=4, seed=3)).batches(2)
    assert VolumeSampler(volumes, SamplerConfig(batch_size=4, seed=3)).batches(2) == first
    assert VolumeSampler(volumes, SamplerConfig(batch_size=4, seed=4)).batches(2) != first
    assert flat(first)[:6] == [4, 3, 19, 12, 13, 34]  # the same on every machine


def test_an_interrupted_epoch_goes_on_with_the_same_batches() -> None:
    volumes = np.repeat(np.arange(9), 6)
    config = SamplerConfig(batch_size=4, seed=1, streams=2)
    sampler = VolumeSampler(volumes, config)
    sampler.set_epoch(3)
    whole = list(sampler)
    state = json.loads(json.dumps(sampler.state_dict(batch=5)))
    resumed = VolumeSampler(volumes, SamplerConfig(batch_size=4, seed=1, streams=1))  # fewer workers now
    resumed.load_state_dict(state)
    assert list(resumed) == whole[5:]
    resumed.set_epoch(4)
    assert list(resumed) == sampler.batches(4)


def test_a_state_of_other_settings_cannot_be_continued() -> None:
    volumes = np.arange(10)
    state = VolumeSampler(volumes, SamplerConfig(batch_size=4)).state_dict(batch=1)
    with pytest.raises(UsageError, match="differ from the run to resume"):
        VolumeSampler(volumes, SamplerConfig(batch_size=5)).load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"batch_size": 0}, "at least 1"),
        ({"streams": 0}, "at least 1"),
        ({"fraction": 0.0}, r"sample fraction 0.0 is not in \(0, 1\]"),
        ({"fraction": 1.5}, "sample fraction 1.5"),
        ({"shards": 2, "shard": 2}, "shard 2 of 2 does not exist"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        SamplerConfig(**options)


def test_no_tasks_are_no_batches() -> None:
    assert list(VolumeSampler(np.empty(0, dtype=np.int64), SamplerConfig())) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_yields_every_task_of_a_data_folder(tmp_path: Path, workers: int) -> None:
    pairs = [make_pair(i, parent=i - 1 or None, volume=100 + i % 3, cell=i, seed=(i % 8 + 1,)) for i in range(1, 13)]
    folder = write_world(tmp_path, pairs)
    index(IndexRequest(folder))
    table = TaskTable.load(folder)
    dataset = TaskDataset(SampleBuilder(table, PackedStore(folder)), table.ids)
    sampler = VolumeSampler(dataset.volumes, SamplerConfig(batch_size=5, streams=max(workers, 1)))
    loader = make_loader(dataset, sampler, workers=workers)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = list(loader)
        assert sorted(task for batch in batches for task in batch.tasks.tolist()) == list(range(1, 13))
        assert {batch.image.dtype for batch in batches} == {torch.uint8}
    del loader


def test_a_dataset_travels_to_a_worker_without_its_table(tmp_path: Path) -> None:
    folder = write_world(tmp_path, [make_pair(i, cell=i) for i in range(1, 400)])
    index(IndexRequest(folder))
    dataset = TaskDataset(SampleBuilder(TaskTable.load(folder), PackedStore(folder)), [1, 2])
    travelling = pickle.dumps(dataset)
    assert len(travelling) < 3000
    assert np.array_equal(pickle.loads(travelling)[1].seed, dataset[1].seed)
