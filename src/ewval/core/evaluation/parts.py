"""What an evaluation has done so far, in files, so that it can stop, go on, and be shared by many processes."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import DamagedError
from ewval.core.evaluation.gathered import Gathered
from ewval.core.evaluation.metrics import Floats
from ewval.core.storage.arrays import read_arrays, write_arrays
from ewval.core.storage.files import write_atomically
from ewval.core.storage.text import read_text

_ID_COLUMNS = ("tasks", "cells", "groups", "volumes")


@dataclass(frozen=True, slots=True)
class Part:
    """The scores of some tasks.

    Args:
        tasks: int64 [n], their ids.
        cells: int64 [n], -1 where unknown.
        groups: int64 [n], what tasks are resampled by: their cells, or stand-ins where those are unknown.
        volumes: int64 [n].
        rows: By answerer, float64 [n, columns].
        gathered: By answerer, what is summed beside the rows.
        failed: Tasks that could not be asked, and why.
    """

    tasks: NDArray[np.int64]
    cells: NDArray[np.int64]
    groups: NDArray[np.int64]
    volumes: NDArray[np.int64]
    rows: Mapping[str, Floats]
    gathered: Mapping[str, Gathered]
    failed: tuple[tuple[int, str], ...] = ()


class PartFolder:
    """The parts of one evaluation; parts of any other are thrown away.

    Args:
        root: The folder.
        identity: Everything that the scores depend on, JSON.
    """

    def __init__(self, root: Path, identity: Mapping[str, Any]) -> None:
        self.root = root
        self._identity = json.dumps(identity, sort_keys=True, indent=1, allow_nan=False)

    @property
    def _identity_path(self) -> Path:
        return self.root / "identity.json"

    def open(self) -> None:
        """Make the folder, and empty it if its parts are of another evaluation; one process does this for all."""
        known = read_text(self._identity_path) if self._identity_path.is_file() else None
        if known != self._identity:
            shutil.rmtree(self.root, ignore_errors=True)
            write_atomically(self._identity_path, self._identity.encode())

    def has(self, index: int) -> bool:
        """Whether part `index` is done; one with failed tasks is not, so that they are tried again."""
        try:
            return not self.read(index).failed
        except DamagedError:
            return False

    def write(self, index: int, part: Part) -> None:
        """Save a part, whole or not at all."""
        arrays: dict[str, NDArray[Any]] = {name: getattr(part, name) for name in _ID_COLUMNS}
        arrays["failed"] = np.array(json.dumps(part.failed, allow_nan=False))
        for name, rows in part.rows.items():
            arrays[f"{name}|rows"] = rows
            arrays |= {f"{name}|{key}": value for key, value in part.gathered[name].arrays().items()}
        write_arrays(self._path(index), arrays, compressed=True)

    def read(self, index: int) -> Part:
        """Return part `index`.

        Raises:
            DamagedError: It is not there, or not whole.
        """
        path = self._path(index)
        try:
            return _part(read_arrays(path))
        except (KeyError, ValueError) as error:
            raise DamagedError(str(path), str(error)) from error

    def read_all(self, count: int) -> Iterator[Part]:
        """Yield parts 0 to `count` - 1, one at a time."""
        for index in range(count):
            yield self.read(index)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _path(self, index: int) -> Path:
        return self.root / f"part-{index:06d}.npz"


def _part(arrays: dict[str, NDArray[Any]]) -> Part:
    of: dict[str, dict[str, NDArray[Any]]] = {}
    for key, value in arrays.items():
        name, bar, inner = key.rpartition("|")
        if bar:
            of.setdefault(name, {})[inner] = value
    failed = tuple((int(task), str(reason)) for task, reason in json.loads(str(arrays["failed"])))
    rows = {name: inner.pop("rows") for name, inner in of.items()}
    gathered = {name: Gathered.from_arrays(inner) for name, inner in of.items()}
    tasks, cells, groups, volumes = (arrays[name] for name in _ID_COLUMNS)
    return Part(tasks, cells, groups, volumes, rows, gathered, failed)
