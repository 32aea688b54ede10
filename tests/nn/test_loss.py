"""The losses: what they are, their gradients, and that no logit breaks them."""

import math

import numpy as np
import pytest
import torch

from ewval.nn.loss import (
    LossConfig,
    bayes,
    bce,
    predictive_logit,
    probability,
    sample_loss,
    sampled,
    segment_loss,
    voxel_weights,
)


def test_bayes_has_the_gradients_of_its_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(500, generator=generator, dtype=torch.float64) * 20).requires_grad_()
    sigma = (1 + 5 * torch.rand(500, generator=generator, dtype=torch.float64)).requires_grad_()
    target = (torch.rand(500, generator=generator) > 0.5).double()
    bayes(logits, sigma, target).sum().backward()
    wrong = torch.sigmoid(logits / sigma) - target
    assert logits.grad is not None
    assert sigma.grad is not None
    assert bool(((logits.grad - wrong / sigma).abs() < 1e-10).all())
    assert bool(((sigma.grad - (1 / sigma - logits * wrong / sigma**2)).abs() < 1e-10).all())


@pytest.mark.parametrize("name", ["bayes", "sampled", "bce"])
@pytest.mark.parametrize("logit", [-1e4, 1e4, 0.0])
@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_no_logit_gives_nan_or_inf(name: str, logit: float, truth: float) -> None:
    logits = torch.full((1, 2, 2, 2), logit, requires_grad=True)
    sigma = torch.full((1, 2, 2, 2), 1.5, requires_grad=True)
    target = torch.full((1, 2, 2, 2), truth)
    noise = torch.randn(10, 1, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    config = LossConfig(name=name)  # type: ignore[arg-type]
    value = sample_loss(logits, sigma, target, weights=torch.ones_like(target), config=config, noise=noise).sum()
    value.backward()
    assert math.isfinite(value.item())
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())
    assert sigma.grad is None or bool(torch.isfinite(sigma.grad).all())


def integrate(logit: float, sigma: float) -> float:
    """Mean of sigmoid(logit + sigma e) over a standard normal e, on a fine grid."""
    grid = np.linspace(-10, 10, 200_001)
    density = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
    return float(np.trapezoid(density / (1 + np.exp(-(logit + sigma * grid))), grid))


@pytest.mark.parametrize(("logit", "sigma"), [(0.0, 1.0), (2.0, 2.0), (-3.0, 1.0), (4.0, 3.0), (1.0, 5.0)])
@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_many_samples_come_close_to_the_integral(logit: float, sigma: float, truth: float) -> None:
    # The mean over 200 voxels: a single one of 1,000 samples scatters by more than the bias looked for.
    noise = torch.randn(1000, 200, generator=torch.Generator().manual_seed(1))
    voxels = torch.full((200,), logit), torch.full((200,), sigma), torch.full((200,), truth)
    found = float(sampled(*voxels, noise=noise).mean())
    share = integrate(logit, sigma)
    assert found == pytest.approx(-math.log(share if truth else 1 - share), abs=1e-2)


@pytest.mark.parametrize("logit", [-6.0, -1.0, 0.0, 2.0, 5.0])
@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_the_closed_form_comes_close_to_the_integral(logit: float, sigma: float) -> None:
    found = probability(torch.tensor(logit), torch.tensor(sigma), loss="sampled")
    assert float(found) == pytest.approx(integrate(logit, sigma), abs=0.02)


def test_bayes_prefers_a_sigma_of_one() -> None:
    """For any logits / sigma the same quotient with sigma 1 costs less."""
    quotient, target = torch.linspace(-5, 5, 21), torch.ones(21)
    cheap = bayes(quotient, torch.ones(21), target)
    assert bool((bayes(3 * quotient, torch.full((21,), 3.0), target) > cheap + 1).all())


def test_bce_does_not_look_at_sigma() -> None:
    logits, target = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    assert bce(logits, target).tolist() == pytest.approx([math.log(2), math.log(1 + math.e)])


