"""Lists of different lengths as two flat arrays, so that millions of them load by mapping a file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """`len(self)` lists of segment ids.

    Args:
        values: uint32 [total], the lists one after another, each ascending and without repeats.
        offsets: int64 [lists + 1]; list i is `values[offsets[i]:offsets[i + 1]]`.
    """

    values: Ids
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Ids:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of ids in each list, int64 [lists]."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> npt.NDArray[np.int64]:
        """The list that each value belongs to, int64 [total]."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def take(self, rows: npt.NDArray[np.int64]) -> "Ragged":
        """Return the lists at `rows`, in that order."""
        lengths = self.lengths[rows]
        offsets = offsets_of(lengths)
        shift = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths)
        return Ragged(self.values[np.arange(offsets[-1]) + shift], offsets)

    def where(self, keep: npt.NDArray[np.bool_]) -> "Ragged":
        """Return the lists without the values that `keep` (bool [total]) leaves out."""
        kept = np.concatenate([[0], np.cumsum(keep)])
        return Ragged(self.values[keep], kept[self.offsets].astype(np.int64))


def offsets_of(lengths: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the offsets of lists of these lengths, int64 [lists + 1]."""
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))]).astype(np.int64)


def from_lists(lists: Iterable[Iterable[int]]) -> Ragged:
    """Return the lists sorted and without repeats, as one value."""
    rows = [sorted(set(row)) for row in lists]
    values = np.fromiter((value for row in rows for value in row), dtype=np.uint32)
    return Ragged(values, offsets_of([len(row) for row in rows]))


def from_blobs(blobs: Sequence[bytes | None]) -> Ragged:
    """Return the lists that little-endian uint32 blobs hold; None counts as empty.

    Raises:
        ValueError: A blob is cut.
    """
    parts = [blob or b"" for blob in blobs]
    lengths, rest = np.divmod(np.fromiter(map(len, parts), dtype=np.int64, count=len(parts)), 4)
    if rest.any():
        raise ValueError("a list of segments is cut")
    return Ragged(np.frombuffer(b"".join(parts), dtype="<u4").astype(np.uint32, copy=False), offsets_of(lengths))


def chain(parts: Sequence[Ragged]) -> Ragged:
    """Return the lists of all parts, one after another."""
    return Ragged(
        np.concatenate([part.values for part in parts]), offsets_of(np.concatenate([part.lengths for part in parts]))
    )


def union(first: Ragged, second: Ragged) -> Ragged:
    """Return, list by list, the ids that stand in either, sorted.

    Both have the same number of lists.
    """
    # Two ascending runs, which a stable sort merges in one pass; np.unique would hash tens of millions of keys.
    keys = np.sort(np.concatenate([_keys(first), _keys(second)]), kind="stable")
    keys = keys[np.diff(keys, prepend=keys[:1] + np.uint64(1)) != 0]
    lengths = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=len(first))
    return Ragged((keys & np.uint64(0xFFFFFFFF)).astype(np.uint32), offsets_of(lengths))


def _keys(lists: Ragged) -> npt.NDArray[np.uint64]:
    return (lists.owners.astype(np.uint64) << np.uint64(32)) | lists.values.astype(np.uint64)
