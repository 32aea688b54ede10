"""`rsunet`, a residual symmetric U-Net that runs a few times over its own answer.

Against `lwunet`: normalised (per sample), residual, aware of the voxels' shape, told where the segments meet, and fed
an image of zero mean and unit variance. Size rule: every edge is a multiple of the product of its pooling strides.

Source: the residual symmetric U-Net of Lee et al. 2017, arXiv 1706.00120, with a recurrence over the object's mask.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ewval.core.constants import DEFAULT_CONTEXT, ELSEWHERE_CONFIDENCE, VOXEL_SIZE_NM
from ewval.nn.networks.lwunet import check_context, check_size, standardise
from ewval.nn.networks.network import Network
from ewval.nn.networks.phases import PHASES, from_phases, to_phases

ANISOTROPY_LIMIT = 2.0
"""An axis at least this much coarser than the finest one is neither pooled nor convolved over (nnU-Net's rule)."""
CHANGING_CHANNELS = 2
"""Probability and confidence of the loop before."""

Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class RSUNetConfig:
    """How `RSUNet` is built.

    Args:
        context: Ancestors' masks among the inputs.
        loops: Runs over its own answer by default.
        widths: Channels at each level, finest first.
        patched: Whether blocks of 2 x 2 x 2 voxels are taken as one place with eight times the channels: a level less,
            and several times faster. Not where the voxels are too long in z for that.
        blocks: Residual blocks on each side of a level.
        voxel_size_nm: Shape of the voxels, z y x; decides which axes each level pools and convolves.
        boundary: Whether the segments' boundaries are among the inputs.
    """

    context: int = DEFAULT_CONTEXT
    loops: int = 2
    widths: tuple[int, ...] = (32, 48, 64)
    patched: bool = True
    blocks: int = 1
    voxel_size_nm: tuple[float, float, float] = VOXEL_SIZE_NM
    boundary: bool = True

    def __post_init__(self) -> None:
        # JSON has no tuples: a configuration read back must equal the one that was written.
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "voxel_size_nm", tuple(self.voxel_size_nm))
        if self.context < 0 or self.loops < 1 or self.blocks < 1:
            raise ValueError("context must be >= 0; loops and blocks must be >= 1")
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"widths must be positive, not {self.widths}")
        if len(self.voxel_size_nm) != 3 or min(self.voxel_size_nm) <= 0:
            raise ValueError(f"voxel_size_nm must be three positive lengths, not {self.voxel_size_nm}")

    @property
    def is_patched(self) -> bool:
        """Whether blocks of voxels are taken as one place: asked for, and fit for the shape of the voxels."""
        return self.patched and max(self.voxel_size_nm) < ANISOTROPY_LIMIT * min(self.voxel_size_nm)

    @property
    def fixed_channels(self) -> int:
        """Input channels that no loop changes: image, seed, ancestors, boundary."""
        return 2 + self.context + int(self.boundary)


@dataclass(frozen=True, slots=True)
class Level:
    """Geometry of one level: its kernel, and the stride of the pooling that leads down to the next one."""

    kernel: Triple
    stride: Triple


def plan_levels(voxel_size_nm: tuple[float, float, float], *, depth: int) -> tuple[Level, ...]:
    """Return the geometry of `depth` levels: coarse axes wait until the finer ones have been pooled up to them."""
    size = list(voxel_size_nm)
    levels = []
    for _ in range(depth):
        fine = [length < ANISOTROPY_LIMIT * min(size) for length in size]
        kernel = tuple(3 if is_fine else 1 for is_fine in fine)
        stride = tuple(2 if is_fine else 1 for is_fine in fine)
        levels.append(Level(kernel, stride))  # type: ignore[arg-type]  # three axes in, three out
        size = [length * step for length, step in zip(size, stride, strict=True)]
    return tuple(levels)


