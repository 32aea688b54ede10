"""Volumes as lzma streams, both ways, with every decode bounded by the size that is expected.

Raw segmentations come as legacy "LZMA alone" streams, packed volumes are `.xz` streams; both are named `.lzma`.
Arrays are flat, C order: z slowest, x fastest, little-endian.
Source: https://tukaani.org/xz/xz-file-format.txt; the legacy header is described in `xz(1)`, `--format=lzma`.
"""

import lzma
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.errors import DamagedError, UnsupportedError

CHUNK_BYTES = 1 << 20
"""Bytes decoded at a time: small beside a volume, so that decoding needs no second copy of it."""
MEMORY_LIMIT_BYTES = 80 << 20
"""What a decoder may allocate; the largest preset of `xz` needs 65 MiB."""
XZ_MAGIC = b"\xfd7zXZ\x00"
ALONE_HEADER_BYTES = 13
ALONE_LENGTH_PLAUSIBLE = 1 << 38
"""Length fields beyond are "unknown" (all ones) or, to liblzma, not lzma at all: the decoder tells them apart."""


# Settings of the encoder, for images (1 byte a voxel) and segmentations (2 bytes). The five volumes of real and
# half-real EM that this was measured on take 57 ms each and 2.6 % more bytes than with preset 6, which takes 256 ms:
#                      image              segmentation
#   preset 6           76 ms   100.0 %    177 ms   100.0 %
#   preset 4           64 ms   100.0 %     63 ms   120.1 %
#   preset 0           37 ms   106.3 %     11 ms   123.0 %
#   these              45 ms    98.4 %     12 ms   123.0 %
# Noisy images hold next to no repeats: a shallow search loses nothing, more literal context gains. Segmentations are a
# sixth of the bytes. A dictionary of one packed volume spares the clearing of megabytes of tables.
_DICTIONARY_BYTES = 1 << 19
_IMAGE_FILTER = {"preset": 0, "lc": 4, "pb": 0, "mode": lzma.MODE_NORMAL, "mf": lzma.MF_HC4, "nice_len": 8, "depth": 1}
_FILTERS: dict[int, dict[str, int]] = {1: _IMAGE_FILTER, 2: {"preset": 0}}


def encode(array: NDArray[np.generic]) -> bytes:
    """Return an image (uint8) or a segmentation (uint16) as an `.xz` stream of its C-order, little-endian bytes."""
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    settings = {"id": lzma.FILTER_LZMA2, "dict_size": _DICTIONARY_BYTES} | _FILTERS[array.itemsize]
    return lzma.compress(little.tobytes(), format=lzma.FORMAT_XZ, filters=[settings])


def decode(blob: bytes, *, shape: tuple[int, ...], dtype: DTypeLike, what: str) -> NDArray[np.integer[Any]]:
    """Return the read-only array in `blob`, which has to hold exactly `shape` elements of `dtype`.

    Raises:
        DamagedError: The stream is not lzma, is truncated, too long or too short, or something follows it; `what`
            names it.
    """
    kind = np.dtype(dtype).newbyteorder("<")
    flat = np.empty(math.prod(shape) * kind.itemsize, np.uint8)
    for start, piece in _pieces(blob, length=flat.size, what=what):
        flat[start : start + len(piece)] = np.frombuffer(piece, np.uint8)
    flat.flags.writeable = False
    return flat.view(kind).reshape(shape)


def decode_labels(blob: bytes, *, voxels: int, dtype: DTypeLike = "<u2", what: str) -> NDArray[np.uint16]:
    """Return the segment ids in `blob`, flat and read-only, as uint16, whatever unsigned `dtype` they are stored in.

    Raises:
        DamagedError: As `decode`.
        UnsupportedError: An id does not fit uint16.
    """
    ids = decode(blob, shape=(voxels,), dtype=dtype, what=what)
    if ids.itemsize > 2 and (largest := int(ids.max())) >= SEGMENT_ID_COUNT:
        raise UnsupportedError(what, f"segment id {largest} does not fit uint16")
    return ids.astype(np.uint16, copy=False)


def _pieces(blob: bytes, *, length: int, what: str) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, decoded bytes) until exactly `length` bytes have come, in pieces of CHUNK_BYTES but the last."""
    _check_stated_length(blob, length=length, what=what)
    # Told the format, liblzma takes any dictionary size; finding it out by itself it refuses, say, 10,000,000 bytes.
    form = lzma.FORMAT_XZ if blob.startswith(XZ_MAGIC) else lzma.FORMAT_ALONE
    decoder = lzma.LZMADecompressor(form, memlimit=MEMORY_LIMIT_BYTES)
    done, rest = 0, blob
    try:
        while (
            done < length and not decoder.eof and (piece := decoder.decompress(rest, min(CHUNK_BYTES, length - done)))
        ):
            yield done, piece
            done, rest = done + len(piece), b""
        excess = b"" if decoder.eof else decoder.decompress(b"", 1)
    except lzma.LZMAError as error:
        raise DamagedError(what, f"{str(error).lower()}, after {done} bytes") from error
    if excess:
        raise DamagedError(what, f"it decodes to more than the expected {length} bytes")
    if not decoder.eof:
        raise DamagedError(what, f"it is truncated: its stream ends after {done} of {length} bytes")
    if done != length:
        raise DamagedError(what, f"it decodes to {done} bytes instead of {length}")
    if decoder.unused_data:
        raise DamagedError(what, f"{len(decoder.unused_data)} bytes follow the end of its stream")


def _check_stated_length(blob: bytes, *, length: int, what: str) -> None:
    """Refuse a legacy stream whose header already states another length."""
    if blob.startswith(XZ_MAGIC) or len(blob) < ALONE_HEADER_BYTES:
        return
    stated = int.from_bytes(blob[5:ALONE_HEADER_BYTES], "little")
    if stated != length and stated < ALONE_LENGTH_PLAUSIBLE:
        raise DamagedError(what, f"its header states {stated} bytes instead of {length}")
