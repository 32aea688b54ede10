"""The losses per voxel, what each is and what it tends to, and how they are averaged.

All take `logits` and `sigma` (at least 1) and a binary `target`, float of one shape, and return that shape.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

LossName = Literal["bayes", "sampled", "bce"]
LOSS_NAMES: tuple[LossName, ...] = ("bayes", "sampled", "bce")
DEFAULT_SAMPLES = 10
TOUCHING_COUNT = 256
"""Numbers of segments in `Batch.touching`, 0 for none among them."""
PROBIT_FACTOR = math.pi / 8
"""Matches the slopes of the logistic and the normal distribution function (MacKay 1992, evidence framework)."""


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of sigmoid(logits).

    A likelihood (Bernoulli): the optimum is sigmoid(logits) = the true probability. Sigma has no part in it.
    """
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def bayes(logits: Tensor, sigma: Tensor, target: Tensor) -> Tensor:
    """BCE(sigmoid(logits / sigma), target) + log(sigma), the seed system's "Bayesian" loss.

    Not a likelihood: exp(-loss) sums over the two targets to 1/sigma. The first term depends on logits / sigma alone,
    so for any sigma above 1 the pair (logits / sigma, 1) fits as well and costs less: the optimum has sigma = 1
    everywhere and logits = the log-odds. Sigma acts as a robust weight while fitting is not finished, no more.
    Finite, with finite gradients, for any finite logits.
    """
    return F.binary_cross_entropy_with_logits(logits / sigma, target, reduction="none") + torch.log(sigma)


def sampled(logits: Tensor, sigma: Tensor, target: Tensor, *, noise: Tensor) -> Tensor:
    """-log mean_t sigmoid((2 target - 1) (logits + sigma noise_t)), with standard normal `noise` [T, *shape].

    A likelihood (a Bernoulli whose log-odds are normal with mean `logits` and deviation `sigma`), biased upwards for
    few samples. Its optimum is the true predictive probability; a voxel seen alone fixes only that one number, so
    logits and sigma are told apart by what the network can share between voxels, not by the loss.
    Source: Kendall and Gal 2017, arXiv 1703.04977, equation 12, for two classes.
    """
    samples = F.logsigmoid((2 * target - 1) * (logits + sigma * noise))  # [T, *shape]
    return math.log(noise.shape[0]) - torch.logsumexp(samples, dim=0)


def sampled_logit(logits: Tensor, sigma: Tensor) -> Tensor:
    """Log-odds of the mean over the noise in `sampled`, in one pass and within .015 in probability."""
    return logits / torch.sqrt(1 + PROBIT_FACTOR * sigma**2)


def predictive_logit(logits: Tensor, sigma: Tensor, *, loss: str, temperature: float = 1.0) -> Tensor:
    """Log-odds that a network trained with `loss` means by its outputs, divided by the calibration `temperature`.

    Raises:
        ValueError: `loss` has no such name.
    """
    if loss == "bayes":
        return logits / (sigma * temperature)
    if loss == "sampled":
        return sampled_logit(logits, sigma) / temperature
    if loss == "bce":
        return logits / temperature
    raise ValueError(f"unknown loss {loss!r}: one of {', '.join(LOSS_NAMES)}")


