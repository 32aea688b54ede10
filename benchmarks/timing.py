"""What the benchmarks of the networks share: times side by side, the machine's rate, operations and memory."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True, slots=True)
class Times:
    """Shortest seconds of a variant: by the clock, and of this process's CPU time, which other work hardly touches."""

    wall: float = float("inf")
    cpu: float = float("inf")

    def busy_s(self, device: torch.device) -> float:
        """Return what rates are taken over: CPU time on a CPU, so that they are those of one core, else the clock's."""
        return self.cpu if device.type == "cpu" else self.wall


def best_times(variants: Mapping[str, Callable[[], object]], *, rounds: int, device: torch.device) -> dict[str, Times]:
    """Return the shortest times of each variant; the variants take turns, so that all meet the same load."""
    best = dict.fromkeys(variants, Times())
    for run in variants.values():
        run()  # compiles, allocates
    for _ in range(rounds):
        for name, run in variants.items():
            _wait(device)
            began, used = time.perf_counter(), time.process_time()
            run()
            _wait(device)
            wall, cpu = time.perf_counter() - began, time.process_time() - used
            best[name] = Times(min(best[name].wall, wall), min(best[name].cpu, cpu))
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matmul_rate(device: torch.device, *, dtype: torch.dtype = torch.float32, size: int = 1024) -> float:
    """Return the floating point operations a second of a square matrix product, the best of ten; see `busy_s`."""
    a, b = (torch.rand(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / best_times({"product": lambda: a @ b}, rounds=10, device=device)["product"].busy_s(device)


def count_flops(run: Callable[[], object]) -> int:
    """Return the floating point operations of the convolutions and products in `run`."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def saved_bytes(run: Callable[[], object]) -> int:
    """Return the bytes that `run`, a forward pass, keeps for its backward pass, each storage counted once."""
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept = run()  # held until the storages have been counted
    del kept
    return sum(storages.values())


def describe(device: torch.device) -> str:
    """Return what the figures were measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
