"""Optimizer, learning rate over time, and the running mean of the weights."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

OptimizerName = Literal["adam", "adamw"]
ScheduleName = Literal["step", "cosine", "constant"]


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """How the weights are changed. The defaults are those of the 2019 seed system, except for clipping.

    Args:
        name: `adam` (weight decay as a part of the gradient) or `adamw` (apart from it).
        learning_rate: Initial learning rate, which the schedule then lowers.
        weight_decay: Weight decay.
        schedule: `step` (times `gamma` every `step_epochs` epochs), `cosine` (warm-up, then to zero) or `constant`.
        step_epochs: Epochs between the steps.
        gamma: Factor of a step.
        warmup_steps: Steps of linear warm-up, for `cosine`.
        clip: Largest norm of the gradient; 0 leaves it as it is.
        ema: Decay of the running mean of the weights; 0 keeps none.
    """

    name: OptimizerName = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    schedule: ScheduleName = "step"
    step_epochs: int = 2
    gamma: float = 0.1
    warmup_steps: int = 100
    clip: float = 1.0
    ema: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in ("adam", "adamw"):
            raise ValueError(f"unknown optimizer {self.name!r}: one of adam, adamw")
        if self.schedule not in ("step", "cosine", "constant"):
            raise ValueError(f"unknown schedule {self.schedule!r}: one of step, cosine, constant")
        if self.learning_rate <= 0 or self.weight_decay < 0 or self.clip < 0 or not 0 <= self.ema < 1:
            raise ValueError("learning_rate must be > 0, weight_decay and clip >= 0, ema in [0, 1)")
        if self.step_epochs < 1 or self.warmup_steps < 0:
            raise ValueError("step_epochs must be >= 1 and warmup_steps >= 0")


def build_optimizer(parameters: Iterable[nn.Parameter], config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return the optimizer that `config` describes."""
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)


def learning_rate(config: OptimizerConfig, *, step: int, epoch: int, total_steps: int) -> float:
    """Return the learning rate of step `step` (from 0) in epoch `epoch` (from 0).

    A function of where training is, so nothing of the schedule can be lost on resuming.
    """
    if config.schedule == "step":
        return config.learning_rate * config.gamma ** (epoch // config.step_epochs)
    if config.schedule == "constant":
        return config.learning_rate
    warm = min(config.warmup_steps, total_steps // 5)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    share = min((step - warm) / max(total_steps - warm, 1), 1.0)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


class RunningMean:
    """Exponential running mean of a network's weights; its early steps forget faster, so that it is usable at once."""

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.state = {key: value.detach().clone() for key, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after one more step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        return {"weights": self.state, "steps": self.steps}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.steps = saved["steps"]
        for key, value in saved["weights"].items():
            self.state[key].copy_(value)
