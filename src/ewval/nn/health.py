"""Whether the devices and the packaged models are in order."""

from collections.abc import Iterator

import torch

from ewval.core.doctor.health import Finding
from ewval.core.errors import EwvalError
from ewval.nn.weights import load_model, packaged_models


def check_device() -> Finding:
    """Return what `--device auto` would compute on."""
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        return Finding("device", "ok", f"cuda: {name}, {free / 1e9:.0f} of {total / 1e9:.0f} GB free")
    return Finding("device", "ok", f"cpu, {torch.get_num_threads()} threads (no CUDA device)")


def check_models() -> Iterator[Finding]:
    """Yield whether each packaged model loads and has the checksum that its card names."""
    for name in packaged_models():
        try:
            model = load_model(name)
        except EwvalError as error:
            yield Finding(f"model {name}", "problem", str(error), "pip install --force-reinstall ewval")
        else:
            yield Finding(f"model {name}", "ok", f"{model.card.arch}, checksum right")
