"""Networks by name."""

import pytest

from ewval.core.errors import UsageError
from ewval.nn.networks.architectures import build_network


def test_an_unknown_architecture_or_odd_values_are_refused() -> None:
    with pytest.raises(UsageError, match="there is no architecture 'unet': one of lwunet"):
        build_network("unet")
    with pytest.raises(UsageError, match="lwunet cannot be built so: context must be >= 0"):
        build_network("lwunet", {"context": -1})
    with pytest.raises(UsageError, match="lwunet cannot be built so"):
        build_network("lwunet", {"depth": 3})
