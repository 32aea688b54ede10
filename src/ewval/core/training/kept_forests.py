"""Forests of one training on disk, so that it goes on where it was interrupted."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from ewval.core.errors import DamagedError
from ewval.core.forest.boosting import Forest
from ewval.core.forest.fit import Start
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.learn import LearnConfig
from ewval.core.graph.graph import GRAPH_FORM
from ewval.core.storage.arrays import read_arrays, write_arrays
from ewval.core.training.interrupt import StopRequest

__all__ = ["Interrupted", "KeptForests", "key_of"]

RECIPE = 4
"""Raised whenever forests come to learn otherwise from the same cubes, so that those kept of before are left alone."""


class Interrupted(Exception):  # noqa: N818 - nothing went wrong: somebody asked for the end
    """The training was asked to stop; what is done is kept."""


@dataclass(slots=True)
class KeptForests:
    """Fits forests, or reads them where an earlier run left them.

    Args:
        folder: Where they lie.
        key: Of everything they depend on; forests under another key are not used.
        stop: Says whether to stop before the next one.
        done: Told each forest's name, its seconds and whether it was kept from before.
    """

    folder: Path
    key: str
    stop: StopRequest
    done: Callable[[str, float, bool], None]
    names: list[str] = field(default_factory=list)

    def __call__(self, name: str, fit: Callable[[], Forest]) -> Forest:
        """Return the forest kept as `name`, else fit and keep it.

        Raises:
            Interrupted: Somebody asked for that; the forests so far are kept.
        """
        if self.stop.is_set:
            raise Interrupted
        path, began = self.folder / f"{name}-{self.key}.npz", time.monotonic()
        kept = _read(path)
        forest = fit() if kept is None else kept
        if kept is None:
            write_arrays(path, forest.arrays())
        self.done(name, time.monotonic() - began, kept is not None)
        return forest


def key_of(volumes: Sequence[LabelledVolume], *, parts: int, config: LearnConfig, start: Start | None) -> str:
    """Return a short name of everything that forests learned from `volumes` depend on."""
    digest = hashlib.sha256(f"{RECIPE} {GRAPH_FORM} {parts} {config}".encode())
    if start is not None:
        for array in start.head.arrays().values():
            digest.update(array.tobytes())
    for volume in volumes:
        digest.update(f"{volume.name} {volume.weight} {volume.kind} {_content(volume)}".encode())
        digest.update(volume.withheld.tobytes())
        for cell, rows in sorted(volume.cells.items()):
            digest.update(f"{cell} {[seed.tolist() for seed in volume.seeds.get(cell, ())]}".encode() + rows.tobytes())
    return digest.hexdigest()[:12]


def _content(volume: LabelledVolume) -> str:
    """Return a checksum of a volume's graph; of one in a file, that which the file itself holds of each array."""
    if isinstance(volume.stored, Path):
        try:
            with ZipFile(volume.stored) as archive:
                return str([(entry.filename, entry.CRC) for entry in archive.infolist()])
        except (BadZipFile, OSError) as error:
            raise DamagedError(f"graph {volume.stored}", str(error)) from error
    return hashlib.sha256(volume.graph.evidence.tobytes()).hexdigest()


def _read(path: Path) -> Forest | None:
    try:
        return Forest.from_arrays(read_arrays(path))
    except (DamagedError, ValueError, KeyError):
        return None  # not there, or cut short by a crash of the machine: it is fitted again
