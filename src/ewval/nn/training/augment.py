"""Variations of the training samples: symmetries, intensity, noise, and one defect of the microscope a sample.

What is drawn for a sample depends on the seed, the round and the task alone: not on its batch, nor on the process that
trains on it, nor on whether training was interrupted.
Source: values after the profile of PyTorch Connectomics (2026), scaled to voxels of the packed volumes.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ewval.nn.data.batches import Batch
from ewval.nn.training.symmetry import move, symmetries

SymmetryName = Literal["none", "keep-z", "all"]
GREY_RANGE = 255.0
Defect = Callable[[Batch, torch.Generator], Batch]
"""Takes a batch of one sample and where its randomness comes from; returns a changed copy."""


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """What is varied, and how often.

    Args:
        symmetries: `keep-z` (16), `all` (48) or `none`.
        intensity: Chance of another contrast and brightness.
        noise: Chance of added noise.
        defect: Chance of one defect: missing, shifted or blurred sections, or a missing part.
    """

    symmetries: SymmetryName = "keep-z"
    intensity: float = 0.0
    noise: float = 0.0
    defect: float = 0.0

    def __post_init__(self) -> None:
        if self.symmetries not in ("none", "keep-z", "all"):
            raise ValueError(f"unknown symmetries {self.symmetries!r}: one of none, keep-z, all")
        if any(not 0 <= chance <= 1 for chance in (self.intensity, self.noise, self.defect)):
            raise ValueError("chances must be in [0, 1]")


PLAIN = AugmentConfig(symmetries="none")
FULL = AugmentConfig(intensity=0.7, noise=0.5, defect=0.3)


def augment(batch: Batch, config: AugmentConfig, *, seed: int, turn: int) -> Batch:
    """Return `batch` with each sample varied by itself, as `seed`, `turn` (the round of training) and its task say."""
    if config == PLAIN:
        return batch
    return join([_augment_one(one, config, generator=_generator(seed, turn, one)) for one in split(batch)])


def split(batch: Batch) -> list[Batch]:
    """Return the samples of `batch` as batches of one."""
    return [part(batch, slice(index, index + 1)) for index in range(len(batch.tasks))]


def part(batch: Batch, which: slice) -> Batch:
    """Return the samples `which` of `batch`."""
    return Batch(
        tasks=batch.tasks[which],
        image=batch.image[which],
        seed=batch.seed[which],
        confidence=batch.confidence[which],
        context=batch.context[which],
        boundary=batch.boundary[which],
        target=None if batch.target is None else batch.target[which],
        touching=None if batch.touching is None else batch.touching[which],
    )


def join(batches: list[Batch]) -> Batch:
    """Return one batch of all samples of `batches`."""
    targets = [batch.target for batch in batches if batch.target is not None]
    touching = [batch.touching for batch in batches if batch.touching is not None]
    return Batch(
        tasks=torch.cat([batch.tasks for batch in batches]),
        image=torch.cat([batch.image for batch in batches]),
        seed=torch.cat([batch.seed for batch in batches]),
        confidence=torch.cat([batch.confidence for batch in batches]),
        context=torch.cat([batch.context for batch in batches]),
        boundary=torch.cat([batch.boundary for batch in batches]),
        target=torch.cat(targets) if len(targets) == len(batches) else None,
        touching=torch.cat(touching) if len(touching) == len(batches) else None,
    )


def _generator(seed: int, turn: int, batch: Batch) -> torch.Generator:
    text = f"{seed} {turn} {int(batch.tasks[0])}"
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())
    return torch.Generator().manual_seed(key)


def _augment_one(batch: Batch, config: AugmentConfig, *, generator: torch.Generator) -> Batch:
    # Every draw happens whether it is used or not, so that one chance does not shift what the others draw.
    chances = torch.rand(3, generator=generator).tolist()
    which = int(torch.randint(48, (1,), generator=generator))
    if config.symmetries != "none":
        choices = symmetries(keep_z=config.symmetries == "keep-z")
        batch = move(batch, choices[which % len(choices)])
    if chances[0] < config.defect:
        batch = DEFECTS[_draw(len(DEFECTS), generator)](batch, generator)
    if chances[1] < config.intensity:
        batch = change_intensity(batch, generator)
    if chances[2] < config.noise:
        batch = add_noise(batch, generator)
    return batch


def _draw(below: int, generator: torch.Generator, *, start: int = 0) -> int:
    return int(torch.randint(start, below, (1,), generator=generator))


def change_intensity(batch: Batch, generator: torch.Generator) -> Batch:
    """Scale the contrast by .7 to 1.4 about the mean and shift the brightness by up to a fifth of the range."""
    first, second = torch.rand(2, generator=generator).tolist()
    mean = batch.image.mean()
    image = (batch.image - mean) * (0.7 + 0.7 * first) + mean + GREY_RANGE * 0.4 * (second - 0.5)
    return replace(batch, image=image.clamp(0, GREY_RANGE))


def add_noise(batch: Batch, generator: torch.Generator) -> Batch:
    """Add normal noise of a deviation up to a tenth of the range."""
    strength = 0.1 * GREY_RANGE * float(torch.rand(1, generator=generator))
    noise = torch.randn(batch.image.shape, generator=generator).to(batch.image.device)
    return replace(batch, image=(batch.image + strength * noise).clamp(0, GREY_RANGE))


def lose_sections(batch: Batch, generator: torch.Generator) -> Batch:
    """Make one or two neighbouring sections of the image black."""
    first = _draw(batch.image.shape[1], generator)
    image = batch.image.clone()
    image[:, first : first + _draw(3, generator, start=1)] = 0
    return replace(batch, image=image)


def lose_part(batch: Batch, generator: torch.Generator) -> Batch:
    """Make a block of the image grey, a quarter of the edge long on each axis."""
    image = batch.image.clone()
    low = [_draw(edge - edge // 4 + 1, generator) for edge in image.shape[1:]]
    z, y, x = (slice(start, start + edge // 4) for start, edge in zip(low, image.shape[1:], strict=True))
    image[:, z, y, x] = image.mean()
    return replace(batch, image=image)


def blur_sections(batch: Batch, generator: torch.Generator) -> Batch:
    """Blur up to four neighbouring sections of the image within their planes."""
    first = _draw(batch.image.shape[1], generator)
    which = slice(first, first + _draw(5, generator, start=1))
    image = batch.image.clone()
    padded = F.pad(image[:, which], (2, 2, 2, 2), mode="replicate")
    image[:, which] = F.avg_pool2d(padded, 5, stride=1)
    return replace(batch, image=image)


def shift_sections(batch: Batch, generator: torch.Generator) -> Batch:
    """Move all sections from one on sideways by up to 4 voxels: image, segments, masks and context alike."""
    edge = batch.image.shape[1]
    first = _draw(edge, generator, start=edge // 8)
    down, right = _draw(5, generator, start=-4), _draw(5, generator, start=-4)

    def shifted(array: Tensor, empty: float) -> Tensor:
        moved = array.clone()
        moved[..., first:, :, :] = _shift(array[..., first:, :, :], down, right, empty=empty)
        return moved

    return replace(
        batch,
        image=shifted(batch.image, 0.0),
        seed=shifted(batch.seed, 0.0),
        confidence=shifted(batch.confidence, float(batch.confidence.max())),
        context=shifted(batch.context, 0.0),
        boundary=shifted(batch.boundary, 1.0),
        target=None if batch.target is None else shifted(batch.target, 0.0),
        touching=None if batch.touching is None else shifted(batch.touching, 0.0),
    )


def _shift(array: Tensor, down: int, right: int, *, empty: float) -> Tensor:
    height, width = array.shape[-2:]
    result = torch.full_like(array, empty)
    result[..., max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = array[
        ..., max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return result


DEFECTS: tuple[Defect, ...] = (lose_sections, lose_part, blur_sections, shift_sections)
