"""Label volumes as NRRD, which Fiji, 3D Slicer and ITK-SNAP open as they are."""

import gzip

import numpy as np
from numpy.typing import NDArray

MAGIC = b"NRRD0004"
_TYPES = {"uint8": "|u1", "uint16": "<u2"}


def encode_nrrd(array: NDArray[np.generic], *, spacing_nm: tuple[float, float, float], content: str) -> bytes:
    """Return `array` as a gzip-compressed NRRD file.

    Args:
        array: uint8, uint16 or float32, z y x.
        spacing_nm: Voxel size in nanometres, z y x.
        content: One line saying what the values mean.

    Raises:
        ValueError: Another dtype, or another number of axes.

    Source: the NRRD definition, http://teem.sourceforge.net/nrrd/format.html; its axes run from fastest to slowest.
    """
    if array.dtype.name not in _TYPES or array.ndim != 3:
        raise ValueError(f"cannot write {array.dtype.name} with {array.ndim} axes as NRRD")
    z, y, x = array.shape
    dz, dy, dx = spacing_nm
    header = [
        MAGIC.decode(),
        f"content: {' '.join(content.split())}",
        f"type: {array.dtype.name}",
        "dimension: 3",
        f"sizes: {x} {y} {z}",
        "endian: little",
        "encoding: gzip",
        f"space directions: ({dx},0,0) (0,{dy},0) (0,0,{dz})",
        'space units: "nm" "nm" "nm"',
        "space dimension: 3",
        "kinds: domain domain domain",
    ]
    # The space has to be declared before what refers to it.
    header.insert(4, header.pop(9))
    payload = np.ascontiguousarray(array).astype(_TYPES[array.dtype.name], copy=False).tobytes()
    return "\n".join(header).encode() + b"\n\n" + gzip.compress(payload, compresslevel=6, mtime=0)
