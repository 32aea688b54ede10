"""Whether what was downloaded is what it should be."""

from ewval.core.constants import CUBE_EDGE
from ewval.core.errors import DamagedError, UnsupportedError
from ewval.core.eyewire.records import Bounds
from ewval.core.eyewire.replies import corner_bounds
from ewval.core.storage.text import parse_json
from ewval.core.volumes.codec import decode_labels
from ewval.core.volumes.slices import decode_slice


def check_tile(content: bytes, *, what: str) -> None:
    """Decode one image of a volume completely; its size is looked at before anything is decoded.

    Raises:
        DamagedError: Not a whole JPEG of 256 x 256 voxels, 8 bits, grey; `what` names it.
    """
    try:
        decode_slice(content, what=what)
    except UnsupportedError as error:
        raise DamagedError(what, error.problem) from error


def check_segmentation(content: bytes, *, what: str) -> None:
    """Decode the segment ids of a volume, no further than their expected size.

    Raises:
        DamagedError: They do not decode to exactly 256^3 uint16; `what` names them.
    """
    decode_labels(content, voxels=CUBE_EDGE**3, what=what)


def check_metadata(content: bytes, *, what: str) -> None:
    """Read the description of a volume.

    Raises:
        DamagedError: It is not a JSON object; `what` names it.
    """
    _metadata(content, what=what)


def metadata_bounds(content: bytes, *, what: str) -> Bounds | None:
    """Return where a volume lies by its description, None where that does not tell; raises as `check_metadata`."""
    fields = _metadata(content, what=what)
    return corner_bounds(fields.get("physical_offset_min"), fields.get("physical_offset_max"))


def _metadata(content: bytes, *, what: str) -> dict[str, object]:
    try:
        document = parse_json(content)
    except ValueError as error:
        raise DamagedError(what, str(error)) from error
    if not isinstance(document, dict):
        raise DamagedError(what, "it is not a JSON object")
    return document
