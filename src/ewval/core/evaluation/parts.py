"""What an evaluation has done so far, in files, so that it can stop, go on, and be shared by many processes."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import DamagedError, UsageError
from ewval.core.evaluation.gathered import Gathered
from ewval.core.evaluation.metrics import Floats
from ewval.core.storage.arrays import read_arrays, write_arrays
from ewval.core.storage.files import sweep, write_atomically
from ewval.core.storage.reading import read_bytes
from ewval.core.storage.text import parse_json, to_text

_ID_COLUMNS = ("tasks", "cells", "groups", "volumes")
_IDENTITY, _PARTS = "identity.json", f"part-{'[0-9]' * 6}.npz"
_MARKS = frozenset({"version", "code", "tasks"})
"""What the identity of every evaluation holds, of whatever version, and hardly any other file of that name."""


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
    """The parts of one evaluation; parts of any other are thrown away, files of anybody else never.

    Args:
        root: The folder.
        identity: Everything that the scores depend on, JSON.
    """

    def __init__(self, root: Path, identity: Mapping[str, Any]) -> None:
        self.root = root
        self._marks = _MARKS & identity.keys()
        self._identity = json.dumps(identity, sort_keys=True, indent=1, allow_nan=False)

    @property
    def _identity_path(self) -> Path:
        return self.root / _IDENTITY

    def open(self) -> None:
        """Make the folder, and take out the parts of another evaluation; one process does this for all.

        Raises:
            UsageError: Files that are not of an evaluation stand where the parts would.
            UnreadableError: What stands there may not be read.
        """
        try:
            known = read_bytes(self._identity_path)
        except FileNotFoundError:
            known = None
        if known is not None and to_text(known) == self._identity:
            return
        if not self._may_replace(known):
            raise UsageError(
                f"{self.root} holds files that are not of an evaluation; move it, or choose another folder"
            )
        self.remove()
        write_atomically(self._identity_path, self._identity.encode())

    def _may_replace(self, known: bytes | None) -> bool:
        """Whether all files under our names are those of an evaluation, whose identity is `known`."""
        if known is None:  # the identity is written first and deleted last, so that parts without one are not ours
            return not any(self.root.glob(_PARTS))
        with suppress(ValueError):
            document = parse_json(known)
            return isinstance(document, dict) and self._marks <= document.keys()
        return False

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
        """Delete the parts, and the folder where it holds nothing else."""
        with suppress(OSError):  # the results are there, and a folder that is left over does no harm
            sweep(self.root)
            for path in (*self.root.glob(_PARTS), self._identity_path):
                path.unlink(missing_ok=True)
            self.root.rmdir()

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
