"""Convolutions at full resolution, done at half of it: the eight voxels of each 2 x 2 x 2 block become channels.

A few channels on many voxels is the slowest shape that convolution libraries know; eight times the channels on an
eighth of the voxels is the same arithmetic (a part of it on zeros) several times faster. Phase 4a + 2b + d is the
voxel at offset (a, b, d) in its block, z y x; channels are ordered by phase first.
"""

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

PHASES = 8
OFFSETS = tuple(product((0, 1), (0, 1), (0, 1)))


def to_phases(array: Tensor) -> Tensor:
    """Return [n, c, z, y, x] as [n, 8 c, z/2, y/2, x/2]."""
    n, c, z, y, x = array.shape
    blocks = array.reshape(n, c, z // 2, 2, y // 2, 2, x // 2, 2).permute(0, 3, 5, 7, 1, 2, 4, 6)
    return blocks.reshape(n, PHASES * c, z // 2, y // 2, x // 2)


def from_phases(array: Tensor) -> Tensor:
    """Return [n, 8 c, z, y, x] as [n, c, 2z, 2y, 2x]."""
    n, channels, z, y, x = array.shape
    blocks = array.reshape(n, 2, 2, 2, channels // PHASES, z, y, x).permute(0, 4, 5, 1, 6, 2, 7, 3)
    return blocks.reshape(n, channels // PHASES, 2 * z, 2 * y, 2 * x)


def padded(parts: Sequence[Tensor]) -> Tensor:
    """Return [n, c, z, y, x] parts one after another in c, with a rim of one zero around each, in one pass."""
    n, _, z, y, x = parts[0].shape
    result = parts[0].new_zeros(n, sum(part.shape[1] for part in parts), z + 2, y + 2, x + 2)
    first = 0
    for part in parts:
        result[:, first : first + part.shape[1], 1:-1, 1:-1, 1:-1] = part
        first += part.shape[1]
    return result


def phase_kernel(weight: Tensor) -> Tensor:
    """Return the kernel [8 o, 8 c, 2, 2, 2] that does on phases what `weight` [o, c, 3, 3, 3] does with padding 1.

    It belongs on `to_phases(padded(...))`, and gives phases. Voxel 2b + f of the result needs voxels 2b + f + k
    (k = 0, 1, 2) of the padded input, which is phase (f + k) mod 2 of block b + (f + k) div 2.
    """
    place = weight.new_zeros(3, 2, 2, 2)  # k, phase out, phase in, block
    for k, out in product(range(3), range(2)):
        place[k, out, (out + k) % 2, (out + k) // 2] = 1
    spread = torch.einsum("ocijk,iapd,jbqe,kxrf->abxopqrcdef", weight, place, place, place)
    return spread.reshape(PHASES * weight.shape[0], PHASES * weight.shape[1], 2, 2, 2)


def raising_kernel(weight: Tensor) -> Tensor:
    """Return the kernel [8 o, c, 2, 2, 2] that does what a transposed `weight` [c, o, 4, 4, 4] does.

    Stride 2, padding 1. The kernel belongs on `padded(...)`, and its result goes through `windows`. Voxel 2b of the
    transposed convolution takes taps 3 and 1 of blocks b - 1 and b, voxel 2b + 1 taps 2 and 0 of blocks b and b + 1.
    """
    taps = torch.tensor([[3, 1], [2, 0]], device=weight.device)
    spread = weight[:, :, taps][:, :, :, :, taps][:, :, :, :, :, :, taps]  # c, o, then phase and block of z, y, x
    c, o = weight.shape[:2]
    return spread.permute(2, 4, 6, 1, 0, 3, 5, 7).reshape(PHASES * o, c, 2, 2, 2)


def windows(array: Tensor) -> Tensor:
    """Return the phases [n, 8 o, z, y, x] out of [n, 8 o, z + 1, y + 1, x + 1]: each begins at its own offset."""
    n, channels, z, y, x = array.shape
    apart = array.reshape(n, PHASES, channels // PHASES, z, y, x)
    cut = [apart[:, i, :, a : a + z - 1, b : b + y - 1, d : d + x - 1] for i, (a, b, d) in enumerate(OFFSETS)]
    return torch.stack(cut, dim=1).reshape(n, channels, z - 1, y - 1, x - 1)


def largest(array: Tensor) -> Tensor:
    """Return [n, c, z, y, x], the largest of the eight phases [n, 8 c, z, y, x]: max-pooling by 2."""
    return array.reshape(array.shape[0], PHASES, -1, *array.shape[2:]).amax(dim=1)


def mix_channels(array: Tensor, weight: Tensor) -> Tensor:
    """Apply the 1 x 1 x 1 convolution `weight` [o, c] to each phase of [n, 8 c, z, y, x]; return [n, 8 o, z, y, x]."""
    n, channels, *size = array.shape
    flat = array.reshape(n * PHASES, channels // PHASES, -1)
    mixed = torch.bmm(weight.expand(n * PHASES, -1, -1), flat)
    return mixed.reshape(n, PHASES * weight.shape[0], *size)


def convolve(array: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve with one of the kernels above; `bias` [o] is that of each phase."""
    return F.conv3d(array, kernel, None if bias is None else bias.repeat(PHASES))
