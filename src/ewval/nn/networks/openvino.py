"""Inference on CPUs through OpenVINO, several times faster than torch; needs the extra `fast`.

Each loop is one call of a compiled graph; what does not change between loops, and the loops themselves, stay in torch.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ewval.core.errors import ExtraError
from ewval.nn.networks.lwunet import LWUNet, fixed_inputs
from ewval.nn.networks.network import Network


def is_available() -> bool:
    """Whether OpenVINO is installed."""
    from importlib.util import find_spec

    return find_spec("openvino") is not None


class FastNetwork(Network):
    """What `network` computes, within 1e-3, for inference on the CPU; called in the same way.

    The graph is compiled at the first call with inputs of a new shape, which takes some seconds: batches should be of
    one size.

    Args:
        network: The network, on the CPU; its weights are copied at the first call.
        threads: Threads to use; default: torch's.

    Raises:
        ExtraError: OpenVINO is not installed.
    """

    def __init__(self, network: Network, *, threads: int | None = None) -> None:
        super().__init__()
        if not is_available():
            raise ExtraError("fast", "openvino")
        self.config = network.config
        # OpenVINO chooses its own layouts and wants the layers as they are, not as phases.
        self._network = PlainLWUNet(network) if isinstance(network, LWUNet) else network
        self._threads = threads
        self._compiled: dict[tuple[int, ...], Any] = {}

    def prepare(self, image: Tensor, seed: Tensor, context: Tensor, boundary: Tensor | None) -> Any:
        """Return what the network's own `prepare` gives."""
        return self._network.prepare(image, seed, context, boundary)

    def step(self, fixed: Any, seed: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and sigma [n, 1, z, y, x] of one loop."""
        inputs = (fixed, seed, confidence)
        shape = tuple(fixed.shape)
        if shape not in self._compiled:
            self._compiled[shape] = compile_step(self._network, inputs, threads=self._threads)
        outputs = self._compiled[shape]([tensor.contiguous().numpy() for tensor in inputs])
        # The request's own memory is written again by the next loop.
        return torch.from_numpy(outputs[0].copy()), torch.from_numpy(outputs[1].copy())


def compile_step(network: Network, inputs: tuple[Tensor, Tensor, Tensor], *, threads: int | None) -> Any:
    """Return the compiled graph of one loop of `network` for inputs of these shapes, in float32."""
    import openvino

    with torch.inference_mode():
        graph = openvino.convert_model(_Step(network), example_input=inputs, input=[list(i.shape) for i in inputs])
    settings = {
        "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    return openvino.Core().compile_model(graph, "CPU", settings)


class _Step(nn.Module):
    """One loop as a module of its own, which is what can be traced."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, fixed: Tensor, seed: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.step(fixed, seed, confidence)


class PlainLWUNet(Network):
    """`LWUNet` layer by layer as it is described, everything concatenated in every loop."""

    def __init__(self, network: LWUNet) -> None:
        super().__init__()
        self.config = network.config
        self.layers = network

    def prepare(self, image: Tensor, seed: Tensor, context: Tensor, boundary: Tensor | None) -> Tensor:  # noqa: ARG002 - the seed changes with each loop
        """Return what no loop changes side by side, [n, c, z, y, x]."""
        return torch.cat(fixed_inputs(self.config, image, context, boundary), dim=1)

    def step(self, fixed: Tensor, seed: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and sigma [n, 1, z, y, x] of one loop."""
        net = self.layers
        fine = F.relu(net.c1(torch.cat([fixed, seed, confidence], dim=1)))  # [n, 16, z, y, x]
        middle = F.relu(net.c2(F.max_pool3d(fine, 2)))  # [n, 32, z/2, y/2, x/2]
        raised = torch.cat([middle, F.relu(net.rc1(F.max_pool3d(middle, 2)))], dim=1)  # [n, 64, z/2, y/2, x/2]
        full = torch.cat([fine, F.relu(net.rc2(raised))], dim=1)  # [n, 32, z, y, x]
        return net.logits(full), F.softplus(net.variance(full)) + 1.0
