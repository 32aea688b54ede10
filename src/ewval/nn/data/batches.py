"""Samples as batches of tensors, and the order in which they are learnt from.

Volumes are decoded, tasks are learnt: the sampler keeps a volume's tasks close together in time, so that each volume
is decoded once, and yet mixes the tasks of many volumes in every batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ewval.core.errors import UsageError
from ewval.core.tasks.samples import Sample, SampleBuilder
from ewval.core.workers import can_share

Int64s = npt.NDArray[np.int64]

DEFAULT_MIX = 32
"""Volumes whose tasks are mixed."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """n samples as tensors, axes n, z, y, x.

    A loader hands out the same values as bytes, a quarter of what has to pass between processes and to the device;
    `to` makes them float32.

    Args:
        tasks: int64 [n], task ids.
        image: float32 [n, 64, 64, 64], 0 black to 255.
        seed: float32 [n, 64, 64, 64], 0 or 1.
        confidence: float32 [n, 64, 64, 64], 1 on the seed, 10 elsewhere.
        context: float32 [n, p, 64, 64, 64], 0 or 1, oldest ancestor first.
        boundary: float32 [n, 64, 64, 64], 1 where the segment id is 0 or differs from a face neighbour's.
        target: float32 [n, 64, 64, 64], 0 or 1; None unless every sample has one.
        touching: float32 [n, 64, 64, 64], number of the segment that touches the seed, from 1 on, near the seed; 0
            elsewhere. None unless every sample has it.
    """

    tasks: torch.Tensor
    image: torch.Tensor
    seed: torch.Tensor
    confidence: torch.Tensor
    context: torch.Tensor
    boundary: torch.Tensor
    target: torch.Tensor | None
    touching: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.tasks)

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on `device`, every array float32."""
        moved = self._each(lambda tensor: tensor.to(device, non_blocking=True))
        return moved._each(lambda tensor: tensor if tensor.dtype == torch.int64 else tensor.to(torch.float32))

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory; the data loader calls this."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Batch":
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(tensor) for name, tensor in tensors.items() if tensor is not None})


def collate(samples: Sequence[Sample]) -> Batch:
    """Return `samples`, at least one, as one batch of float32."""
    return collate_bytes(samples).to("cpu")


def collate_bytes(samples: Sequence[Sample]) -> Batch:
    """Return `samples`, at least one, as one batch of uint8, in which all its values are exact."""
    targets = [sample.target for sample in samples if sample.target is not None]
    touching = [sample.touching for sample in samples if sample.touching is not None]
    return Batch(
        tasks=torch.tensor([sample.task for sample in samples], dtype=torch.int64),
        image=_bytes([sample.image for sample in samples]),
        seed=_bytes([sample.seed for sample in samples]),
        confidence=_bytes([sample.confidence for sample in samples]),
        context=_bytes([sample.context for sample in samples]),
        boundary=_bytes([boundary_of(sample.labels) for sample in samples]),
        target=_bytes(targets) if len(targets) == len(samples) else None,
        touching=_bytes(touching) if len(touching) == len(samples) else None,
    )


def _bytes(arrays: Sequence[npt.NDArray[Any]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays, dtype=np.uint8, casting="unsafe"))