def probability(logits: Tensor, sigma: Tensor, *, loss: str, temperature: float = 1.0) -> Tensor:
    """Predictive probability of a voxel, float of the same shape in [0, 1]; closed form for every loss."""
    return torch.sigmoid(predictive_logit(logits, sigma, loss=loss, temperature=temperature))


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Which loss, and what counts how much in it.

    Args:
        name: `bayes`, `sampled` or `bce`.
        samples: Noise samples a voxel for `sampled`.
        every_loop: The mean over all loops instead of the last loop alone.
        seed_weight: Weight of the seed's own voxels. Handing back the seed is a deep local optimum: lower it so that
            what is to be added decides.
        target_weight: Weight of the target's voxels outside the seed.
        erosion: Voxels of the target within this distance of its surface count for nothing, since labels are least
            sure there.
        segments: Judge segments that touch the seed by their mean log-odds near it, instead of voxels: what the
            decision will look at. The three settings above then count for nothing.
    """

    name: LossName = "bayes"
    samples: int = DEFAULT_SAMPLES
    every_loop: bool = False
    seed_weight: float = 1.0
    target_weight: float = 1.0
    erosion: int = 0
    segments: bool = False

    def __post_init__(self) -> None:
        if self.name not in LOSS_NAMES:
            raise ValueError(f"unknown loss {self.name!r}: one of {', '.join(LOSS_NAMES)}")
        if self.samples < 1 or self.erosion < 0 or self.seed_weight < 0 or self.target_weight < 0:
            raise ValueError("samples must be >= 1; erosion and weights must be >= 0")


def voxel_weights(seed: Tensor, target: Tensor, config: LossConfig) -> Tensor:
    """Return how much each voxel counts, float [n, z, y, x]; all ones with the defaults."""
    weights = torch.ones_like(target)
    weights = torch.where(target > 0.5, torch.full_like(weights, config.target_weight), weights)
    weights = torch.where(seed > 0.5, torch.full_like(weights, config.seed_weight), weights)
    if config.erosion:
        weights = weights * (1 - _rim(target, width=config.erosion))
    return weights


def _rim(target: Tensor, *, width: int) -> Tensor:
    outside = F.max_pool3d((1 - target).unsqueeze(1), 2 * width + 1, stride=1, padding=width)
    return target * outside.squeeze(1)


def sample_loss(
    logits: Tensor, sigma: Tensor, target: Tensor, *, weights: Tensor, config: LossConfig, noise: Tensor | None = None
) -> Tensor:
    """Return the weighted mean over the voxels of each sample, [n], so that a sample's loss knows no other sample.

    Args:
        logits: Float [n, z, y, x], as `sigma`, `target` and `weights`.
        sigma: At least 1.
        target: 0 or 1.
        weights: How much each voxel counts.
        config: Which loss.
        noise: Standard normal [T, n, z, y, x], needed by `sampled` alone.
    """
    voxels = _voxel_loss(logits.float(), sigma.float(), target, config=config, noise=noise)
    axes = tuple(range(1, voxels.ndim))
    return (voxels * weights).sum(axes) / weights.sum(axes).clamp_min(1e-6)


def segment_loss(logits: Tensor, sigma: Tensor, target: Tensor, *, touching: Tensor, config: LossConfig) -> Tensor:
    """Return the loss of each sample over the segments that touch its seed, [n]; 0 where none does.

    A segment's log-odds are the mean over its voxels; it counts by the root of their number. What belongs to the neuron
    and what does not count alike in a sample that holds both.

    Args:
        logits: Float [n, z, y, x], as `sigma`, `target` and `touching`.
        sigma: At least 1.
        target: 0 or 1.
        touching: Number of the segment, from 1 on; 0 where there is none to judge.
        config: Which loss; `sampled` is taken by its closed form.
    """
    meant = predictive_logit(logits.float(), sigma.float(), loss=config.name)
    count = len(logits)
    offset = torch.arange(count, device=logits.device).view(-1, 1, 1, 1) * TOUCHING_COUNT
    place = (touching.long() + offset).reshape(-1)

    def summed(values: Tensor) -> Tensor:
        sums = values.new_zeros(count * TOUCHING_COUNT).index_add(0, place, values.reshape(-1))
        return sums.view(count, TOUCHING_COUNT)[:, 1:]

    voxels = summed(torch.ones_like(meant))
    truth = (summed(target) > 0.5 * voxels).to(meant.dtype)
    losses = bce(summed(meant) / voxels.clamp_min(1), truth)
    weights = voxels.sqrt()
    parts = [weights * truth, weights * (1 - truth)]
    means = [(losses * part).sum(1) / part.sum(1).clamp_min(1e-6) for part in parts]
    classes = sum((part.sum(1) > 0).to(meant.dtype) for part in parts)
    return (means[0] + means[1]) / torch.as_tensor(classes).clamp_min(1)


def _voxel_loss(logits: Tensor, sigma: Tensor, target: Tensor, *, config: LossConfig, noise: Tensor | None) -> Tensor:
    if config.name == "bce":
        return bce(logits, target)
    if config.name == "bayes":
        return bayes(logits, sigma, target)
    if noise is None:
        raise ValueError("the sampled loss needs noise")
    return sampled(logits, sigma, target, noise=noise)
