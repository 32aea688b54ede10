"""`lwunet`, the network of the 2019 seed system: a light U-Net that runs a few times over its own answer.

Its published weights load as they are. Size rule: two levels of pooling by 2, so every edge is a multiple of 4.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ewval.core.constants import DEFAULT_CONTEXT, DEFAULT_LOOPS
from ewval.nn.network import Network

SIZE_MULTIPLE = 4


@dataclass(frozen=True, slots=True)
class LWUNetConfig:
    """How `LWUNet` is built: masks of `context` ancestors among its inputs, `loops` runs by default."""

    context: int = DEFAULT_CONTEXT
    loops: int = DEFAULT_LOOPS

    def __post_init__(self) -> None:
        if self.context < 0 or self.loops < 1:
            raise ValueError(f"context must be >= 0 and loops >= 1, not {self.context} and {self.loops}")


class LWUNet(Network):
    """Five input channels (image, two ancestors, seed, confidence), 147,218 parameters; `boundary` is not used.

    Source: reference implementation eyewire_validator (Brian Lim, 2019), `lwunet(n_grams=3, loops=4)`.
    """

    config: LWUNetConfig

    def __init__(self, config: LWUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or LWUNetConfig()
        # The names are those of the published state dict.
        self.c1 = nn.Conv3d(self.config.context + 3, 16, 3, padding=1)
        self.c2 = nn.Conv3d(16, 32, 3, padding=1)
        self.rc1 = nn.ConvTranspose3d(32, 32, 4, stride=2, padding=1)
        self.rc2 = nn.ConvTranspose3d(64, 16, 4, stride=2, padding=1)
        self.logits = nn.Conv3d(32, 1, 1)
        self.variance = nn.Conv3d(32, 1, 1)

    def prepare(self, image: Tensor, seed: Tensor, context: Tensor, boundary: Tensor | None) -> Tensor:  # noqa: ARG002 - not among this network's inputs
        """Return image and context through their part of the first convolution, [n, 16, z, y, x].

        A convolution is linear, so its input channels may be summed in two parts, of which one serves all loops.

        Raises:
            ValueError: An edge is not a multiple of 4, or the number of ancestors is not the configured one.
        """
        check_size(image, multiple=SIZE_MULTIPLE)
        check_context(context, expected=self.config.context)
        fixed = torch.cat([image.unsqueeze(1), context], dim=1)  # [n, 1 + p, z, y, x]
        return F.conv3d(fixed, self.c1.weight[:, : 1 + self.config.context], self.c1.bias, padding=1)

    def step(self, fixed: Tensor, seed: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and sigma [n, 1, z, y, x] of one loop."""
        changing = torch.cat([seed, confidence], dim=1)  # [n, 2, z, y, x]
        weight = self.c1.weight[:, 1 + self.config.context :]
        fine = F.relu_(fixed + F.conv3d(changing, weight, padding=1))  # [n, 16, z, y, x]
        middle = F.relu_(self.c2(F.max_pool3d(fine, 2)))  # [n, 32, z/2, y/2, x/2]
        coarse = F.max_pool3d(middle, 2)  # [n, 32, z/4, y/4, x/4]
        raised = torch.cat([middle, F.relu_(self.rc1(coarse))], dim=1)  # [n, 64, z/2, y/2, x/2]
        features = torch.cat([fine, F.relu_(self.rc2(raised))], dim=1)  # [n, 32, z, y, x]
        return self.logits(features), F.softplus(self.variance(features)) + 1.0


def check_size(image: Tensor, *, multiple: int) -> None:
    """Raise ValueError where an edge of `image` [n, z, y, x] is not a multiple of `multiple`."""
    if image.ndim != 4 or any(edge % multiple for edge in image.shape[1:]):
        raise ValueError(f"image must be [n, z, y, x] with edges that {multiple} divides, not {tuple(image.shape)}")


def check_context(context: Tensor, *, expected: int) -> None:
    """Raise ValueError where `context` [n, p, z, y, x] does not hold `expected` ancestors."""
    if context.ndim != 5 or context.shape[1] != expected:
        raise ValueError(f"context must hold {expected} ancestors, not have the shape {tuple(context.shape)}")
