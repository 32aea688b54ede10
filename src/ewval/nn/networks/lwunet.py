"""`lwunet`, the network of the 2019 seed system: a light U-Net that runs a few times over its own answer.

Its published weights load as they are; the arithmetic is done on phases (see `ewval.nn.networks.phases`), which
changes the order of the sums and nothing else. Size rule: two levels of pooling by 2, so every edge is a multiple of 4.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ewval.core.constants import DEFAULT_CONTEXT, DEFAULT_LOOPS
from ewval.nn.networks.network import Network
from ewval.nn.networks.phases import (
    convolve,
    from_phases,
    largest,
    mix_channels,
    padded,
    phase_kernel,
    raising_kernel,
    to_phases,
    windows,
)

SIZE_MULTIPLE = 4


@dataclass(frozen=True, slots=True)
class LWUNetConfig:
    """How `LWUNet` is built; the defaults are those of the published weights.

    Args:
        context: Ancestors' masks among the inputs.
        loops: Runs over its own answer by default.
        boundary: Whether the segments' boundaries are among the inputs.
        standardise: Whether the image is brought to zero mean and unit variance first.
    """

    context: int = DEFAULT_CONTEXT
    loops: int = DEFAULT_LOOPS
    boundary: bool = False
    standardise: bool = False

    def __post_init__(self) -> None:
        if self.context < 0 or self.loops < 1:
            raise ValueError(f"context must be >= 0 and loops >= 1, not {self.context} and {self.loops}")

    @property
    def fixed_channels(self) -> int:
        """Input channels that no loop changes: image, ancestors, boundary."""
        return 1 + self.context + int(self.boundary)


class Fixed(NamedTuple):
    """What serves all loops: features of the image and context, and the kernels as `phases` wants them."""

    features: Tensor
    changing: Tensor
    down: Tensor
    up: tuple[Tensor, Tensor]
    heads: tuple[Tensor, Tensor]


class LWUNet(Network):
    """Five input channels (image, two ancestors, seed, confidence) unless configured otherwise, 147,218 parameters.

    Source: reference implementation eyewire_validator (Brian Lim, 2019), `lwunet(n_grams=3, loops=4)`.
    """

    config: LWUNetConfig

    def __init__(self, config: LWUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or LWUNetConfig()
        # The names are those of the published state dict.
        self.c1 = nn.Conv3d(self.config.fixed_channels + 2, 16, 3, padding=1)
        self.c2 = nn.Conv3d(16, 32, 3, padding=1)
        self.rc1 = nn.ConvTranspose3d(32, 32, 4, stride=2, padding=1)
        self.rc2 = nn.ConvTranspose3d(64, 16, 4, stride=2, padding=1)
        self.logits = nn.Conv3d(32, 1, 1)
        self.variance = nn.Conv3d(32, 1, 1)

    def prepare(self, image: Tensor, seed: Tensor, context: Tensor, boundary: Tensor | None) -> Fixed:  # noqa: ARG002 - the seed changes with each loop
        """Return the kernels for all loops, and what does not change through their part of the first convolution.

        A convolution is linear, so its input channels may be summed in two parts, of which one serves all loops.

        Raises:
            ValueError: An edge is no multiple of 4, there are more or fewer ancestors than configured, or no boundary.
        """
        channels = self.config.fixed_channels
        first = self.c1.weight[:, :channels], self.c1.weight[:, channels:]
        inputs = to_phases(padded(fixed_inputs(self.config, image, context, boundary)))
        heads = torch.cat([self.logits.weight, self.variance.weight])[:, :, 0, 0, 0]  # [2, 32]
        return Fixed(
            features=convolve(inputs, phase_kernel(first[0]), self.c1.bias),  # [n, 8 * 16, z/2, y/2, x/2]
            changing=phase_kernel(first[1]),
            down=phase_kernel(self.c2.weight),
            up=(raising_kernel(self.rc1.weight), raising_kernel(self.rc2.weight)),
            heads=(heads[:, :16], heads[:, 16:]),
        )

    def step(self, fixed: Fixed, seed: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and sigma [n, 1, z, y, x] of one loop."""
        changing = convolve(to_phases(padded([seed, confidence])), fixed.changing)
        fine = F.relu_(fixed.features + changing)  # [n, 8 * 16, z/2, y/2, x/2]
        middle = F.relu_(convolve(to_phases(padded([largest(fine)])), fixed.down, self.c2.bias))
        coarse = largest(middle)  # [n, 32, z/4, y/4, x/4]
        raised = F.relu_(windows(convolve(padded([coarse]), fixed.up[0], self.rc1.bias)))
        both = padded([from_phases(middle), from_phases(raised)])  # [n, 64, z/2 + 2, y/2 + 2, x/2 + 2]
        full = F.relu_(convolve(both, fixed.up[1], self.rc2.bias))  # [n, 8 * 16, z/2 + 1, y/2 + 1, x/2 + 1]
        heads = mix_channels(fine, fixed.heads[0]) + windows(mix_channels(full, fixed.heads[1]))
        both_heads = from_phases(heads)  # [n, 2, z, y, x]
        assert self.logits.bias is not None
        assert self.variance.bias is not None
        return both_heads[:, :1] + self.logits.bias, F.softplus(both_heads[:, 1:] + self.variance.bias) + 1.0


def fixed_inputs(config: LWUNetConfig, image: Tensor, context: Tensor, boundary: Tensor | None) -> list[Tensor]:
    """Return the inputs that no loop changes, [n, c, z, y, x] each: image, ancestors, boundary where it is wanted.

    Raises:
        ValueError: As `LWUNet.prepare` says.
    """
    check_size(image, multiple=SIZE_MULTIPLE)
    check_context(context, expected=config.context)
    inputs = [(standardise(image) if config.standardise else image).unsqueeze(1), context]
    if config.boundary:
        if boundary is None:
            raise ValueError("this network needs the boundary channel")
        inputs.append(boundary.unsqueeze(1))
    return inputs


def standardise(image: Tensor) -> Tensor:
    """Return `image` [n, z, y, x] with zero mean and unit variance in each cube; a flat cube becomes zeros."""
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    deviation = image.std(dim=(1, 2, 3), keepdim=True, correction=0)
    return (image - mean) / deviation.clamp_min(1e-3)


def check_size(image: Tensor, *, multiple: int) -> None:
    """Raise ValueError where an edge of `image` [n, z, y, x] is not a multiple of `multiple`."""
    if image.ndim != 4 or any(edge % multiple for edge in image.shape[1:]):
        raise ValueError(f"image must be [n, z, y, x] with edges that {multiple} divides, not {tuple(image.shape)}")


def check_context(context: Tensor, *, expected: int) -> None:
    """Raise ValueError where `context` [n, p, z, y, x] does not hold `expected` ancestors."""
    if context.ndim != 5 or context.shape[1] != expected:
        raise ValueError(f"context must hold {expected} ancestors, not have the shape {tuple(context.shape)}")