def boundary_of(labels: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
    """Return where a segment ends: its id is 0, or differs from that of one of the six face neighbours.

    Args:
        labels: uint16 [z, y, x].

    Returns:
        bool of the same shape.
    """
    boundary = np.equal(labels, 0)
    for axis in range(labels.ndim):
        low, high = _pair(axis, labels.ndim)
        differs = labels[low] != labels[high]
        boundary[low] |= differs
        boundary[high] |= differs
    return boundary


def _pair(axis: int, ndim: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    before, after = [slice(None)] * ndim, [slice(None)] * ndim
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    return tuple(before), tuple(after)


class Samples(Protocol):
    """Samples by position, each of some volume."""

    @property
    def task_ids(self) -> Int64s:
        """The tasks that they come from."""

    @property
    def volumes(self) -> Int64s:
        """Volume of each sample, int64 [n]."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, position: int, /) -> Sample:
        """Return a sample."""


class TaskDataset(Dataset[Sample]):
    """The samples of `task_ids`, by position."""

    def __init__(self, builder: SampleBuilder, task_ids: npt.ArrayLike) -> None:
        self.builder, self.task_ids = builder, np.asarray(task_ids, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.task_ids)

    def __getitem__(self, index: int) -> Sample:
        return self.builder.build(int(self.task_ids[index]))

    @property
    def volumes(self) -> Int64s:
        """Volume of each sample, int64 [n]."""
        table = self.builder.table
        return np.asarray(table.volume[table.rows(self.task_ids)])


@dataclass(frozen=True, slots=True)
class SamplerConfig:
    """How an order of samples is drawn; the same values give the same order on every machine.

    Args:
        batch_size: Samples in a batch.
        fraction: Share of the samples that one epoch draws; the next epoch goes on where this one ends, so 1/fraction
            epochs see every sample once.
        seed: Of the order.
        shards: Processes that share an epoch.
        shard: Which of them this is.
        streams: Worker processes of the loader; consecutive batches come from volumes of different streams, so that
            each volume is decoded by one worker.
        mix: Volumes whose tasks are mixed.
        turns: Positions of a later epoch go on counting, by the number of samples an epoch: for data sets whose samples
            are drawn anew each time.

    Raises:
        UsageError: A value that makes no sense.
    """

    batch_size: int = 16
    fraction: float = 1.0
    seed: int = 0
    shards: int = 1
    shard: int = 0
    streams: int = 1
    mix: int = DEFAULT_MIX
    turns: bool = False

    def __post_init__(self) -> None:
        if min(self.batch_size, self.shards, self.streams, self.mix) < 1:
            raise UsageError("batch size, shards, streams and mix are at least 1")
        if not 0 < self.fraction <= 1:
            raise UsageError(f"sample fraction {self.fraction} is not in (0, 1]")
        if not 0 <= self.shard < self.shards:
            raise UsageError(f"shard {self.shard} of {self.shards} does not exist")


class VolumeSampler(Sampler[list[int]]):
    """Batches of positions in a dataset, ordered by volume; for `DataLoader(batch_sampler=...)`.

    The volumes stand on a circle in an order drawn once; an epoch takes the next arc of it and mixes it anew. An arc
    is a multiple of `shards` long: what does not divide is left to the next epoch, so no sample is ever repeated within
    an epoch to make shards equal, and none is left out for good.

    Args:
        volumes: int64 [n], the volume of each sample.
        config: How the order is drawn.
    """

    def __init__(self, volumes: npt.ArrayLike, config: SamplerConfig) -> None:
        self.volumes, self.config = np.asarray(volumes, dtype=np.int64), config
        self.epoch, self.batch = 0, 0
        self._circle = _by_volume(self.volumes, _generator(config.seed))

    def __len__(self) -> int:
        return -(-self._shard_length // self.config.batch_size)

    @property
    def _shard_length(self) -> int:
        drawn = round(self.config.fraction * len(self.volumes))
        return min(max(drawn, 1), len(self.volumes)) // self.config.shards

    def set_epoch(self, epoch: int, *, batch: int = 0) -> None:
        """Draw the order of `epoch` (0 the first) at the next iteration, and begin it at `batch`."""
        self.epoch, self.batch = epoch, batch

    def __iter__(self) -> Iterator[list[int]]:
        begin, self.batch = self.batch, 0  # only the epoch that is resumed begins late
        return iter(self.batches(self.epoch)[begin:])

    def batches(self, epoch: int) -> list[list[int]]:
        """Return all batches of an epoch for this shard."""
        mine = self._arc(epoch)
        generator = _generator(self.config.seed, epoch + 1, self.config.shard)
        streams = [self._mixed(part, generator) for part in np.array_split(mine, self.config.streams)]
        first = epoch * len(self.volumes) if self.config.turns else 0
        return [[first + position for position in batch] for batch in _deal(streams, self.config.batch_size)]

    def _arc(self, epoch: int) -> Int64s:
        length = self._shard_length
        begin = epoch * length * self.config.shards + self.config.shard * length
        return self._circle[(begin + np.arange(length)) % max(len(self._circle), 1)]

    def _mixed(self, part: Int64s, generator: np.random.Generator) -> Int64s:
        # A sliding window: each task comes up to `mix` volumes later than its volume's turn, so at any time only
        # the volumes of one window are in use.
        ordered = part[_by_volume(self.volumes[part], generator)]
        turn = np.cumsum(np.diff(self.volumes[ordered], prepend=self.volumes[ordered[:1]]) != 0)
        return ordered[np.argsort(turn + self.config.mix * generator.random(len(part)), kind="stable")]

    def state_dict(self, *, batch: int) -> dict[str, Any]:
        """Return what resumes this epoch after its first `batch` batches.

        The loader reads ahead of what has been learnt from, so the trainer says how far it is.
        """
        return {
            "epoch": self.epoch,
            "batch": batch,
            "config": {f.name: getattr(self.config, f.name) for f in fields(self.config)},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` stands, in the same order, whatever the number of workers is now.

        Raises:
            UsageError: The state is of other settings than these, so that its order cannot be continued.
        """
        config = SamplerConfig(**state["config"] | {"shard": self.config.shard, "streams": self.config.streams})
        if config != self.config:
            raise UsageError("batch size, sample fraction, seed or number of processes differ from the run to resume")
        self.config = replace(config, streams=state["config"]["streams"])
        self.set_epoch(state["epoch"], batch=state["batch"])


def _generator(*words: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(words))


def _by_volume(volumes: Int64s, generator: np.random.Generator) -> Int64s:
    """Return the positions with the volumes shuffled and each volume's positions together, shuffled."""
    distinct, which = np.unique(volumes, return_inverse=True)
    rank = generator.permutation(len(distinct))[which]
    return np.lexsort((generator.random(len(volumes)), rank)).astype(np.int64)


def _deal(streams: list[Int64s], size: int) -> list[list[int]]:
    """Return batches that come from the streams in turn; what fills no batch is put together at the end."""
    whole = [[part[i : i + size] for i in range(0, len(part) - size + 1, size)] for part in streams]
    rounds = range(max(map(len, whole)))
    dealt = [stream[turn] for turn in rounds for stream in whole if turn < len(stream)]
    rest = np.concatenate([part[len(part) // size * size :] for part in streams])
    return [batch.tolist() for batch in [*dealt, *(rest[i : i + size] for i in range(0, len(rest), size))]]


def make_loader(dataset: Samples, sampler: VolumeSampler, *, workers: int = 0, pin: bool = False) -> DataLoader[Batch]:
    """Return batches in the sampler's order; workers live as long as the loader and keep their decoded volumes."""
    workers = workers if workers and can_share() else 0
    return DataLoader(
        dataset,  # type: ignore[arg-type]  # the loader yields what `collate` returns
        batch_sampler=sampler,
        collate_fn=collate_bytes,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin,
    )
