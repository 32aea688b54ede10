"""Packed volumes on disk, behind a small cache of decoded ones."""

from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ewval.core.constants import CUBE_EDGE, PACKED_EDGE
from ewval.core.errors import DamagedError, DataError, MissingError
from ewval.core.folder import DataFolder
from ewval.core.storage.cache import BoundedCache
from ewval.core.storage.reading import read_bytes
from ewval.core.volumes.codec import decode
from ewval.core.volumes.downsample import FACTORS


class PackedStore:
    """Reads packed volumes; the most recently used ones stay decoded.

    Args:
        folder: The data folder, one of the seed system too.
        cache: Volumes that stay decoded, 0.75 MiB each at 64^3.
        edge: Voxels along each edge of a packed volume.
    """

    def __init__(self, folder: DataFolder, *, cache: int = 16, edge: int = PACKED_EDGE) -> None:
        self._folder, self._edge = folder, edge
        self._decoded: BoundedCache[Path, NDArray[np.generic]] = BoundedCache(2 * cache)  # image and segmentation

    def has(self, volume: int) -> bool:
        """Whether both files of `volume` are there."""
        return self._folder.is_packed(volume)

    def image(self, volume: int) -> NDArray[np.uint8]:
        """Return the read-only image of `volume`, uint8 [z, y, x], 0 black.

        Raises:
            MissingError: The volume is not packed.
            UnreadableError: The file cannot be read.
            DamagedError: The file does not hold what it should.
        """
        return cast(NDArray[np.uint8], self._read(self._folder.image(volume), np.uint8, volume=volume))

    def segmentation(self, volume: int) -> NDArray[np.uint16]:
        """Return the read-only segment ids of `volume`, uint16 [z, y, x], 0 boundary.

        Raises:
            MissingError: The volume is not packed.
            UnreadableError: The file cannot be read.
            DamagedError: The file does not hold what it should.
        """
        return cast(NDArray[np.uint16], self._read(self._folder.segmentation(volume), np.uint16, volume=volume))

    def check(self, volume: int) -> None:
        """Read both files of `volume`.

        Raises:
            MissingError: The volume is not packed.
            UnreadableError: The file cannot be read.
            DamagedError: A file does not hold what it should.
        """
        self.image(volume)
        self.segmentation(volume)

    def _read(self, path: Path, dtype: DTypeLike, *, volume: int) -> NDArray[np.generic]:
        return self._decoded.get(path, lambda: self._decode(path, dtype, volume=volume))

    def _decode(self, path: Path, dtype: DTypeLike, *, volume: int) -> NDArray[np.generic]:
        try:
            blob = read_bytes(path)
        except FileNotFoundError as error:
            raise MissingError(f"packed volume {volume}", hint="`ewval pack` makes it") from error
        return decode(blob, shape=(self._edge,) * 3, dtype=dtype, what=str(path))


def packed_volumes(folder: DataFolder) -> list[int]:
    """Return the ids of the volumes that have a packed image, ascending."""
    return volume_ids(folder.image(0).parent.parent)


def volume_ids(parent: Path) -> list[int]:
    """Return the volume ids that folders in `parent` are named by, ascending."""
    if not parent.is_dir():
        return []
    return sorted(int(path.name) for path in parent.iterdir() if path.name.isascii() and path.name.isdigit())


def packed_edge(folder: DataFolder, volume: int) -> int | None:
    """Return the voxels along each edge of a packed volume, None where its image is no good or not there."""
    for factor in FACTORS:
        try:
            return len(PackedStore(folder, edge=CUBE_EDGE // factor).image(volume))
        except DamagedError:
            continue
        except DataError:
            return None
    return None
