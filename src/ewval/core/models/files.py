"""Model files: arrays in a .safetensors file with the card in its metadata, and the card again beside it, with the
sha256 of the first. Nothing that is read here can run code."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import load, save

from ewval.core.errors import DamagedError, MissingError
from ewval.core.folder import is_there
from ewval.core.models.card import ModelCard, parse_card
from ewval.core.storage.files import write_atomically
from ewval.core.storage.reading import read_bytes
from ewval.core.storage.text import to_text

__all__ = ["CARD_KEY", "read_weights", "under", "write_weights"]

Arrays = Mapping[str, NDArray[Any]]
CARD_KEY = "card"


def write_weights(path: Path, card: ModelCard, arrays: Arrays) -> ModelCard:
    """Write weights to `path` (.safetensors) and their card beside it; return the card with the sha256."""
    whole = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
    blob = save(whole, metadata={CARD_KEY: replace(card, sha256=None).to_json()})
    sealed = replace(card, sha256=hashlib.sha256(blob).hexdigest())
    write_atomically(path, blob)
    write_atomically(path.with_suffix(".json"), sealed.to_json().encode() + b"\n")
    return sealed


def read_weights(path: Path) -> tuple[ModelCard, dict[str, NDArray[Any]]]:
    """Return card and arrays of a .safetensors file.

    Raises:
        MissingError: It is not there.
        UnreadableError: It, or its card, cannot be read.
        DamagedError: It is no such file, a number in it is none (NaN or infinite), or it is not the one that the card
            beside it belongs to.
    """
    what, blob, beside = f"model {path}", _read(path), path.with_suffix(".json")
    known = parse_card(to_text(_read(beside)), what=f"card {beside}") if is_there(beside) else None
    digest = hashlib.sha256(blob).hexdigest()
    if known is not None and known.sha256 not in (None, digest):
        raise DamagedError(what, "its sha256 is not the one on its card")
    try:
        arrays = load(blob)
        with safetensors.safe_open(path, framework="numpy") as opened:
            metadata: Mapping[str, str] = opened.metadata() or {}
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DamagedError(what, f"not a safetensors file: {error}") from error
    card = known or parse_card(metadata.get(CARD_KEY, ""), what=what)
    return replace(card, sha256=digest), dict(arrays)


def under(arrays: Arrays, prefix: str) -> dict[str, NDArray[Any]]:
    """Return the arrays whose keys begin with `prefix`, without it."""
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path, what=f"model {path}")
    except FileNotFoundError as error:
        raise MissingError(f"model {path}") from error
