"""Work shared by the processes of torchrun: each does a part, the first gathers what they found as it is wanted."""

import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch.distributed.rendezvous import rendezvous

from ewval.nn.devices import pick_device
from ewval.nn.distributed import is_distributed

Item = TypeVar("Item")
PATIENCE = timedelta(days=7)
"""How long a process waits for another: the slowest part of a long run may take days."""


@dataclass(frozen=True, slots=True)
class Shards:
    """This process's place among `size`; `store` is what they share, None for a process alone."""

    rank: int = 0
    size: int = 1
    store: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this process fetches, gathers and prints."""
        return self.rank == 0

    def part(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's share of `items`, one piece, so that neighbours stay together."""
        begin, end = (len(items) * place // self.size for place in (self.rank, self.rank + 1))
        return items[begin:end]

    def put(self, key: str, value: object) -> None:
        """Leave `value`, of classes of our own, for the others."""
        if self.store is not None:
            self.store.set(f"ewval/{key}", pickle.dumps(value))

    def has(self, key: str) -> bool:
        """Whether another process has left something under `key`."""
        return self.store is not None and bool(self.store.check([f"ewval/{key}"]))

    def get(self, key: str) -> Any:
        """Return what was left under `key`, once it is there."""
        return pickle.loads(self.store.get(f"ewval/{key}"))


def own_device(text: str) -> torch.device:
    """Return the device that `text` names; of several GPUs each process of torchrun takes its own.

    Raises:
        UsageError: `text` names no device.
        DeviceError: The device is not there.
    """
    device = pick_device(text)
    if device.type == "cuda" and device.index is None and is_distributed():
        return pick_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    return device


def open_shards() -> Shards:
    """Return this process's place, from torchrun's environment; alone without it."""
    if not is_distributed():
        return Shards()
    store, rank, size = next(iter(rendezvous("env://", timeout=PATIENCE)))
    return Shards(rank, size, store)