@pytest.mark.parametrize(
    ("loss", "expected"), [("bayes", 1.0), ("sampled", 4 / math.sqrt(1 + math.pi / 2) / 2), ("bce", 2.0)]
)
def test_each_loss_has_its_own_predictive_log_odds(loss: str, expected: float) -> None:
    found = predictive_logit(torch.tensor(4.0), torch.tensor(2.0), loss=loss, temperature=2.0)
    assert float(found) == pytest.approx(expected)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown loss 'dice': one of bayes, sampled, bce"):
        predictive_logit(torch.zeros(1), torch.ones(1), loss="dice")
    with pytest.raises(ValueError, match="unknown loss 'dice'"):
        LossConfig(name="dice")  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [{"samples": 0}, {"erosion": -1}, {"seed_weight": -0.1}])
def test_a_configuration_without_sense_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="samples must be >= 1"):
        LossConfig(**values)  # type: ignore[arg-type]


def test_the_sampled_loss_asks_for_its_noise() -> None:
    voxels = torch.zeros(1, 2, 2, 2)
    with pytest.raises(ValueError, match="needs noise"):
        sample_loss(voxels, voxels + 1, voxels, weights=voxels + 1, config=LossConfig(name="sampled"))


def test_weights_tell_seed_addition_and_background_apart() -> None:
    seed, target = torch.tensor([[[[1.0, 0.0, 0.0]]]]), torch.tensor([[[[1.0, 1.0, 0.0]]]])
    weights = voxel_weights(seed, target, LossConfig(seed_weight=0.25, target_weight=4.0))
    assert weights.tolist() == [[[[0.25, 4.0, 1.0]]]]


def test_erosion_leaves_out_the_rim_of_the_target_alone() -> None:
    target = torch.zeros(1, 7, 7, 7)
    target[:, 1:6, 1:6, 1:6] = 1
    weights = voxel_weights(torch.zeros_like(target), target, LossConfig(erosion=1))
    assert float(weights.sum()) == 7**3 - 5**3 + 3**3
    assert bool((weights[target == 0] == 1).all())


def test_a_samples_loss_knows_no_other_sample() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(3, 4, 4, 4, generator=generator), (torch.rand(3, 4, 4, 4) > 0.5).float()
    weights, config = torch.rand(3, 4, 4, 4, generator=generator), LossConfig(name="bce")
    together = sample_loss(logits, logits, target, weights=weights, config=config)
    alone = [
        sample_loss(logits[i : i + 1], logits[i : i + 1], target[i : i + 1], weights=weights[i : i + 1], config=config)
        for i in range(3)
    ]
    assert torch.allclose(together, torch.cat(alone))


def test_a_segment_counts_as_a_whole_and_both_kinds_alike() -> None:
    logits = torch.tensor([[[[2.0, 0.0, 0.0, 0.0, 0.0, -1.0, 9.0]]]])
    touching = torch.tensor([[[[1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 0.0]]]])
    target = torch.tensor([[[[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]]])
    found = segment_loss(logits, torch.ones_like(logits), target, touching=touching, config=LossConfig(name="bce"))
    true, foreign = math.log(1 + math.exp(-1)), [math.log(2), math.log(1 + math.exp(-1))]
    roots = [math.sqrt(3), 1.0]
    expected = (true + (roots[0] * foreign[0] + roots[1] * foreign[1]) / sum(roots)) / 2
    assert found.tolist() == pytest.approx([expected])


def test_a_sample_beside_which_nothing_lies_costs_nothing() -> None:
    logits = torch.ones(2, 1, 1, 2, requires_grad=True)
    touching = torch.tensor([[[[0.0, 0.0]]], [[[1.0, 0.0]]]])
    loss = segment_loss(
        logits, torch.ones_like(logits), torch.zeros_like(touching), touching=touching, config=LossConfig(name="bce")
    )
    loss.sum().backward()
    assert loss[0].item() == 0
    assert loss[1].item() == pytest.approx(math.log(1 + math.e))
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == pytest.approx([0, 0, 1 / (1 + math.exp(-1)), 0])
