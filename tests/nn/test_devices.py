"""Devices by their names, and those that are not there."""

import pytest
import torch

from ewval.core.errors import DeviceError, UsageError
from ewval.nn.devices import pick_device


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UsageError, match="device 'gpu' is none of auto, cpu, cuda, cuda:N"):
        pick_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said_so() -> None:
    with pytest.raises(DeviceError, match=r"device cuda:0 is not available: (this torch is built|no GPU)"):
        pick_device("cuda:0")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_beyond_the_last_is_said_so() -> None:
    with pytest.raises(DeviceError, match="device cuda:99 is not available: there are"):
        pick_device("cuda:99")