class ResidualBlock(nn.Module):
    """Two normalised convolutions around a shortcut, channels and size unchanged."""

    def __init__(self, channels: int, kernel: Triple) -> None:
        super().__init__()
        padding = _same(kernel)
        self.first = nn.Conv3d(channels, channels, kernel, padding=padding, bias=False)
        self.first_norm = _norm(channels)
        self.second = nn.Conv3d(channels, channels, kernel, padding=padding, bias=False)
        self.second_norm = _norm(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape [n, c, z, y, x]."""
        inner = F.relu_(self.first_norm(self.first(features)))
        return F.relu_(self.second_norm(self.second(inner)).add_(features))


class RSUNet(Network):
    """Residual symmetric U-Net; see the module for what it takes, `RSUNetConfig` for its sizes."""

    config: RSUNetConfig

    def __init__(self, config: RSUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or RSUNetConfig()
        widths, grain = self.config.widths, PHASES if self.config.is_patched else 1
        self.levels = plan_levels(self.config.voxel_size_nm, depth=len(widths))
        self.size_multiple = math.prod(2 for level in self.levels[:-1] if max(level.stride) > 1) * (
            2 if grain > 1 else 1
        )
        first = self.levels[0].kernel
        self.stem = nn.Conv3d(grain * self.config.fixed_channels, widths[0], first, padding=_same(first))
        self.again = nn.Conv3d(grain * CHANGING_CHANNELS, widths[0], first, padding=_same(first), bias=False)
        self.down = nn.ModuleList(self._side(width, level) for width, level in zip(widths, self.levels, strict=True))
        self.widen = nn.ModuleList(nn.Conv3d(a, b, 1) for a, b in pairwise(widths))
        self.narrow = nn.ModuleList(nn.Conv3d(b, a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(
            self._side(width, level) for width, level in zip(widths[:-1], self.levels[:-1], strict=True)
        )
        self.head = nn.Conv3d(widths[0], 2 * grain, 1)  # logits and what sigma is made of

    def _side(self, width: int, level: Level) -> nn.Sequential:
        return nn.Sequential(*(ResidualBlock(width, level.kernel) for _ in range(self.config.blocks)))

    def prepare(self, image: Tensor, seed: Tensor, context: Tensor, boundary: Tensor | None) -> Tensor:
        """Return image, seed, ancestors and boundary through their part of the stem, [n, c, z, y, x].

        Raises:
            ValueError: A size that the pooling does not divide, a wrong number of ancestors, no boundary.
        """
        check_size(image, multiple=self.size_multiple)
        check_context(context, expected=self.config.context)
        parts = [standardise(image).unsqueeze(1), seed.unsqueeze(1), context]
        if self.config.boundary:
            if boundary is None:
                raise ValueError("this network needs the boundary channel")
            parts.append(boundary.unsqueeze(1))
        features: Tensor = self.stem(self._fold(torch.cat(parts, dim=1)))
        return features

    def _fold(self, array: Tensor) -> Tensor:
        return to_phases(array) if self.config.is_patched else array

    def step(self, fixed: Tensor, seed: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and sigma [n, 1, z, y, x] of one loop."""
        unsure = torch.log(confidence) / math.log(ELSEWHERE_CONFIDENCE)  # 0 where sure, 1 elsewhere at the start
        features = fixed + self.again(self._fold(torch.cat([seed, unsure], dim=1)))
        skips = []
        for level, geometry in enumerate(self.levels[:-1]):
            features = self.down[level](features)
            skips.append(features)
            features = self.widen[level](F.max_pool3d(features, geometry.stride))
        features = self.down[-1](features)
        for level in reversed(range(len(skips))):
            raised = _repeat(self.narrow[level](features), stride=self.levels[level].stride)
            features = self.up[level](skips[level] + raised)
        outputs = self.head(features)
        unfolded = from_phases(outputs) if self.config.is_patched else outputs  # [n, 2, z, y, x]
        logits, spread = unfolded.chunk(2, dim=1)
        return logits, F.softplus(spread) + 1.0


def _repeat(features: Tensor, *, stride: Triple) -> Tensor:
    # Nearest neighbours: trilinear interpolation has no deterministic backward pass on CUDA.
    return F.interpolate(features, scale_factor=tuple(float(step) for step in stride), mode="nearest")


def _norm(channels: int) -> nn.Module:
    # Per sample, so that a sample's result does not depend on its batch or on how many processes share the batch.
    return nn.InstanceNorm3d(channels, affine=True)


def _same(kernel: Triple) -> Triple:
    z, y, x = kernel
    return z // 2, y // 2, x // 2
