"""What a training run leaves in its folder, and how it is read back."""

import json
import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ewval.core.errors import DamagedError, UsageError
from ewval.core.storage.files import write_atomically, writing
from ewval.core.storage.reading import read_bytes
from ewval.core.storage.text import parse_json, read_text
from ewval.core.version import __version__

FREE_TO_CHANGE = frozenset({"epochs", "steps", "device", "workers", "patience", "parts", "recompute", "tensorboard"})
"""Options of a network that may differ when a run is continued: how long and where, not what. Forests have none: their
`parts` say what is learned, those of a network only how many samples pass it at once."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run."""

    root: Path

    @property
    def config(self) -> Path:
        """Every effective option, versions and the split's sha256."""
        return self.root / "config.json"

    @property
    def recipe(self) -> Path:
        """The effective recipe: `--recipe` takes it for another run."""
        return self.root / "recipe.toml"

    @property
    def metrics(self) -> Path:
        """A JSON line for each step and each epoch."""
        return self.root / "metrics.jsonl"

    @property
    def last(self) -> Path:
        """Checkpoint to go on from."""
        return self.root / "last.pt"

    @property
    def best(self) -> Path:
        """Checkpoint with the lowest validation loss."""
        return self.root / "best.pt"

    @property
    def picture(self) -> Path:
        """The curves so far."""
        return self.root / "progress.png"

    @property
    def model(self) -> Path:
        """The best weights so far, ready for `--model`."""
        return self.root / "model.safetensors"


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    return {
        "ewval": __version__,
        "python": platform.python_version(),
        "torch": version("torch"),  # without the seconds that importing it takes
        "numpy": np.__version__,
    }


def write_config(folder: RunFolder, options: Mapping[str, Any]) -> None:
    """Write config.json: the options and the versions."""
    document = {**options, "versions": versions()}
    write_atomically(folder.config, json.dumps(document, indent=2, allow_nan=False).encode() + b"\n")


def read_config(folder: RunFolder) -> dict[str, Any]:
    """Return the content of config.json.

    Raises:
        DamagedError: It is not a JSON object.
    """
    try:
        document = parse_json(read_bytes(folder.config))
    except ValueError as error:
        raise DamagedError(str(folder.config), f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise DamagedError(str(folder.config), "not a JSON object")
    return document


def check_begun(folder: RunFolder, options: Mapping[str, Any], *, free: Collection[str] = FREE_TO_CHANGE) -> None:
    """Raise UsageError where the folder holds anything but the run of these options: it would be overwritten.

    Args:
        folder: That is to be trained in.
        options: As config.json is to hold them.
        free: Those that may differ.
    """
    if folder.config.is_file():
        check_same_run(folder, options, free=free)
        return
    for path in (folder.model, folder.best, folder.last):
        if path.is_file():
            raise UsageError(
                f"{folder.root} holds {path.name}, but no {folder.config.name} that tells its options; "
                "use another run folder"
            )


def check_same_run(folder: RunFolder, options: Mapping[str, Any], *, free: Collection[str] = FREE_TO_CHANGE) -> None:
    """Raise UsageError where the run was begun with other options than `options`, apart from those of `free`."""
    before = read_config(folder)
    wanted = json.loads(json.dumps(dict(options), allow_nan=False))
    changed = sorted(key for key in wanted if key not in free and key in before and before[key] != wanted[key])
    if changed:
        said = ", ".join(f"{key} was {before[key]}, not {wanted[key]}" for key in changed[:4])
        raise UsageError(
            f"the run in {folder.root} was begun with other options ({said}); use them, or another run folder"
        )


class MetricsLog:
    """metrics.jsonl, opened for appending; lines from after `step` (of a run that was killed) are dropped first."""

    def __init__(self, path: Path, *, step: int) -> None:
        self.path = path
        kept = [line for line in read_metrics(path) if line["step"] < step]
        if path.exists():
            write_atomically(path, "".join(_line(line) for line in kept).encode())
        with writing(path):
            self._stream = path.open("a", encoding="utf-8")

    def write(self, values: Mapping[str, Any]) -> None:
        """Append one line."""
        with writing(self.path):
            self._stream.write(_line(values))
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        with writing(self.path):
            self._stream.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl; a last line that was cut off, and a missing file, count for nothing."""
    if not path.exists():
        return []
    lines = []
    for text in read_text(path).splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            break
        lines.append(line)
    return lines


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, allow_nan=False) + "\n"
