"""Models by name or path: a network, its card, and a segment head where it has one.

A model is two files: NAME.safetensors (network tensors under `network.`, those of the head under `head.`, the card in
the metadata) and NAME.json (the card again, with the sha256 of the first). Packaged models come with ewval; local ones
lie in the user's data folder. Nothing that is loaded here can run code.
"""

import hashlib
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import platformdirs
import safetensors
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from ewval.core.errors import DamagedError, EwvalError, MissingError
from ewval.core.forest.model import SegmentHead
from ewval.core.storage.files import write_atomically
from ewval.nn.card import ModelCard, parse_card
from ewval.nn.devices import pick_device
from ewval.nn.networks.architectures import build_network
from ewval.nn.networks.network import Network

__all__ = ["Model", "ModelCard", "load_model", "model_paths", "packaged_models", "pick_device", "save_model"]

DEFAULT_MODEL = "graph"
"""The packaged model that is used where none is named."""
CARD_KEY = "card"
RUN_FILES = ("model.safetensors", "best.pt", "last.pt")
"""What a run folder is looked through for, in this order."""
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
    """A network ready to run, what its card says of it, and its segment head or None."""

    card: ModelCard
    network: Network
    head: Any = None

    @property
    def by_segments(self) -> bool:
        """Whether it decides over the segment graph, not over its own voxels pooled."""
        return self.head is not None or self.card.joining is not None


def load_model(name_or_path: str | Path | None = None, *, device: str | torch.device = "cpu") -> Model:
    """Return the model called so, on `device` and ready to predict.

    Args:
        name_or_path: A packaged or local name, or the path of a run folder, a .safetensors file, a checkpoint or the
            seed system's state dict; None for the packaged default.
        device: Where the network goes.

    Raises:
        MissingError: There is no such model.
        DamagedError: It is no model, or its file is not whole.
        DeviceError: `device` is not there.
    """
    chosen = pick_device(device) if isinstance(device, str) else device
    model = _read(_find(DEFAULT_MODEL if name_or_path is None else str(name_or_path)))
    model.network.to(chosen).eval()
    return model


def packaged_models() -> list[str]:
    """Return the names of the models that come with ewval."""
    return sorted(path.stem for path in _packaged_folder().glob("*.safetensors"))


def model_paths() -> dict[str, Path]:
    """Return every model that has a name, packaged or local; a packaged name wins."""
    local = platformdirs.user_data_path("ewval") / "models"
    return {path.stem: path for folder in (local, _packaged_folder()) for path in sorted(folder.glob("*.safetensors"))}


def save_model(path: Path, model: Model, *, half: bool = False) -> ModelCard:
    """Write `model` to `path` (.safetensors) and its card beside it; return the card with the sha256.

    Args:
        path: Where to.
        model: What to save.
        half: Store the network's tensors as float16, half the size.
    """
    tensors = {f"network.{key}": value for key, value in model.network.state_dict().items()}
    if model.head is not None:
        tensors |= {f"head.{key}": torch.from_numpy(value) for key, value in model.head.arrays().items()}
    # Only the network: thresholds of the head's trees must not move.
    stored = {key: _stored(value, half=half and key.startswith("network.")) for key, value in tensors.items()}
    blob = save_tensors(stored, metadata={CARD_KEY: replace(model.card, sha256=None).to_json()})
    card = replace(model.card, sha256=hashlib.sha256(blob).hexdigest())
    write_atomically(path, blob)
    write_atomically(path.with_suffix(".json"), card.to_json().encode() + b"\n")
    return card


def _stored(tensor: Tensor, *, half: bool) -> Tensor:
    wanted = torch.float16 if half and tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", wanted).contiguous()


def _packaged_folder() -> Path:
    return Path(str(files("ewval.nn"))) / "weights"


def _find(name: str) -> Path:
    path = Path(name)
    if path.is_dir():
        return _in_run(path)
    if path.is_file():
        return path
    named = model_paths()
    if name not in named:
        raise MissingError(f"model {name}", hint=f"name a path or one of: {', '.join(named) or '(none packaged)'}")
    return named[name]


def _in_run(folder: Path) -> Path:
    for name in RUN_FILES:
        if (folder / name).is_file():
            return folder / name
    raise MissingError(f"a model in {folder}", hint=f"a run folder holds one of: {', '.join(RUN_FILES)}")


def _read(path: Path) -> Model:
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path)


def _read_safetensors(path: Path) -> Model:
    what = f"model {path}"
    blob = path.read_bytes()
    beside = path.with_suffix(".json")
    known = parse_card(beside.read_text(), what=f"card {beside}") if beside.is_file() else None
    digest = hashlib.sha256(blob).hexdigest()
    if known is not None and known.sha256 not in (None, digest):
        raise DamagedError(what, "its sha256 is not the one on its card")
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            metadata: Mapping[str, str] = opened.metadata() or {}
        tensors = load_tensors(blob)
    except (safetensors.SafetensorError, OSError) as error:
        raise DamagedError(what, f"not a safetensors file: {error}") from error
    card = known or parse_card(metadata.get(CARD_KEY, ""), what=what)
    return assemble(replace(card, sha256=digest), tensors, what=what)


def assemble(card: ModelCard, tensors: Mapping[str, Tensor], *, what: str) -> Model:
    """Return the model that `card` describes with `tensors` (keys `network.` and `head.`) as its weights.

    Raises:
        DamagedError: The tensors do not fit the architecture; `what` names the file.
    """
    parts = {
        prefix: {key.removeprefix(prefix): value.float() for key, value in tensors.items() if key.startswith(prefix)}
        for prefix in ("network.", "head.")
    }
    network = network_from(card, parts["network."], what=what)
    head = None if card.head is None else SegmentHead.from_arrays(_arrays(parts["head."]), what=what)
    return Model(card, network, head)


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {key: value.numpy() for key, value in tensors.items()}


def network_from(card: ModelCard, tensors: Mapping[str, Tensor], *, what: str) -> Network:
    """Return the network that `card` describes with `tensors` as its weights.

    Raises:
        DamagedError: They do not fit; `what` names the file.
    """
    try:
        network = build_network(card.arch, dict(card.config) | {"context": card.context, "loops": card.loops})
        network.load_state_dict(dict(tensors))
    except (EwvalError, RuntimeError) as error:
        raise DamagedError(what, f"its tensors do not fit {card.arch}: {_first_line(error)}") from error
    return network


def _read_pickled(path: Path) -> Model:
    what = f"model {path}"
    content = read_pickled(path)
    if not isinstance(content, dict):
        raise DamagedError(what, "neither a checkpoint of ewval nor the seed system's state dict")
    if CARD_KEY in content and "network" in content:
        card = parse_card(content[CARD_KEY], what=what)
        weights = content["ema"]["weights"] if content.get("ema") else content["network"]
        return assemble(card, {f"network.{key}": value for key, value in weights.items()}, what=what)
    state = {str(key).removeprefix("module."): value for key, value in content.items()}
    if state.keys() != UPSTREAM_KEYS:
        raise DamagedError(what, "neither a checkpoint of ewval nor the seed system's state dict")
    return Model(_upstream_card(path), network_from(_upstream_card(path), state, what=what))


def read_pickled(path: Path) -> Any:
    """Return what `torch.save` wrote to `path`: tensors and plain values only, never code.

    Raises:
        DamagedError: It is not whole, or holds anything else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except NOT_PICKLED as error:
        raise DamagedError(f"model {path}", f"not a file of torch tensors: {_first_line(error)}") from error


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
