"""A training step of lwunet: how much faster than the straightforward form, with the same loss and gradients.

    python benchmarks/train.py [--device cpu]

The seed system's loss on the last of 4 loops, forward, backward and Adam. The goal is 1.4 on a CPU, 2.5 on a GPU.
Memory is what a sample keeps for the backward pass.
"""

import argparse
import copy
from collections.abc import Callable

import torch
from plain import Inputs, make_inputs, straightforward
from timing import best_times, count_flops, describe, matmul_rate, saved_bytes
from torch import Tensor

from ewval.nn.devices import pick_device
from ewval.nn.loss import bayes
from ewval.nn.networks.lwunet import LWUNet

LOOPS = 4
REFERENCE = "straightforward"
Forward = Callable[[LWUNet], tuple[Tensor, Tensor]]


def forwards(inputs: Inputs, device: torch.device) -> dict[str, Forward]:
    found: dict[str, Forward] = {
        REFERENCE: lambda net: straightforward(net, inputs, loops=LOOPS),
        "ewval": lambda net: net(*inputs, loops=LOOPS),
        "ewval, recompute": lambda net: net(*inputs, loops=LOOPS, recompute=True),
    }
    if device.type == "cuda":
        found["ewval, bfloat16"] = lambda net: _half(net, inputs)
    return found


def _half(net: LWUNet, inputs: Inputs) -> tuple[Tensor, Tensor]:
    with torch.autocast("cuda", dtype=torch.bfloat16):
        logits, sigma = net(*inputs, loops=LOOPS)
    return logits.float(), sigma.float()


class Step:
    """One training step of its own copy of the network."""

    def __init__(self, net: LWUNet, forward: Forward, target: Tensor) -> None:
        self.net, self.forward, self.target = copy.deepcopy(net), forward, target
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, weight_decay=5e-4)

    def backward(self) -> float:
        self.optimizer.zero_grad()
        loss = bayes(*self.forward(self.net), self.target).mean()
        loss.backward()
        return float(loss.detach())

    def gradients(self) -> Tensor:
        return torch.cat([p.grad.flatten() for p in self.net.parameters() if p.grad is not None])

    def __call__(self) -> None:
        self.backward()
        self.optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    device = pick_device(chosen.device)
    torch.manual_seed(0)
    net, inputs = LWUNet().to(device), make_inputs(chosen.batch_size, device=device)
    target = (inputs[0] > 128).float()
    steps = {name: Step(net, forward, target) for name, forward in forwards(inputs, device).items()}
    losses = {name: step.backward() for name, step in steps.items()}
    gradients = {name: step.gradients() for name, step in steps.items()}
    memory = {name: saved_bytes(lambda step=step: step.forward(step.net)) for name, step in steps.items()}
    flops, rate = count_flops(steps[REFERENCE].backward), matmul_rate(device)
    times = best_times(steps, rounds=chosen.rounds, device=device)
    print(f"lwunet, {LOOPS} loops, batch {chosen.batch_size}, forward, backward and Adam, {describe(device)}")
    print(f"{flops / 1e9:.1f} GFLOP a step; matrix products reach {rate / 1e9:.0f} GFLOP/s here")
    head = f"{'':18s} {'ms':>8s} {'samples/s':>10s} {'ratio':>6s} {'of matmul':>10s} {'CPU ms':>8s} {'CPU ratio':>10s}"
    print(f"{head} {'MiB/sample':>11s} {'loss diff':>10s} {'grad diff':>10s}")
    first = times[REFERENCE]
    for name, spent in times.items():
        apart = float((gradients[name] - gradients[REFERENCE]).abs().max())
        print(
            f"{name:18s} {1e3 * spent.wall:8.1f} {chosen.batch_size / spent.wall:10.2f} {first.wall / spent.wall:6.2f}"
            f" {flops / spent.busy_s(device) / rate:10.0%} {1e3 * spent.cpu:8.1f} {first.cpu / spent.cpu:10.2f}"
            f" {memory[name] / chosen.batch_size / 2**20:11.0f} {abs(losses[name] - losses[REFERENCE]):10.1e}"
            f" {apart:10.1e}"
        )


if __name__ == "__main__":
    main()
