"""The straightforward form of the seed system's network: everything concatenated in every loop, layer by layer."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ewval.nn.networks.lwunet import LWUNet

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


def straightforward(net: LWUNet, inputs: Inputs, *, loops: int) -> tuple[Tensor, Tensor]:
    """Return logits and sigma [n, z, y, x] of the last loop."""
    image, seed, confidence, context = inputs
    for _ in range(loops):
        stacked = torch.cat([image[:, None], context, seed[:, None], confidence[:, None]], dim=1)
        fine = F.relu(net.c1(stacked))
        middle = F.relu(net.c2(F.max_pool3d(fine, 2)))
        raised = F.relu(net.rc1(F.max_pool3d(middle, 2)))
        full = torch.cat([fine, F.relu(net.rc2(torch.cat([middle, raised], dim=1)))], dim=1)
        logits, sigma = net.logits(full)[:, 0], F.softplus(net.variance(full))[:, 0] + 1
        seed, confidence = torch.sigmoid(logits / sigma), sigma
    return logits, sigma


def make_inputs(count: int, *, device: torch.device, edge: int = 64) -> Inputs:
    """Return random inputs of `count` samples."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, edge, edge, edge)
    image = (255 * torch.rand(shape, generator=generator)).round().to(device)
    seed = (torch.rand(shape, generator=generator) > 0.9).float().to(device)
    return image, seed, 10 - 9 * seed, torch.zeros(count, 2, edge, edge, edge, device=device)
