"""Inference of lwunet: how much faster than the straightforward form, with the same outputs.

    python benchmarks/infer.py [--device cpu] [--weights state_dict.pth]

One sample of 64^3, 4 loops, float32 unless said otherwise. The goals are 1.5 on a CPU and 2.5 on a
GPU.
"""

import argparse
from collections.abc import Callable

import torch
from plain import Inputs, make_inputs, straightforward
from timing import best_times, count_flops, describe, matmul_rate
from torch import Tensor

from ewval.nn.devices import pick_device
from ewval.nn.networks.lwunet import LWUNet
from ewval.nn.weights import load_network

LOOPS = 4
REFERENCE = "straightforward"
Outputs = tuple[Tensor, Tensor]


def variants(net: LWUNet, inputs: Inputs, device: torch.device) -> dict[str, Callable[[], Outputs]]:
    found: dict[str, Callable[[], Outputs]] = {
        REFERENCE: lambda: straightforward(net, inputs, loops=LOOPS),
        "ewval, torch": lambda: net(*inputs, loops=LOOPS),
    }
    if device.type == "cuda":
        found["ewval, bfloat16"] = lambda: _half(net, inputs)
    return found


def _half(net: LWUNet, inputs: Inputs) -> Outputs:
    with torch.autocast("cuda", dtype=torch.bfloat16):
        logits, sigma = net(*inputs, loops=LOOPS)
    return logits.float(), sigma.float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--weights", help="weights to use instead of random ones")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    device = pick_device(chosen.device)
    torch.manual_seed(0)
    net = load_network(chosen.weights, device=device).network if chosen.weights else LWUNet().to(device).eval()
    assert isinstance(net, LWUNet)
    inputs = make_inputs(chosen.batch_size, device=device)
    with torch.inference_mode():
        runs = variants(net, inputs, device)
        expected = runs[REFERENCE]()
        apart = {
            name: max(float((a - b).abs().max()) for a, b in zip(run(), expected, strict=True))
            for name, run in runs.items()
        }
        times = best_times(runs, rounds=chosen.rounds, device=device)
        flops, rate = count_flops(runs[REFERENCE]), matmul_rate(device)
    print(f"lwunet, {LOOPS} loops, batch {chosen.batch_size}, {describe(device)}")
    print(f"{flops / 1e9:.1f} GFLOP a batch; matrix products reach {rate / 1e9:.0f} GFLOP/s here")
    head = f"{'':18s} {'ms':>8s} {'samples/s':>10s} {'ratio':>6s} {'of matmul':>10s} {'CPU ms':>8s} {'CPU ratio':>10s}"
    print(f"{head} {'max diff':>9s}")
    first = times[REFERENCE]
    for name, spent in times.items():
        print(
            f"{name:18s} {1e3 * spent.wall:8.1f} {chosen.batch_size / spent.wall:10.2f} {first.wall / spent.wall:6.2f}"
            f" {flops / spent.busy_s(device) / rate:10.0%} {1e3 * spent.cpu:8.1f} {first.cpu / spent.cpu:10.2f}"
            f" {apart[name]:9.1e}"
        )


if __name__ == "__main__":
    main()
