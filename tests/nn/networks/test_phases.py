"""The arithmetic on phases is that of the layers it stands for."""

import torch
import torch.nn.functional as F

from ewval.nn.networks import phases


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
