"""The networks by the name that `--arch` and model cards use."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ewval.core.errors import UsageError
from ewval.nn.networks.lwunet import LWUNet, LWUNetConfig
from ewval.nn.networks.network import Network

ARCHITECTURES = ("lwunet",)


def build_network(arch: str, config: Mapping[str, Any] | None = None) -> Network:
    """Return a fresh network called `arch`; `config` overrides fields of its configuration.

    Raises:
        UsageError: No such architecture, or values that its configuration refuses.
    """
    try:
        if arch == "lwunet":
            return LWUNet(LWUNetConfig(**(config or {})))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{arch} cannot be built so: {error}") from error
    raise UsageError(f"there is no architecture {arch!r}: one of {', '.join(ARCHITECTURES)}")


def network_config(network: Network) -> dict[str, Any]:
    """Return the configuration of `network` as JSON-ready values, enough to build it again."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(network.config).items()}
