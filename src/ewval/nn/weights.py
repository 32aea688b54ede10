"""Networks by name or path, and the files that they are kept in: weights with their card, checkpoints of training, and
the state dict of the 2019 seed system. Nothing that is loaded here can run code."""

import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ewval.core.errors import DamagedError, EwvalError, UsageError
from ewval.core.models.card import ModelCard, parse_card
from ewval.core.models.files import CARD_KEY, read_weights, under, write_weights
from ewval.core.models.registry import DECIDERS, find_model
from ewval.core.storage.reading import reading
from ewval.nn.devices import pick_device
from ewval.nn.networks.architectures import build_network
from ewval.nn.networks.network import Network

__all__ = ["Model", "load_network", "model_from", "read_checkpoint", "read_pickled", "save_network"]

PREFIX = "network."
"""Of the keys of a network's tensors in a file."""
NOT_PICKLED = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    struct.error,
)
"""What torch raises over files of other kinds, text and damaged checkpoints among them."""
UPSTREAM_KEYS = frozenset(
    f"{layer}.{kind}" for layer in ("c1", "c2", "rc1", "rc2", "logits", "variance") for kind in ("weight", "bias")
)
"""Keys of the 2019 seed system's state dict, by which it is recognised."""


@dataclass(frozen=True, slots=True)
class Model:
    """A network ready to run, and what its card says of it."""

    card: ModelCard
    network: Network

    @property
    def device(self) -> torch.device:
        """Where it is; a network without weights is nowhere in particular."""
        return next((parameter.device for parameter in self.network.parameters()), torch.device("cpu"))


def load_network(name_or_path: str | Path, *, device: str | torch.device = "cpu") -> Model:
    """Return the network called so, on `device` and ready to predict.

    Args:
        name_or_path: A packaged or local name, or the path of a run folder, a .safetensors file, a checkpoint or the
            seed system's state dict.
        device: Where the network goes.

    Raises:
        MissingError: There is no such model.
        DamagedError: It is no model, or its file is not whole.
        DeviceError: `device` is not there.
        UsageError: It is a model without a network.
    """
    path = find_model(str(name_or_path))
    if path.suffix != ".safetensors":
        model = read_checkpoint(path)
    else:
        card, arrays = read_weights(path)
        if card.arch in DECIDERS:
            raise UsageError(f"model {card.name} is not a network: it decides with forests")
        model = model_from(card, arrays, what=f"model {path}")
    model.network.to(pick_device(device) if isinstance(device, str) else device).eval()
    return model


def save_network(path: Path, model: Model, *, half: bool = False) -> ModelCard:
    """Write `model` to `path` (.safetensors) and its card beside it; return the card with the sha256.

    Args:
        path: Where to.
        model: What to save.
        half: Store the tensors as float16, half the size.
    """
    tensors = model.network.state_dict()
    return write_weights(path, model.card, {PREFIX + key: _stored(value, half=half) for key, value in tensors.items()})


def model_from(card: ModelCard, arrays: Mapping[str, NDArray[Any]], *, what: str) -> Model:
    """Return the network that `card` describes with the arrays under `network.` as its weights.

    Raises:
        DamagedError: They do not fit, or are no numbers; `what` names the file.
    """
    tensors = {key: torch.from_numpy(np.array(value)).float() for key, value in under(arrays, PREFIX).items()}
    return Model(card, network_from(card, tensors, what=what))


def network_from(card: ModelCard, tensors: Mapping[str, Tensor], *, what: str) -> Network:
    """Return the network that `card` describes with `tensors` as its weights.

    Raises:
        DamagedError: They do not fit, or are no numbers; `what` names the file.
    """
    if any(not bool(torch.isfinite(tensor).all()) for tensor in tensors.values() if tensor.is_floating_point()):
        raise DamagedError(what, "its weights are not numbers (NaN or infinite)")
    try:
        network = build_network(card.arch, dict(card.config) | {"context": card.context, "loops": card.loops})
        network.load_state_dict(dict(tensors))
    except (EwvalError, RuntimeError) as error:
        raise DamagedError(what, f"its tensors do not fit {card.arch}: {_first_line(error)}") from error
    return network


def read_checkpoint(path: Path) -> Model:
    """Return the network of a checkpoint of `ewval train`, or of the seed system's state dict.

    Raises:
        DamagedError: It is neither.
    """
    what = f"model {path}"
    content = read_pickled(path)
    if not isinstance(content, dict):
        raise DamagedError(what, "neither an ewval checkpoint nor the seed system's state dict")
    if CARD_KEY in content and "network" in content:
        card = parse_card(content[CARD_KEY], what=what)
        weights = content["ema"]["weights"] if content.get("ema") else content["network"]
        return Model(card, network_from(card, {k: v.float() for k, v in weights.items()}, what=what))
    state = {str(key).removeprefix("module."): value for key, value in content.items()}
    if state.keys() != UPSTREAM_KEYS:
        raise DamagedError(what, "neither an ewval checkpoint nor the seed system's state dict")
    return Model(_upstream_card(path), network_from(_upstream_card(path), state, what=what))


def read_pickled(path: Path) -> Any:
    """Return what `torch.save` wrote to `path`: tensors and plain values only, never code.

    Raises:
        UnreadableError: It cannot be read.
        DamagedError: It is not whole, or holds anything else.
    """
    try:
        with reading(path, what=f"model {path}"), path.open("rb"):  # torch words it as damage
            pass
        return torch.load(path, map_location="cpu", weights_only=True)
    except NOT_PICKLED as error:
        raise DamagedError(f"model {path}", f"not a file of torch tensors: {_first_line(error)}") from error


def _stored(tensor: Tensor, *, half: bool) -> NDArray[Any]:
    wanted = torch.float16 if half and tensor.is_floating_point() else tensor.dtype
    return np.asarray(tensor.detach().to("cpu", wanted).contiguous().numpy())


def _upstream_card(path: Path) -> ModelCard:
    return ModelCard(
        name=path.stem,
        arch="lwunet",
        loss="bayes",
        config={"context": 2, "loops": 4},
        description="Weights of the 2019 seed system, which were trained with the answer among the inputs.",
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
