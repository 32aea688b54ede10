"""The compiled kernels, where they were built."""

import ctypes
import os
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import ENV_KERNELS
from ewval.core.kernels.build import HERE, library_name

__all__ = ["address", "kernels"]


@cache
def kernels() -> ctypes.CDLL | None:
    """Return the library; None where it was not built, does not load, or EWVAL_KERNELS is "off"."""
    if os.environ.get(ENV_KERNELS, "").lower() == "off":
        return None
    path = HERE / library_name()
    try:
        return ctypes.CDLL(str(path)) if path.is_file() else None
    except OSError:
        return None


def address(array: NDArray[np.generic]) -> int:
    """Return where the numbers of a contiguous array begin; the caller keeps the array alive."""
    if not array.flags.c_contiguous:
        raise ValueError("a kernel takes contiguous arrays only")
    return array.ctypes.data
