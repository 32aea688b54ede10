"""Training: a function from a network and batches to the results of its steps, with no files and no printing.

The loss of a batch is the mean over its samples, and nothing in the networks looks across samples, so a batch may be
worked through in parts, here or in several processes, and the gradient is the same.
"""

import math
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ewval.core.errors import DivergedError, MemoryShortError
from ewval.core.team import is_out_of_memory
from ewval.nn.data.batches import Batch
from ewval.nn.distributed import Team
from ewval.nn.loss import LossConfig, probability, sample_loss, segment_loss, voxel_weights
from ewval.nn.networks.network import Network
from ewval.nn.training.augment import AugmentConfig, augment, part
from ewval.nn.training.optimization import OptimizerConfig, RunningMean, build_optimizer, learning_rate

Precision = Literal["auto", "float32", "bfloat16"]
Outputs = tuple[list[Tensor], list[Tensor]]
"""Logits and sigma [n, z, y, x] of each loop."""


@dataclass(frozen=True, slots=True)
class ComputeConfig:
    """How the arithmetic is done: memory against time, precision.

    Args:
        precision: `auto` is bfloat16 autocast on a GPU and float32 elsewhere.
        recompute: Save memory by computing the inside of each loop again in the backward pass.
        parts: Samples that go through the network at once; 0 finds it out. Bigger batches are summed up from parts.
    """

    precision: Precision = "auto"
    recompute: bool = False
    parts: int = 0

    def __post_init__(self) -> None:
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise ValueError(f"unknown precision {self.precision!r}: one of auto, float32, bfloat16")
        if self.parts < 0:
            raise ValueError(f"parts {self.parts} is not >= 0")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a network is trained, whatever it is trained on.

    Args:
        loss: Which loss, and what counts in it.
        optimizer: How weights change.
        augment: How samples are varied.
        compute: How the arithmetic is done.
        loops: Runs of the network over its own answer.
        seed: Of every random draw.
    """

    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    loops: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.loops < 1:
            raise ValueError(f"loops {self.loops} is not >= 1")


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step of training did: `step` and `epoch` count from 0, `loss` is the mean over all its samples."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    gradient_norm: float
    samples: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Validation:
    """Mean loss over the samples, and how well masks are met, the seed left out (over all voxels of all samples)."""

    loss: float
    seedless_iou: float
    samples: int


class Trainer:
    """A network, its optimizer and the running mean of its weights, with the one step that changes them.

    Args:
        network: On its device already.
        config: How to train.
        team: The processes that share each batch.
    """

    def __init__(self, network: Network, config: TrainConfig, *, team: Team | None = None) -> None:
        self.network = network
        self.config = config
        self.team = team or Team(0, 1, next(network.parameters()).device)
        self.optimizer = build_optimizer(network.parameters(), config.optimizer)
        self.ema = RunningMean(network, decay=config.optimizer.ema) if config.optimizer.ema else None
        self._shared = self.team.wrap(network, leaves_unused=config.loss.name == "bce")
        self._parts = config.compute.parts

    def step(self, batch: Batch, *, step: int, epoch: int, total_steps: int) -> StepResult:
        """Change the weights by one batch (this process's share of it) and return what happened.

        Raises:
            DivergedError: The loss or its gradient is not a number; the weights are left as they were.
            MemoryShortError: A single sample does not fit into the memory.
        """
        began = time.perf_counter()
        rate = learning_rate(self.config.optimizer, step=step, epoch=epoch, total_steps=total_steps)
        batch = augment(batch.to(self.team.device), self.config.augment, seed=self.config.seed, turn=step)
        self.network.train()
        samples = int(self.team.sum([float(len(batch.tasks))])[0])
        loss = self.team.sum([self._backward(batch, samples=samples, turn=step)])[0] / samples
        norm = self._apply(rate, step=step, loss=loss)
        return StepResult(step, epoch, loss, rate, norm, samples, time.perf_counter() - began)

    def _apply(self, rate: float, *, step: int, loss: float) -> float:
        limit = self.config.optimizer.clip or math.inf
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), limit))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise DivergedError(step, f"loss {loss}, norm of the gradient {norm}")
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.network)
        return norm

    def _backward(self, batch: Batch, *, samples: int, turn: int) -> float:
        """Fill the gradients from `batch`, in parts that fit; return the sum of its samples' losses."""
        while True:
            try:
                return self._backward_in_parts(batch, size=self._part_size(batch), samples=samples, turn=turn)
            except RuntimeError as error:
                self._shrink(batch, error)

    def _backward_in_parts(self, batch: Batch, *, size: int, samples: int, turn: int) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        total, count = 0.0, len(batch.tasks)
        for start in range(0, count, size):
            piece = part(batch, slice(start, start + size))
            with self._exchange(is_last=start + size >= count):
                losses = self._losses(self._shared, piece, turn=turn)
                # The processes' gradients are averaged, so each is scaled up by how many there are.
                (losses.sum() * (self.team.size / samples)).backward()  # type: ignore[no-untyped-call]
            total += float(losses.detach().sum())
        return total

    def _exchange(self, *, is_last: bool) -> AbstractContextManager[None]:
        if isinstance(self._shared, DistributedDataParallel) and not is_last:
            return self._shared.no_sync()
        return nullcontext()

    def _part_size(self, batch: Batch) -> int:
        if not self._parts:
            self._parts = len(batch.tasks) if self.team.device.type == "cuda" else CPU_PARTS
        return min(self._parts, len(batch.tasks))

    def _shrink(self, batch: Batch, error: RuntimeError) -> None:
        """Halve the parts after running out of memory; raise where it was something else or they are single samples."""
        if not is_out_of_memory(error):
            raise error
        size = self._part_size(batch)
        # Processes that shared half a step cannot go back one by one.
        if size == 1 or self.team.size > 1:
            raise MemoryShortError(str(self.team.device), f"{size} samples at once") from error
        self._parts = size // 2
        self.optimizer.zero_grad(set_to_none=True)
        if self.team.device.type == "cuda":
            torch.cuda.empty_cache()

    def _losses(self, network: nn.Module, batch: Batch, *, turn: int) -> Tensor:
        return self._losses_of(batch, self._outputs(network, batch), turn=turn)

    def _outputs(self, network: nn.Module, batch: Batch) -> Outputs:
        """Return logits and sigma [n, z, y, x] of each loop."""
        with autocast(self.team.device, self.config.compute.precision):
            outputs: Outputs = network(
                batch.image,
                batch.seed,
                batch.confidence,
                batch.context,
                batch.boundary,
                loops=self.config.loops,
                every_loop=True,
                recompute=self.config.compute.recompute,
            )
        return outputs

    def _losses_of(self, batch: Batch, outputs: Outputs, *, turn: int) -> Tensor:
        """Return the loss of each sample, [n]."""
        all_logits, all_sigma = outputs
        first = 0 if self.config.loss.every_loop else len(all_logits) - 1
        counted = enumerate(zip(all_logits[first:], all_sigma[first:], strict=True), start=first)
        losses = [self._loss(batch, logits, sigma, turn=turn, loop=loop) for loop, (logits, sigma) in counted]
        return torch.stack(losses).mean(0)

    def _loss(self, batch: Batch, logits: Tensor, sigma: Tensor, *, turn: int, loop: int) -> Tensor:
        config = self.config.loss
        assert batch.target is not None
        if config.segments:
            assert batch.touching is not None
            return segment_loss(logits, sigma, batch.target, touching=batch.touching, config=config)
        weights = voxel_weights(batch.seed, batch.target, config)
        noise = draw_noise(batch, self.config, turn=turn, loop=loop)
        return sample_loss(logits, sigma, batch.target, weights=weights, config=config, noise=noise)

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> Validation:
        """Return how well the network (its running mean, where there is one) does on the `batches` of all processes."""
        self.network.eval()
        kept = swap_in(self.network, self.ema)
        sums = [0.0, 0.0, 0.0, 0.0]  # loss, samples, voxels met, voxels guessed or true
        for batch in batches:
            for size in range(0, len(batch.tasks), CPU_PARTS):
                piece = part(batch, slice(size, size + CPU_PARTS)).to(self.team.device)
                sums = [a + b for a, b in zip(sums, self._measure(piece), strict=True)]
        swap_back(self.network, kept)
        loss, samples, met, either = self.team.sum(sums)
        return Validation(loss / samples if samples else math.nan, met / either if either else 1.0, int(samples))

    def _measure(self, batch: Batch) -> list[float]:
        assert batch.target is not None
        outputs = self._outputs(self.network, batch)
        losses = self._losses_of(batch, outputs, turn=-1)
        logits, sigma = (of_loops[-1].float() for of_loops in outputs)
        chosen = probability(logits, sigma, loss=self.config.loss.name) > 0.5
        outside = batch.seed < 0.5 if batch.touching is None else batch.touching > 0
        true = batch.target > 0.5
        met, either = chosen & true & outside, (chosen | true) & outside
        return [float(losses.sum()), float(len(batch.tasks)), float(met.sum()), float(either.sum())]


CPU_PARTS = 2
"""Samples at once on a CPU: more is no faster, and needs more memory."""


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which the network runs."""
    enabled = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def draw_noise(batch: Batch, config: TrainConfig, *, turn: int, loop: int) -> Tensor | None:
    """Return the noise of the sampled loss [T, n, z, y, x], drawn for each sample by itself; None for other losses."""
    if config.loss.name != "sampled":
        return None
    shape = (config.loss.samples, *batch.image.shape[1:])
    device = batch.image.device
    drawn = []
    for task in batch.tasks.tolist():
        generator = torch.Generator(device).manual_seed(hash((config.seed, turn, loop, task)) & 0x7FFF_FFFF_FFFF)
        drawn.append(torch.randn(shape, generator=generator, device=device))
    return torch.stack(drawn, dim=1)


def swap_in(network: nn.Module, ema: RunningMean | None) -> dict[str, Tensor] | None:
    """Put the running mean's weights into `network`; return the ones it had, or None where there is no mean."""
    if ema is None:
        return None
    kept = {key: value.detach().clone() for key, value in network.state_dict().items()}
    network.load_state_dict(ema.state)
    return kept


def swap_back(network: nn.Module, kept: dict[str, Tensor] | None) -> None:
    """Undo `swap_in`."""
    if kept is not None:
        network.load_state_dict(kept)
