"""Which device the networks run on."""

import re

import torch

from ewval.core.errors import DeviceError, SettingError


def pick_device(text: str) -> torch.device:
    """Return the device that `text` (auto, cpu, cuda or cuda:N) names; auto takes a GPU where there is one.

    Raises:
        UsageError: `text` is none of these.
        DeviceError: The GPU asked for is not there.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", text):
        raise SettingError(f"{text!r} is none of auto, cpu, cuda, cuda:N", setting="device")
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(text)
    if device.type == "cuda":
        _check_gpu(text, index=device.index or 0)
    return device


def _check_gpu(text: str, *, index: int) -> None:
    if not torch.cuda.is_available():
        reason = "this torch is built without CUDA" if torch.version.cuda is None else "no GPU is visible"
        raise DeviceError(text, reason)
    if index >= torch.cuda.device_count():
        raise DeviceError(text, f"there are {torch.cuda.device_count()} GPUs")
