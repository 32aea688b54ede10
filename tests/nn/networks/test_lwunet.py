"""The seed system's network: its published weights, its arithmetic, its sizes."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from ewval.nn.networks.lwunet import LWUNet, LWUNetConfig
from ewval.nn.weights import load_network

UPSTREAM = Path(__file__).resolve().parents[3] / ".." / "shared" / "reference" / "upstream" / "state_dict.pth"
needs_upstream = pytest.mark.skipif(not UPSTREAM.exists(), reason="the published weights are not at hand")

Array = npt.NDArray[np.float64]


def inputs(edge: int, *, context: int = 2, count: int = 1) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(7)
    image = (torch.rand(count, edge, edge, edge, generator=generator) * 255).round()
    seed = (torch.rand(count, edge, edge, edge, generator=generator) > 0.8).float()
    confidence = torch.where(seed > 0, 1.0, 10.0)
    ancestors = (torch.rand(count, context, edge, edge, edge, generator=generator) > 0.7).float()
    return image, seed, confidence, ancestors


def convolve(array: Array, weight: Array, bias: Array) -> Array:
    """3^3 or 1^3 convolution with zeros outside, tap by tap; array [c, z, y, x], weight [o, c, k, k, k]."""
    size = weight.shape[2]
    edge = array.shape[1]
    padded = np.pad(array, [(0, 0)] + [(size // 2, size // 2)] * 3)
    result = np.zeros((weight.shape[0], *array.shape[1:])) + bias[:, None, None, None]
    for z, y, x in np.ndindex(size, size, size):
        window = padded[:, z : z + edge, y : y + edge, x : x + edge]
        result += np.einsum("oc,czyx->ozyx", weight[:, :, z, y, x], window)
    return result


def raise_twofold(array: Array, weight: Array, bias: Array) -> Array:
    """Transposed convolution, kernel 4, stride 2, padding 1: voxels add up their kernels."""
    edge = array.shape[1]
    result = np.zeros((weight.shape[1], *(2 * edge + 2,) * 3))
    for z, y, x in np.ndindex(4, 4, 4):
        stamped = np.einsum("co,czyx->ozyx", weight[:, :, z, y, x], array)
        result[:, z : z + 2 * edge : 2, y : y + 2 * edge : 2, x : x + 2 * edge : 2] += stamped
    return result[:, 1:-1, 1:-1, 1:-1] + bias[:, None, None, None]


def pool(array: Array) -> Array:
    channels, edge = array.shape[0], array.shape[1] // 2
    return array.reshape(channels, edge, 2, edge, 2, edge, 2).max(axis=(2, 4, 6))


def reference(weights: dict[str, Array], tensors: tuple[torch.Tensor, ...], *, loops: int) -> tuple[Array, Array]:
    """What the network computes, in float64 and with nothing but array operations; one sample."""
    image, seed, confidence, context = (tensor[0].double().numpy() for tensor in tensors)
    for _ in range(loops):
        stacked = np.concatenate([image[None], context, seed[None], confidence[None]])
        fine = np.maximum(convolve(stacked, weights["c1.weight"], weights["c1.bias"]), 0)
        middle = np.maximum(convolve(pool(fine), weights["c2.weight"], weights["c2.bias"]), 0)
        raised = np.maximum(raise_twofold(pool(middle), weights["rc1.weight"], weights["rc1.bias"]), 0)
        joined = np.concatenate([middle, raised])
        full = np.concatenate([fine, np.maximum(raise_twofold(joined, weights["rc2.weight"], weights["rc2.bias"]), 0)])
        logits = convolve(full, weights["logits.weight"], weights["logits.bias"])[0]
        sigma = np.logaddexp(0, convolve(full, weights["variance.weight"], weights["variance.bias"])[0]) + 1
        seed, confidence = 1 / (1 + np.exp(-logits / sigma)), sigma
    return logits, sigma


def as_arrays(network: LWUNet) -> dict[str, Array]:
    return {key: value.double().numpy() for key, value in network.state_dict().items()}


@needs_upstream
@pytest.mark.parametrize("loops", [1, 4])
def test_published_weights_give_what_float64_arithmetic_gives(loops: int) -> None:
    model = load_network(UPSTREAM)
    assert isinstance(model.network, LWUNet)
    tensors = inputs(16)
    with torch.inference_mode():
        logits, sigma = model.network(*tensors, loops=loops)
    expected_logits, expected_sigma = reference(as_arrays(model.network), tensors, loops=loops)
    assert np.abs(logits[0].numpy() - expected_logits).max() < 1e-4
    assert np.abs(sigma[0].numpy() - expected_sigma).max() < 1e-4


@pytest.mark.parametrize("loops", [1, 4])
def test_fresh_weights_give_what_float64_arithmetic_gives(loops: int) -> None:
    torch.manual_seed(3)
    network = LWUNet()
    tensors = inputs(12)
    with torch.inference_mode():
        logits, sigma = network(*tensors, loops=loops)
    expected_logits, expected_sigma = reference(as_arrays(network), tensors, loops=loops)
    assert np.abs(logits[0].numpy() - expected_logits).max() < 1e-4
    assert np.abs(sigma[0].numpy() - expected_sigma).max() < 1e-4


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in LWUNet().parameters()) == 147_218


@pytest.mark.parametrize(("count", "edge", "context"), [(1, 4, 2), (2, 8, 0), (3, 12, 5)])
def test_outputs_have_the_inputs_shape_and_sigma_is_at_least_one(count: int, edge: int, context: int) -> None:
    network = LWUNet(LWUNetConfig(context=context, loops=2))
    logits, sigma = network(*inputs(edge, context=context, count=count))
    assert logits.shape == sigma.shape == (count, edge, edge, edge)
    assert bool((sigma >= 1).all())


def test_every_loop_ends_with_the_last_ones_outputs() -> None:
    torch.manual_seed(0)
    network = LWUNet()
    tensors = inputs(8)
    every, _ = network(*tensors, loops=3, every_loop=True)
    last, _ = network(*tensors, loops=3)
    assert len(every) == 3
    assert torch.equal(every[-1], last)


def test_recomputing_changes_no_gradient() -> None:
    torch.manual_seed(0)
    network = LWUNet()
    gradients = []
    for recompute in (False, True):
        network.zero_grad()
        logits, sigma = network(*inputs(8), loops=3, recompute=recompute)
        (logits.mean() + sigma.mean()).backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_an_edge_that_pooling_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="edges that 4 divides"):
        LWUNet()(*inputs(10))


def test_another_number_of_ancestors_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold 2 ancestors"):
        LWUNet()(*inputs(8, context=1))


def test_no_loop_is_refused() -> None:
    with pytest.raises(ValueError, match="loops must be at least 1, not 0"):
        LWUNet()(*inputs(8), loops=0)


def test_a_configuration_without_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="context must be >= 0 and loops >= 1, not -1 and 4"):
        LWUNetConfig(context=-1)


def test_the_boundary_and_the_image_standardised_go_in_where_they_are_wanted() -> None:
    torch.manual_seed(3)
    network = LWUNet(LWUNetConfig(context=0, loops=1, boundary=True, standardise=True))
    image, seed, confidence, none = inputs(12, context=0)
    boundary = (torch.rand(1, 12, 12, 12, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    with torch.inference_mode():
        logits, _ = network(image, seed, confidence, none, boundary)
        brighter, _ = network(image * 0.5 + 20, seed, confidence, none, boundary)
    plain = (image - image.mean()) / image.std(correction=0), seed, confidence, boundary.unsqueeze(1)
    expected, _ = reference(as_arrays(network), plain, loops=1)
    assert np.abs(logits[0].numpy() - expected).max() < 1e-4
    assert torch.allclose(logits, brighter, atol=1e-4)
    with pytest.raises(ValueError, match="needs the boundary channel"):
        network(image, seed, confidence, none)
