"""The processes of torchrun, which share the tasks of a prediction."""

from datetime import timedelta

import torch
from torch.distributed.rendezvous import rendezvous

from ewval.core.predict.shards import ALONE, Shards
from ewval.core.torchrun import place
from ewval.nn.devices import pick_device

PATIENCE = timedelta(days=7)
"""How long a process waits for another: the slowest part of a long run may take days."""


def own_device(text: str) -> torch.device:
    """Return the device that `text` names; of several GPUs each process of torchrun takes its own.

    Raises:
        UsageError: `text` names no device.
        DeviceError: The device is not there.
    """
    device = pick_device(text)
    if device.type == "cuda" and device.index is None and place().is_shared:
        return pick_device(f"cuda:{place().local_rank}")
    return device


def open_shards() -> Shards:
    """Return this process's place, from torchrun's environment; alone without it."""
    if not place().is_shared:
        return ALONE
    store, rank, size = next(iter(rendezvous("env://", timeout=PATIENCE)))
    return Shards(rank, size, store)
