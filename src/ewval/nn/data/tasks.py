"""The tasks of a data folder as what training learns from and validates with."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader

from ewval.core.constants import DEFAULT_CONTEXT
from ewval.core.errors import MissingError, SettingError
from ewval.core.folder import DataFolder
from ewval.core.index.split import read_split, split_path
from ewval.core.tasks.samples import SampleBuilder
from ewval.core.tasks.table import UNANSWERED, TaskTable
from ewval.core.volumes.store import PackedStore
from ewval.nn.data.batches import Batch, SamplerConfig, Samples, TaskDataset, VolumeSampler, collate, make_loader
from ewval.nn.data.drawn_seeds import PartConfig, PartDataset
from ewval.nn.distributed import Team

CACHED_VOLUMES = 48
"""Decoded volumes kept by each loader, 0.75 MiB each: the sampler's window and the ancestors around it."""
VALIDATION_BATCH = 4
FITTING_SEEDS = 200
"""Seeds to fit a rule on, where there are enough tasks: half a minute on one core."""
TUNING_TASKS = 24
"""To choose a threshold on, where there are enough: a minute or two on one core."""
MOST_DRAWS = 4
"""Of them from one answer."""

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SampleConfig:
    """What a sample is, and how many make a step and an epoch.

    Args:
        batch_size: Samples a step, all processes together.
        sample_fraction: Share of the training tasks that one epoch draws.
        extend_only: Train on tasks with something to add to the seed alone.
        vary_seed: Seeds drawn from each answer an epoch, any connected part of it; 0 keeps the tasks' own.
        crop: Packed voxels along the edge of a sample with a drawn seed; None for the whole cube.
    """

    batch_size: int = 16
    sample_fraction: float = 0.25
    extend_only: bool = False
    vary_seed: int = 0
    crop: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size {self.batch_size} is not >= 1")
        if not 0 < self.sample_fraction <= 1:
            raise ValueError(f"sample_fraction {self.sample_fraction} is not in (0, 1]")
        if self.vary_seed < 0:
            raise ValueError(f"vary_seed {self.vary_seed} is not >= 0")
        if self.crop is not None and not self.vary_seed:
            raise ValueError("crop needs vary_seed: only drawn seeds are cropped around")
        if self.vary_seed:
            self.parts(0)

    def parts(self, seed: int) -> PartConfig:
        """Return how seeds are drawn."""
        return PartConfig(self.vary_seed, self.crop, seed)


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """Which samples, from where, in which order.

    Args:
        samples: What a sample is.
        context: Ancestors' masks among the inputs.
        fold: Which fold's split, or None for split.json.
        workers: Processes that load samples.
        seed: Of the order.
    """

    samples: SampleConfig = field(default_factory=SampleConfig)
    context: int = DEFAULT_CONTEXT
    fold: int | None = None
    workers: int = 0
    seed: int = 0


class TaskSource:
    """Batches of tasks in the sampler's order, an epoch at a time."""

    def __init__(self, dataset: Samples, sampler: VolumeSampler, *, workers: int, pin: bool) -> None:
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
    cells: tuple[int, ...]
    volumes: tuple[int, ...]


def open_sources(data: DataFolder, request: SourceRequest, *, team: Team) -> Sources:
    """Return the two sides of the split in `data`, this process's share of them.

    Raises:
        MissingError: There is no split, no task table, or no task to train on.
        DamagedError: A file does not hold what it should.
        UsageError: The batch size cannot be shared by the processes alike.
    """
    samples = request.samples
    if samples.batch_size % team.size:
        raise SettingError(
            f"{samples.batch_size} cannot be shared evenly by {team.size} processes", setting="batch_size"
        )
    split, path = read_split(data, fold=request.fold), split_path(data, fold=request.fold)
    table, store = TaskTable.load(data), PackedStore(data, cache=CACHED_VOLUMES)

    def side(name: str, ids: Int64s) -> Samples:
        builder = SampleBuilder(table, store, context=request.context, withheld=split.withheld_from(name))
        return (
            PartDataset(builder, ids, samples.parts(request.seed)) if samples.vary_seed else TaskDataset(builder, ids)
        )

    training = side("train", usable(table, split.train, extend_only=samples.extend_only))
    validating = side("val", usable(table, split.val, extend_only=False))
    if len(training.task_ids) < team.size:
        raise MissingError(f"a task to train on in {path}", hint="`ewval index` says which tasks it dropped and why")
    rows = table.rows(np.union1d(training.task_ids, validating.task_ids))
    return Sources(
        training=_training_source(training, request, team=team),
        validation=_validation_batches(validating, team=team),
        tasks=len(training.task_ids),
        validation_tasks=len(validating.task_ids),
        rule=split.rule,
        split_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        cells=tuple(np.unique(table.group[rows]).tolist()),
        volumes=tuple(np.unique(table.volume[rows]).tolist()),
    )


def fitting_parts(data: DataFolder, request: SourceRequest) -> PartDataset:
    """Return whole cubes with drawn seeds to fit a rule on: the validation side's, the train side's where it is empty.

    Raises:
        MissingError: There is no split, or no task table.
        DamagedError: A file does not hold what it should.
    """
    split, table = read_split(data, fold=request.fold), TaskTable.load(data)
    ids = usable(table, split.val, extend_only=False)
    if not len(ids):
        ids = usable(table, split.train, extend_only=False)
    builder = SampleBuilder(table, PackedStore(data, cache=CACHED_VOLUMES), context=request.context)
    draws = min(max(FITTING_SEEDS // max(len(ids), 1), 1), MOST_DRAWS)
    return PartDataset(builder, ids, PartConfig(draws, seed=request.seed))


def tuning_tasks(parts: PartDataset, *, seed: int) -> Int64s:
    """Return the tasks behind `parts` that add something to their seeds, ascending; some of them, where they are many.

    Args:
        parts: As `fitting_parts` gives them.
        seed: Of the choice.
    """
    ids = usable(parts.builder.table, parts.task_ids, extend_only=True)
    return np.sort(np.random.default_rng(seed).permutation(ids)[:TUNING_TASKS])


def usable(table: TaskTable, ids: Int64s, *, extend_only: bool) -> Int64s:
    """Return those of `ids` that have an answer, and with `extend_only` one that adds something to the seed."""
    rows = table.rows(ids)
    wanted = table.extends[rows] if extend_only else table.answer[rows] != UNANSWERED
    return np.asarray(ids[wanted])


def _training_source(dataset: Samples, request: SourceRequest, *, team: Team) -> TaskSource:
    # A small data folder still gives each process a sample an epoch.
    least = min(1.0, (team.size + 0.25) / len(dataset))
    config = SamplerConfig(
        batch_size=request.samples.batch_size // team.size,
        fraction=max(request.samples.sample_fraction, least),
        seed=request.seed,
        shards=team.size,
        shard=team.rank,
        streams=max(request.workers, 1),
        turns=bool(request.samples.vary_seed),
    )
    sampler = VolumeSampler(dataset.volumes, config)
    return TaskSource(dataset, sampler, workers=request.workers, pin=team.device.type == "cuda")


def _validation_batches(dataset: Samples, *, team: Team) -> DataLoader[Batch]:
    # In the order of the volumes, each of which is then decoded once; every sample once, by one of the processes.
    mine = np.argsort(dataset.volumes, kind="stable")[team.rank :: team.size]
    batches = [mine[i : i + VALIDATION_BATCH].tolist() for i in range(0, len(mine), VALIDATION_BATCH)]
    return DataLoader(dataset, batch_sampler=batches, collate_fn=collate)  # type: ignore[arg-type]  # yields `Batch`
