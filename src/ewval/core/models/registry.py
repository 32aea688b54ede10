"""Models by name or path, each read as what its card says it is.

The card is read first. A forest is read here; for every other architecture the module that knows networks is imported,
and with it torch, so that whoever asks a forest never waits for that.
"""

import os
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import platformdirs

from ewval.core.constants import FACTOR
from ewval.core.errors import MissingError, UnreadableError, UsageError
from ewval.core.models.decider import Decider
from ewval.core.models.ensemble import Ensemble
from ewval.core.models.files import read_weights

__all__ = ["DEFAULT_MODEL", "find_model", "load_decider", "load_ensemble", "model_paths", "packaged_models"]

DEFAULT_MODEL = "graph"
"""The packaged model that is used where none is named."""
DECIDERS = {"graph": "ewval.core.forest.decider"}
"""Modules by the architecture on a card: each has `decider_from(card, arrays, device=..., what=...)`."""
NETWORK_DECIDERS = "ewval.nn.deciders"
"""The module for all others, which also reads checkpoints. Its name alone stands here: it needs torch."""
RUN_FILES = ("model.safetensors", "best.pt", "last.pt")
"""What a run folder is looked through for, in this order."""


def load_decider(name_or_path: str | Path | None = None, *, device: str = "cpu") -> Decider:
    """Return the model called so, ready to decide.

    Args:
        name_or_path: A packaged or local name, or the path of a run folder, a .safetensors file, a checkpoint or the
            seed system's state dict; None for the packaged default.
        device: Where a network goes: auto, cpu, cuda or cuda:N. A forest needs none.

    Raises:
        MissingError: There is no such model.
        DamagedError: It is no model, or its file is not whole.
        DeviceError: `device` is not there.
        UsageError: It wants volumes of another resolution.
    """
    path = find_model(DEFAULT_MODEL if name_or_path is None else str(name_or_path))
    if path.suffix != ".safetensors":
        decider: Decider = _networks().decider_from_checkpoint(path, device=device)
    else:
        card, arrays = read_weights(path)
        module = import_module(DECIDERS[card.arch]) if card.arch in DECIDERS else _networks()
        decider = module.decider_from(card, arrays, device=device, what=f"model {path}")
    for card in decider.cards:
        if card.factor != FACTOR:
            raise UsageError(f"model {card.name} needs volumes packed by {card.factor}, not {FACTOR}")
    return decider


def load_ensemble(names: Sequence[str | Path | None], *, device: str = "cpu") -> Decider:
    """Return one decider for all models named; errors are those of `load_decider`."""
    deciders = [load_decider(name, device=device) for name in names]
    if len(deciders) == 1:
        return deciders[0]
    return deciders[0].pooled_with(deciders[1:]) or Ensemble(tuple(deciders))


def packaged_models() -> list[str]:
    """Return the names of the models that come with ewval."""
    return sorted(path.stem for path in _packaged_folder().glob("*.safetensors"))


def model_paths() -> dict[str, Path]:
    """Return every model that has a name, packaged or local; a packaged name wins."""
    folders = (*_local_folders(), _packaged_folder())
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.safetensors"))}


def _local_folders() -> tuple[Path, ...]:
    """Return where a user's own models lie: nowhere for a user without a home, as in a container or a batch job."""
    try:
        folder = platformdirs.user_data_path("ewval") / "models"
        return (folder,) if os.access(folder, os.R_OK | os.X_OK) else ()
    except (RuntimeError, KeyError, OSError):
        return ()


def find_model(name: str) -> Path:
    """Return the file of the model called so.

    Raises:
        MissingError: There is none.
        UnreadableError: The system does not let us look.
    """
    path = Path(name)
    try:
        if path.is_dir():
            return _in_run(path)
        if path.is_file():
            return path
    except OSError as error:  # out of reach, or longer than a name may be
        raise UnreadableError(f"model {name}", error.strerror or str(error)) from error
    named = model_paths()
    if name not in named:
        raise MissingError(f"model {name}", hint=f"name a path or one of: {', '.join(named) or '(none packaged)'}")
    return named[name]


def _in_run(folder: Path) -> Path:
    for name in RUN_FILES:
        if (folder / name).is_file():
            return folder / name
    raise MissingError(f"a model in {folder}", hint=f"a run folder holds one of: {', '.join(RUN_FILES)}")


def _packaged_folder() -> Path:
    return Path(str(files("ewval.core.models"))) / "weights"


def _networks() -> Any:
    return import_module(NETWORK_DECIDERS)
