"""One slice of a volume's image, as JPEG."""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from ewval.core.constants import CUBE_EDGE
from ewval.core.errors import DamagedError, UnsupportedError

__all__ = ["decode_slice"]

JFIF = b"JFIF\0"
JFIF_WITHIN = 4096
"""Bytes at the beginning of a JPEG in which its JFIF header is looked for."""


def decode_slice(blob: bytes, *, what: str) -> NDArray[np.uint8]:
    """Return the pixels of one JPEG slice, uint8 [y, x] 256 x 256.

    The size is taken from the header, so that a picture of another size is never decoded. libjpeg only warns about
    damage in the middle; simplejpeg in its strict mode refuses it.

    Raises:
        DamagedError: `blob` is not a whole JPEG; `what` names it.
        UnsupportedError: It is not 256 x 256 grey.
    """
    blob = _with_known_revision(blob)
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(blob, strict=True)
        if (height, width, colours.lower()) == (CUBE_EDGE, CUBE_EDGE, "gray"):
            pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(blob, colorspace="GRAY", strict=True)
            return pixels[:, :, 0]
    except ValueError as error:
        raise DamagedError(what, f"not a whole JPEG: {error}") from error
    raise UnsupportedError(what, f"{width} x {height} {colours} instead of {CUBE_EDGE} x {CUBE_EDGE} grey")


def _with_known_revision(blob: bytes) -> bytes:
    """Return a JPEG with JFIF revision 1.02 where it states another: a mere number, on which libjpeg warns."""
    at = blob.find(JFIF, 0, JFIF_WITHIN) + len(JFIF)
    if at < len(JFIF) or blob[at : at + 1] == b"\x01":
        return blob
    return blob[:at] + b"\x01\x02" + blob[at + 2 :]
