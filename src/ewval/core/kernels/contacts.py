"""The faces between segments, found in C in one scan."""

import ctypes
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ewval.core.kernels.library import kernels, place, whole

__all__ = ["FoundContacts", "scan_contacts"]


class FoundContacts(NamedTuple):
    """Fields as those of `ewval.core.graph.contacts.Contacts`."""

    pairs: NDArray[np.int64]
    area: NDArray[np.float64]
    pair: NDArray[np.int64]
    low: NDArray[np.int64]
    inward: NDArray[np.int64]
    axis: NDArray[np.int64]
    sampled: NDArray[np.float64]


def scan_contacts(labels: NDArray[np.uint16], *, pad: int, faces_kept: int) -> FoundContacts | None:
    """Return the contacts of padded `labels`.

    None where the kernels are not there, memory is short, or 32 bits cannot number the voxels.
    """
    if (library := kernels()) is None:
        return None
    shape, counts = np.array(labels.shape, dtype=np.int64), np.zeros(2, dtype=np.int64)
    handle = library.contacts_find(place(labels), place(shape), whole(pad), whole(faces_kept), place(counts))
    if handle is None:
        return None
    pairs, faces = counts.tolist()
    pair, low, inward, axis = (np.empty(faces, dtype=np.int64) for _ in range(4))
    numbers = np.empty((pairs, 2), dtype=np.int64)
    found = FoundContacts(numbers, np.empty(pairs), pair, low, inward, axis, np.empty(pairs))
    library.contacts_take(ctypes.c_void_p(handle), *map(place, found))
    library.contacts_close(ctypes.c_void_p(handle))
    return found
