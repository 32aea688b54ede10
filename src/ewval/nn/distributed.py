"""One process or many: what torchrun's environment says, and the few collective operations that training needs."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ewval.core.torchrun import place


@dataclass(frozen=True, slots=True)
class Team:
    """The processes that work together: this one's `rank` of `size`, on its own `device`."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes and draws."""
        return self.rank == 0

    def wait(self) -> None:
        """Return once all have come here."""
        if self.size > 1:
            dist.barrier()

    def sum(self, values: list[float]) -> list[float]:
        """Return the sums of `values` over all processes, in float64."""
        if self.size == 1:
            return values
        # NCCL moves GPU memory only; gloo wants the CPU's.
        where = self.device if dist.get_backend() == "nccl" else torch.device("cpu")
        total = torch.tensor(values, dtype=torch.float64, device=where)
        dist.all_reduce(total)
        return [float(value) for value in total]

    def wrap(self, network: nn.Module, *, leaves_unused: bool) -> nn.Module:
        """Return `network` so that its gradients are averaged over the processes; `leaves_unused` parameters or not."""
        if self.size == 1:
            return network
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids, find_unused_parameters=leaves_unused)


@contextmanager
def join_team(device: torch.device) -> Iterator[Team]:
    """Yield the team that torchrun's environment describes, or a team of one; leave it at the end.

    On GPUs each process takes the one of its local rank and NCCL; on CPUs gloo.
    """
    if not place().is_shared:
        yield Team(0, 1, device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", place().local_rank)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), dist.get_world_size(), device)
        gc.collect()  # a network that is freed after the team has gone can wait for its threads forever
        dist.barrier()  # whoever leaves first takes the others' connections along
    finally:
        dist.destroy_process_group()
