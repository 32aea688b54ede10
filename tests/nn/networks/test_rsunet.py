"""The residual symmetric U-Net, and the arithmetic on phases that both networks use."""

import pytest
import torch
import torch.nn.functional as F

from ewval.nn.networks import phases
from ewval.nn.networks.rsunet import RSUNet, RSUNetConfig, plan_levels, standardise

SMALL = RSUNetConfig(widths=(4, 6, 8), loops=2)


def inputs(*size: int, count: int = 2, context: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    image, mask = (torch.rand(count, *size, generator=generator) for _ in range(2))
    seed = (mask > 0.8).float()
    return 255 * image, seed, 10 - 9 * seed, torch.zeros(count, context, *size), (mask < 0.3).float()


@pytest.mark.parametrize(
    ("config", "size"),
    [
        (SMALL, (16, 16, 16)),
        (SMALL, (8, 16, 24)),
        (RSUNetConfig(widths=(4, 6), patched=False, blocks=2), (6, 4, 2)),
        (RSUNetConfig(widths=(4,), boundary=False, context=0), (2, 2, 4)),
        (RSUNetConfig(widths=(4, 6, 8), voxel_size_nm=(40, 8, 8)), (4, 8, 8)),
    ],
)
def test_outputs_have_the_inputs_shape(config: RSUNetConfig, size: tuple[int, ...]) -> None:
    network = RSUNet(config)
    logits, sigma = network(*inputs(*size, context=config.context))
    assert logits.shape == sigma.shape == (2, *size)
    assert bool((sigma >= 1).all())


def test_an_edge_that_pooling_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="edges that 8 divides"):
        RSUNet(SMALL)(*inputs(8, 8, 12))


def test_a_missing_boundary_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the boundary channel"):
        RSUNet(SMALL)(*inputs(8, 8, 8)[:4])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loops": 0}, "loops and blocks must be >= 1"),
        ({"widths": (4, 0)}, "widths must be positive"),
        ({"voxel_size_nm": (1.0, 1.0)}, "must be three positive lengths"),
    ],
)
def test_a_configuration_without_sense_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RSUNetConfig(**values)  # type: ignore[arg-type]


def test_a_sample_knows_no_other_sample() -> None:
    network = RSUNet(SMALL).eval()
    tensors = inputs(16, 8, 8, count=3)
    with torch.inference_mode():
        together, _ = network(*tensors)
        alone, _ = network(*(tensor[1:2] for tensor in tensors))
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_brightness_and_contrast_of_the_whole_cube_do_not_matter() -> None:
    network = RSUNet(SMALL).eval()
    image, *others = inputs(16, 8, 8)
    with torch.inference_mode():
        plain, _ = network(image, *others)
        changed, _ = network(0.3 * image + 60, *others)
    assert torch.allclose(plain, changed, atol=1e-4)


def test_a_flat_cube_becomes_zeros() -> None:
    assert torch.equal(standardise(torch.full((1, 2, 2, 2), 7.0)), torch.zeros(1, 2, 2, 2))


def test_near_isotropic_voxels_are_pooled_on_all_axes() -> None:
    assert [level.stride for level in plan_levels((23.0, 16.5, 16.5), depth=3)] == [(2, 2, 2)] * 3


def test_a_coarse_axis_waits_until_the_others_have_caught_up() -> None:
    levels = plan_levels((40, 8, 8), depth=4)
    assert [level.stride for level in levels] == [(1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2)]
    assert [level.kernel for level in levels] == [(1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3)]


def test_golden_numbers() -> None:
    network = RSUNet(SMALL)
    with torch.no_grad():
        for parameter in network.parameters():
            values = torch.linspace(1, 2, parameter.numel()).mul(99).sin() * 0.1
            parameter.copy_(values.reshape(parameter.shape))
        logits, sigma = network(*inputs(16, 8, 8))
    assert [logits.mean().item(), logits.std().item()] == pytest.approx([0.0452538, 0.0817157], rel=1e-3)
    assert [sigma.mean().item(), sigma.std().item()] == pytest.approx([1.7192509, 0.0391540], rel=1e-3)


def test_phases_are_undone() -> None:
    array = torch.rand(2, 3, 4, 6, 8)
    assert torch.equal(phases.from_phases(phases.to_phases(array)), array)
    assert torch.equal(phases.largest(phases.to_phases(array)), F.max_pool3d(array, 2))


def test_a_convolution_on_phases_is_the_convolution() -> None:
    array, weight, bias = torch.rand(2, 3, 4, 6, 8), torch.rand(5, 3, 3, 3, 3), torch.rand(5)
    found = phases.convolve(phases.to_phases(phases.padded([array])), phases.phase_kernel(weight), bias)
    assert torch.allclose(phases.from_phases(found), F.conv3d(array, weight, bias, padding=1), atol=1e-5)


def test_a_transposed_convolution_on_phases_is_the_transposed_convolution() -> None:
    array, weight, bias = torch.rand(2, 3, 4, 6, 8), torch.rand(3, 5, 4, 4, 4), torch.rand(5)
    found = phases.windows(phases.convolve(phases.padded([array]), phases.raising_kernel(weight), bias))
    expected = F.conv_transpose3d(array, weight, bias, stride=2, padding=1)
    assert torch.allclose(phases.from_phases(found), expected, atol=1e-5)


def test_mixed_channels_are_a_convolution_of_one_voxel() -> None:
    array, weight = torch.rand(2, 3, 4, 6, 8), torch.rand(5, 3)
    found = phases.from_phases(phases.mix_channels(phases.to_phases(array), weight))
    assert torch.allclose(found, F.conv3d(array, weight[:, :, None, None, None]), atol=1e-5)


def test_padding_joins_parts() -> None:
    first, second = torch.rand(1, 2, 3, 4, 5), torch.rand(1, 1, 3, 4, 5)
    assert torch.equal(phases.padded([first, second]), F.pad(torch.cat([first, second], dim=1), (1,) * 6))
