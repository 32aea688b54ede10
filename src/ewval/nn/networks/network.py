"""What every network of ewval takes and gives, and the loop that all of them share."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

LoopStep = Callable[[Any, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(what does not change, seed, confidence) to (logits, sigma) of one loop, each [n, 1, z, y, x]."""
Outputs = tuple[Tensor, Tensor] | tuple[list[Tensor], list[Tensor]]


class Network(nn.Module):
    """Base of the networks: from a seed to the whole neuron, in a few loops over its own answer.

    Called with `image` float32 [n, z, y, x] (0 to 255), `seed` and `confidence` float32 [n, z, y, x], `context`
    float32 [n, p, z, y, x] (ancestors' masks, oldest first) and `boundary` float32 [n, z, y, x] (1 where two segments
    meet; networks that do not use it take None), all at one size. Axis order z, y, x.
    """

    config: Any

    def forward(
        self,
        image: Tensor,
        seed: Tensor,
        confidence: Tensor,
        context: Tensor,
        boundary: Tensor | None = None,
        *,
        loops: int | None = None,
        every_loop: bool = False,
        recompute: bool = False,
    ) -> Outputs:
        """Return logits and sigma (at least 1), each [n, z, y, x]; lists of them, one a loop, with `every_loop`.

        Args:
            image: As the class says; so are `seed`, `confidence`, `context` and `boundary`.
            seed: Probability that a voxel belongs to the neuron, before the first loop.
            confidence: 1 where the seed is sure, larger elsewhere.
            context: Masks of the ancestors.
            boundary: Where the segments meet.
            loops: How often the network runs; default: as configured.
            every_loop: Give the outputs of all loops instead of the last one's.
            recompute: Keep only the borders of the loops for the backward pass and compute the rest again.
        """
        fixed = self.prepare(image, seed, context, boundary)
        logits, sigma = run_loops(
            self.step,
            fixed,
            seed.unsqueeze(1),
            confidence.unsqueeze(1),
            loops=self.config.loops if loops is None else loops,
            recompute=recompute,
        )
        return (logits, sigma) if every_loop else (logits[-1], sigma[-1])

    def prepare(self, image: Tensor, seed: Tensor, context: Tensor, boundary: Tensor | None) -> Any:
        """Return what no loop changes, as far into the network as it goes, in a form that `step` takes."""
        raise NotImplementedError

    def step(self, fixed: Any, seed: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and sigma [n, 1, z, y, x] of one loop."""
        raise NotImplementedError


def run_loops(
    step: LoopStep, fixed: Any, seed: Tensor, confidence: Tensor, *, loops: int, recompute: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """Run `step` on its own answers; return logits and sigma [n, z, y, x] of each loop.

    Between loops the seed becomes sigmoid(logits / sigma) and the confidence becomes sigma.
    Source: the 2019 seed system's `lwunet`.
    """
    if loops < 1:
        raise ValueError(f"loops must be at least 1, not {loops}")
    every: list[tuple[Tensor, Tensor]] = []
    for _ in range(loops):
        if every:
            logits, sigma = every[-1]
            seed, confidence = torch.sigmoid(logits / sigma), sigma
        if recompute and torch.is_grad_enabled():
            outputs = cast(tuple[Tensor, Tensor], checkpoint(step, fixed, seed, confidence, use_reentrant=False))
        else:
            outputs = step(fixed, seed, confidence)
        every.append(outputs)
    return [logits.squeeze(1) for logits, _ in every], [sigma.squeeze(1) for _, sigma in every]
