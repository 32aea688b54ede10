"""What sigma learns from labels with known noise, under each loss: the figures of docs/uncertainty.md.

    python benchmarks/uncertainty.py

Points in a square. Their log-odds are 6 times the one coordinate (the signal) plus normal noise, of deviation 1 where
the other coordinate is negative (the calm half) and 4 where it is positive (the noisy half); labels are drawn from
that. A small network gives logits and sigma (at least 1) as those of ewval do: either both from both coordinates, or
the logits from the signal alone, so that only sigma can tell the halves apart.
"""

import argparse
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ewval.nn.loss import LOSS_NAMES, bayes, bce, probability, sampled

POINTS = 50_000
SLOPE = 6.0
NOISE = (1.0, 4.0)
SAMPLES = 10


@dataclass(frozen=True, slots=True)
class World:
    """Points [n, 2] in [-1, 1] (signal, noise coordinate), the true chance of a label 1, and the labels."""

    points: Tensor
    chance: Tensor
    label: Tensor

    @property
    def is_noisy(self) -> Tensor:
        return self.points[:, 1] > 0


def make_world(seed: int) -> World:
    generator = torch.Generator().manual_seed(seed)
    points = 2 * torch.rand(POINTS, 2, generator=generator) - 1
    deviation = torch.where(points[:, 1] > 0, NOISE[1], NOISE[0])
    grid = torch.linspace(-5, 5, 201)
    density = torch.exp(-(grid**2) / 2)
    odds = SLOPE * points[:, :1] + deviation[:, None] * grid
    chance = (torch.sigmoid(odds) * density).sum(1) / density.sum()
    return World(points, chance, (torch.rand(POINTS, generator=generator) < chance).float())


def layers(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))


class Points(nn.Module):
    """Logits from the first `seen` coordinates, sigma from both."""

    def __init__(self, seen: int) -> None:
        super().__init__()
        self.seen, self.logits, self.spread = seen, layers(seen), layers(2)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        logits, spread = self.logits(points[:, : self.seen]), self.spread(points)
        return logits[:, 0], F.softplus(spread[:, 0]) + 1


def loss_of(name: str, logits: Tensor, sigma: Tensor, target: Tensor) -> Tensor:
    if name == "bayes":
        return bayes(logits, sigma, target).mean()
    if name == "bce":
        return bce(logits, target).mean()
    return sampled(logits, sigma, target, noise=torch.randn(SAMPLES, len(target))).mean()


def learn(name: str, world: World, *, seen: int, steps: int, seed: int) -> Points:
    torch.manual_seed(seed)
    net = Points(seen)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(steps):
        chosen = torch.randint(0, POINTS, (1000,))
        optimizer.zero_grad()
        loss_of(name, *net(world.points[chosen]), world.label[chosen]).backward()
        optimizer.step()
    return net


@torch.no_grad()
def measure(name: str, net: Points, world: World) -> list[float]:
    """Return mean sigma and mean error of the probability, each calm and noisy, and nats above the best loss."""
    logits, sigma = net(world.points)
    chance = probability(logits, sigma, loss=name)
    wrong = (chance - world.chance).abs()
    excess = F.binary_cross_entropy(chance.clamp(1e-6, 1 - 1e-6), world.chance)
    excess = excess - F.binary_cross_entropy(world.chance, world.chance)
    halves = (~world.is_noisy, world.is_noisy)
    return [
        *(float(sigma[half].mean()) for half in halves),
        *(float(wrong[half].mean()) for half in halves),
        float(excess),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"true deviations {NOISE[0]:.0f} (calm), {NOISE[1]:.0f} (noisy); {chosen.steps} steps, {chosen.repeats} repeats"
    )
    print(f"{'':24s} {'sigma calm':>11s} {'noisy':>6s} {'error calm':>11s} {'noisy':>6s} {'excess nats':>12s}")
    for seen, said in ((1, "logits see the signal"), (2, "logits see all")):
        print(said)
        for name in LOSS_NAMES:
            tries = []
            for seed in range(chosen.repeats):
                net = learn(name, make_world(seed), seen=seen, steps=chosen.steps, seed=seed)
                tries.append(measure(name, net, make_world(100 + seed)))
            a, b, c, d, e = torch.tensor(tries).mean(0).tolist()
            print(f"  {name:22s} {a:11.2f} {b:6.2f} {c:11.3f} {d:6.3f} {e:12.4f}")


if __name__ == "__main__":
    main()
