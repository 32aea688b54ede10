"""The tasks of a data folder as what training learns from and validates with."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader

from ewval.core.constants import DEFAULT_CONTEXT
from ewval.core.cube import SampleBuilder
from ewval.core.errors import MissingError, UsageError
from ewval.core.folder import DataFolder
from ewval.core.split import read_split, split_path
from ewval.core.store import PackedStore
from ewval.core.tasks import UNANSWERED, TaskTable
from ewval.nn.data import Batch, SamplerConfig, TaskDataset, VolumeSampler, collate, make_loader
from ewval.nn.distributed import Team

CACHED_VOLUMES = 48
"""Decoded volumes kept by each loader, 0.75 MiB each: the sampler's window and the ancestors around it."""
VALIDATION_BATCH = 4

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """Which samples, and in what portions.

    Args:
        context: Ancestors' masks among the inputs.
        batch_size: Samples a step, all processes together.
        sample_fraction: Share of the training tasks that one epoch draws.
        fold: Which fold's split, or None for split.json.
        extend_only: Train on tasks with something to add to the seed alone.
        workers: Processes that load samples.
        seed: Of the order.
    """

    context: int = DEFAULT_CONTEXT
    batch_size: int = 16
    sample_fraction: float = 0.25
    fold: int | None = None
    extend_only: bool = False
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.sample_fraction <= 1:
            raise ValueError(f"sample fraction {self.sample_fraction} is not in (0, 1]")


class TaskSource:
    """Batches of tasks in the sampler's order, an epoch at a time."""

    def __init__(self, dataset: TaskDataset, sampler: VolumeSampler, *, workers: int, pin: bool) -> None:
        self._sampler = sampler
        self._loader = make_loader(dataset, sampler, workers=workers, pin=pin)

    def __len__(self) -> int:
        return len(self._sampler)

    def epoch(self, number: int, *, skip: int) -> Iterable[Batch]:
        """Return the batches of epoch `number` (from 0) without the first `skip`."""
        self._sampler.set_epoch(number, batch=skip)
        return self._loader


@dataclass(frozen=True, slots=True)
class Sources:
    """What a run is fed with, and what to say about it."""

    training: TaskSource
    validation: Iterable[Batch]
    tasks: int
    validation_tasks: int
    rule: str
    split_sha256: str


def open_sources(data: DataFolder, request: SourceRequest, *, team: Team) -> Sources:
    """Return the two sides of the split in `data`, this process's share of them.

    Raises:
        MissingError: There is no split, no task table, or no task to train on.
        DamagedError: A file does not hold what it should.
        UsageError: The batch size cannot be shared by the processes alike.
    """
    if request.batch_size % team.size:
        raise UsageError(f"--batch-size {request.batch_size} cannot be shared alike by {team.size} processes")
    split, path = read_split(data, fold=request.fold), split_path(data, fold=request.fold)
    table, store = TaskTable.load(data), PackedStore(data, cache=CACHED_VOLUMES)

    def side(name: str, ids: Int64s) -> TaskDataset:
        return TaskDataset(
            SampleBuilder(table, store, context=request.context, withheld=split.withheld_from(name)), ids
        )

    training = side("train", usable(table, split.train, extend_only=request.extend_only))
    validating = side("val", usable(table, split.val, extend_only=False))
    if len(training) < team.size:
        raise MissingError(f"a task to train on in {path}", hint="`ewval index` says which tasks it dropped and why")
    return Sources(
        training=_training_source(training, request, team=team),
        validation=_validation_batches(validating, team=team),
        tasks=len(training),
        validation_tasks=len(validating),
        rule=split.rule,
        split_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def usable(table: TaskTable, ids: Int64s, *, extend_only: bool) -> Int64s:
    """Return those of `ids` that have an answer, and with `extend_only` one that adds something to the seed."""
    rows = table.rows(ids)
    wanted = table.extends[rows] if extend_only else table.answer[rows] != UNANSWERED
    return np.asarray(ids[wanted])


def _training_source(dataset: TaskDataset, request: SourceRequest, *, team: Team) -> TaskSource:
    # A small data folder still gives each process a sample an epoch.
    least = min(1.0, (team.size + 0.25) / len(dataset))
    config = SamplerConfig(
        batch_size=request.batch_size // team.size,
        fraction=max(request.sample_fraction, least),
        seed=request.seed,
        shards=team.size,
        shard=team.rank,
        streams=max(request.workers, 1),
    )
    sampler = VolumeSampler(dataset.volumes, config)
    return TaskSource(dataset, sampler, workers=request.workers, pin=team.device.type == "cuda")


def _validation_batches(dataset: TaskDataset, *, team: Team) -> DataLoader[Batch]:
    # In the order of the volumes, each of which is then decoded once; every sample once, by one of the processes.
    mine = np.argsort(dataset.volumes, kind="stable")[team.rank :: team.size]
    batches = [mine[i : i + VALIDATION_BATCH].tolist() for i in range(0, len(mine), VALIDATION_BATCH)]
    return DataLoader(dataset, batch_sampler=batches, collate_fn=collate)  # type: ignore[arg-type]  # yields `Batch`
