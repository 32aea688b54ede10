"""Volumes as downloaded: 256 JPEG slices, one lzma segmentation, metadata.json.

Source: the wire format of Eyewire's bucket. `N.jpg` is the x-y plane at z = N; the segmentation is flat with z slowest.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import CUBE_EDGE
from ewval.core.errors import DamagedError, MissingError, UnsupportedError
from ewval.core.eyewire.records import Bounds
from ewval.core.folder import is_there
from ewval.core.storage.reading import read_bytes
from ewval.core.storage.text import parse_json
from ewval.core.volumes.codec import decode_labels
from ewval.core.volumes.slices import decode_slice

ID_TYPES = {"UInt8": "<u1", "UInt16": "<u2", "UInt32": "<u4", "UInt64": "<u8"}
SLICE_BYTES_LIMIT = 4 << 20
SEGMENTATION_BYTES_LIMIT = 256 << 20
METADATA_BYTES_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class VolumeMetadata:
    """What metadata.json says; the defaults hold where it is not there.

    Args:
        bounds: Where the volume lies, voxels, z y x; None where the file does not say.
        id_type: numpy type of the stored segment ids.
    """

    bounds: Bounds | None = None
    id_type: str = "<u2"


def read_metadata(folder: Path) -> VolumeMetadata:
    """Return what `folder`/metadata.json says about the raw volume there.

    Raises:
        DamagedError: The file is not JSON, or its values make no sense.
        UnsupportedError: The volume is not a 256^3 cube of 8-bit image and integer ids.
    """
    path = folder / "metadata.json"
    if not is_there(path):
        return VolumeMetadata()
    try:
        document = parse_json(_read(path, limit=METADATA_BYTES_LIMIT))
    except ValueError as error:
        raise DamagedError(str(path), f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise DamagedError(str(path), "it does not hold a JSON object")
    _check_image_type(document, what=str(path))
    return VolumeMetadata(bounds=_bounds(document, what=str(path)), id_type=_id_type(document, what=str(path)))


def read_image(folder: Path) -> NDArray[np.uint8]:
    """Return the image of the raw volume in `folder`, uint8 [z, y, x] 256^3, 0 black.

    Raises:
        MissingError: A slice is not there.
        UnreadableError: A slice cannot be read.
        DamagedError: A slice is not a whole JPEG.
        UnsupportedError: A slice is not 256 x 256 grey.
    """
    image = np.empty((CUBE_EDGE,) * 3, np.uint8)
    for z in range(CUBE_EDGE):
        path = folder / "jpg" / f"{z}.jpg"
        image[z] = decode_slice(_read(path, limit=SLICE_BYTES_LIMIT), what=str(path))
    return image


def read_segmentation(folder: Path) -> NDArray[np.uint16]:
    """Return the segment ids of the raw volume in `folder`, uint16 [z, y, x] 256^3, 0 boundary.

    Raises:
        MissingError: The file is not there.
        UnreadableError: It cannot be read.
        DamagedError: It does not hold what it should.
        UnsupportedError: The volume is no 256^3 cube, or an id does not fit uint16.
    """
    metadata = read_metadata(folder)
    path = folder / "segmentation.lzma"
    blob = _read(path, limit=SEGMENTATION_BYTES_LIMIT)
    labels = decode_labels(blob, voxels=CUBE_EDGE**3, dtype=metadata.id_type, what=str(path))
    return labels.reshape((CUBE_EDGE,) * 3)


def _read(path: Path, *, limit: int) -> bytes:
    try:
        blob = read_bytes(path, limit=limit + 1)
    except FileNotFoundError as error:
        raise MissingError(str(path), hint="`ewval fetch` downloads it") from error
    if len(blob) > limit:
        raise DamagedError(str(path), f"it is larger than {limit} bytes")
    return blob


def _id_type(document: dict[str, Any], *, what: str) -> str:
    name = str(document.get("segment_id_type", "UInt16"))
    if name not in ID_TYPES:
        raise UnsupportedError(what, f"segment_id_type {name!r} is none of {', '.join(ID_TYPES)}")
    return ID_TYPES[name]


def _check_image_type(document: dict[str, Any], *, what: str) -> None:
    if (name := document.get("image_type", "UInt8")) != "UInt8":
        raise UnsupportedError(what, f"image_type {name!r} instead of UInt8")


def _bounds(document: dict[str, Any], *, what: str) -> Bounds | None:
    low, high = document.get("physical_offset_min"), document.get("physical_offset_max")
    if low is None or high is None:
        return None
    try:
        x, y, z = (int(value) for value in low)
        end_x, end_y, end_z = (int(value) for value in high)
    except (TypeError, ValueError) as error:
        raise DamagedError(what, "its physical offsets are not three numbers") from error
    size = (end_x - x, end_y - y, end_z - z)
    if size != (CUBE_EDGE,) * 3:
        raise UnsupportedError(what, f"a cube of {' x '.join(map(str, size))} voxels instead of 256 x 256 x 256")
    return Bounds((z, y, x), (end_z, end_y, end_x))
