"""The OpenVINO road gives what torch gives."""

import pytest
import torch

from ewval.core.errors import ExtraError
from ewval.nn.networks import openvino as fast
from ewval.nn.networks.lwunet import LWUNet
from ewval.nn.networks.network import Network
from ewval.nn.networks.rsunet import RSUNet, RSUNetConfig

NETWORKS: list[Network] = [LWUNet(), RSUNet(RSUNetConfig(widths=(4, 8), loops=2))]


@pytest.mark.parametrize("network", NETWORKS, ids=["lwunet", "rsunet"])
@pytest.mark.parametrize("loops", [2])
@pytest.mark.filterwarnings("ignore")  # what openvino and the tracer warn of is not ours
def test_it_gives_what_torch_gives(network: Network, loops: int) -> None:
    pytest.importorskip("openvino")
    generator = torch.Generator().manual_seed(0)
    image, mask = 255 * torch.rand(2, 16, 8, 8, generator=generator), torch.rand(2, 16, 8, 8, generator=generator)
    seed = (mask > 0.8).float()
    inputs = image, seed, 10 - 9 * seed, torch.zeros(2, 2, 16, 8, 8), (mask < 0.3).float()
    with torch.inference_mode():
        expected = network.eval()(*inputs, loops=loops)
        found = fast.FastNetwork(network)(*inputs, loops=loops)
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, atol=1e-3)


def test_without_openvino_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "is_available", lambda: False)
    with pytest.raises(ExtraError, match=r"openvino is not installed \(extra 'fast'\)"):
        fast.FastNetwork(LWUNet())
