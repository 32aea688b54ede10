"""Running a network over samples, once or mirrored, so that the answer does not depend on what runs beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ewval.core.errors import DamagedError
from ewval.core.tasks.samples import Sample
from ewval.nn.data.batches import Batch, collate
from ewval.nn.loss import probability
from ewval.nn.weights import Model

Flip = tuple[int, ...]
"""Axes that are mirrored, of z y x = -3 -2 -1."""
NO_FLIP: tuple[Flip, ...] = ((),)
ALL_FLIPS: tuple[Flip, ...] = tuple(
    tuple(axis for axis, is_mirrored in zip((-3, -2, -1), pattern, strict=True) if is_mirrored)
    for pattern in product((False, True), repeat=3)
)


@dataclass(frozen=True, slots=True)
class VoxelMaps:
    """What one network says about one sample: float32 [looks, 64, 64, 64] each, one look a flip."""

    probability: NDArray[np.float32]
    sigma: NDArray[np.float32]


def voxel_maps(
    model: Model,
    samples: Sequence[Sample],
    *,
    loops: int | None = None,
    flips: Sequence[Flip] = NO_FLIP,
    device: torch.device | str = "cpu",
    batch_size: int = 1,
) -> list[VoxelMaps]:
    """Return the maps of each sample.

    On a CPU each sample runs alone, because the last bits of a convolution may depend on the shape of its batch, and
    running alone costs nothing there. Elsewhere `batch_size` samples run at once; a short batch is filled up by
    repeating its last sample, so that every batch has one shape.

    Args:
        model: Whose network runs.
        samples: All of one size.
        loops: Runs over its own answer; default: as the card says.
        flips: How the cube is mirrored for each look; outputs are mirrored back.
        device: Where the network is.
        batch_size: Samples at once.

    Raises:
        DamagedError: The network computes no numbers.
    """
    target = torch.device(device)
    width = 1 if target.type == "cpu" else batch_size
    maps: list[VoxelMaps] = []
    for group in _groups(samples, width):
        filled = [*group, *[group[-1]] * (width - len(group))]
        batch = collate(filled).to(target)
        looks = [_look(model, batch, flip=flip, loops=loops) for flip in flips]
        for index in range(len(group)):
            maps.append(VoxelMaps(*(np.stack([look[part][index] for look in looks]) for part in (0, 1))))
    return maps


@torch.inference_mode()
def _look(
    model: Model, batch: Batch, *, flip: Flip, loops: int | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (probability, sigma) of one look, each [n, 64, 64, 64], mirrored back; raises as `check_finite`."""
    wanted = model.card.context
    context = batch.context[:, batch.context.shape[1] - wanted :]  # the latest ancestors stand last
    inputs = (batch.image, batch.seed, batch.confidence, context, batch.boundary)
    logits, sigma = model.network(
        *(_mirrored(tensor, flip) for tensor in inputs), loops=model.card.loops if loops is None else loops
    )
    check_finite(model, logits, sigma)
    chance = probability(logits.float(), sigma.float(), loss=model.card.loss, temperature=model.card.temperature)
    return _array(_mirrored(chance, flip)), _array(_mirrored(sigma.float(), flip))


def check_finite(model: Model, *outputs: Tensor) -> None:
    """Look for NaN and infinity in what a network computed: no later comparison would show them.

    Raises:
        DamagedError: There are some.
    """
    if not all(bool(torch.isfinite(output).all()) for output in outputs):
        raise DamagedError(f"model {model.card.name}", "it computes values that are not numbers (NaN or infinity)")


def _mirrored(tensor: Tensor, flip: Flip) -> Tensor:
    return torch.flip(tensor, flip) if flip else tensor


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.cpu().numpy(), dtype=np.float32)


def _groups(samples: Sequence[Sample], size: int) -> Iterator[Sequence[Sample]]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]
