"""What a forest says of a graph's contacts, kept beside the graph: judging all of them takes half a second."""

import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import DataError, WriteError
from ewval.core.forest.boosting import Forest
from ewval.core.storage.arrays import read_arrays, write_arrays

__all__ = ["judged"]

FORM = b"1"
"""Changed whenever a forest comes to say something else of the same numbers."""


def judged(forest: Forest, evidence: NDArray[np.float32], *, kept: Path | None) -> NDArray[np.float64]:
    """Return the log-odds of every contact, bit for bit the same whether they were kept or not.

    Args:
        forest: That judges.
        evidence: float32[m, e], of `SegmentGraph`.
        kept: A file that holds them, or is to hold them, for one forest and one graph at a time; None for no file. One
            that cannot be read or written is done without.
    """
    if kept is None:
        return forest.log_odds(evidence)
    key = _key(forest, evidence)
    found = _read(kept, key)
    if found is None:
        found = forest.log_odds(evidence)
        with suppress(WriteError):
            write_arrays(kept, {"key": np.array(key), "log_odds": found})
    return found


def _key(forest: Forest, evidence: NDArray[np.float32]) -> str:
    digest = hashlib.sha256(FORM)
    for array in (*forest.arrays().values(), evidence):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read(path: Path, key: str) -> NDArray[np.float64] | None:
    try:
        stored = read_arrays(path)
        return stored["log_odds"] if str(stored["key"]) == key else None
    except (DataError, KeyError):
        return None
