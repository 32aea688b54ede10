"""Reads NRRD files as ewval writes them, gzip and z y x, so that tests see what viewers would."""

import gzip

import numpy as np
from numpy.typing import NDArray

TYPES = {"uint8": "<u1", "uint16": "<u2"}


def decode_nrrd(blob: bytes) -> NDArray[np.generic]:
    head, _, payload = blob.partition(b"\n\n")
    lines = head.decode("ascii").split("\n")
    assert lines[0] == "NRRD0004"
    fields = dict(line.split(": ", 1) for line in lines[1:])
    x, y, z = (int(size) for size in fields["sizes"].split())
    return np.frombuffer(gzip.decompress(payload), dtype=TYPES[fields["type"]]).reshape(z, y, x)
