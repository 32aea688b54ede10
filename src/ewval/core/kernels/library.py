"""The compiled kernels, where they were built."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import ENV_KERNELS
from ewval.core.kernels.build import HERE, library_name

__all__ = ["address", "forget_kernels", "kernels", "place", "whole", "without_kernels"]

whole = ctypes.c_int64


class _Switch:
    """Whether the kernels are left aside for now, in all threads."""

    is_off = os.environ.get(ENV_KERNELS, "").lower() == "off"


def kernels() -> ctypes.CDLL | None:
    """Return the library; None where it was not built, does not load, or EWVAL_KERNELS is "off"."""
    return None if _Switch.is_off else _load()


@cache
def _load() -> ctypes.CDLL | None:
    path = HERE / library_name()
    try:
        library = ctypes.CDLL(str(path)) if path.is_file() else None
    except OSError:
        return None
    if library is not None:
        library.contacts_find.restype = ctypes.c_void_p
        library.cube_pad.restype = ctypes.c_int64
    return library


@contextmanager
def without_kernels() -> Iterator[None]:
    """Leave the kernels aside for a while: what a test or a benchmark compares them with."""
    before, _Switch.is_off = _Switch.is_off, True
    try:
        yield
    finally:
        _Switch.is_off = before


def forget_kernels() -> None:
    """Look for the library again when it is next asked for."""
    _load.cache_clear()


def address(array: NDArray[np.generic]) -> int:
    """Return where the numbers of a contiguous array begin; the caller keeps the array alive."""
    if not array.flags.c_contiguous:
        raise ValueError("a kernel takes contiguous arrays only")
    return array.ctypes.data


def place(array: NDArray[np.generic]) -> ctypes.c_void_p:
    """Return the address of an array as an argument of a kernel."""
    return ctypes.c_void_p(address(array))
