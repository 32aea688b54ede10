"""Images and segmentations at a fraction of their resolution, exactly as the 2019 seed system made them.

Axis order is z, y, x; a block is `factor` voxels along each axis.

Labels: half of the blocks hold one label and are done by comparing machine words. In the others the labels are counted
one after the other, in all blocks at once; the few blocks with many labels are sorted. The counts of the blocks add up
to the size of each label in the volume, which decides ties.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.errors import UsageError

FACTORS = (1, 2, 4, 8)
CHUNK_WORDS = 1 << 17
"""Words of mixed blocks that are counted at a time: 1 MiB, so that every pass finds them in the CPU's cache."""
PEEL_ROUNDS = 4
"""Labels of a block that are counted one by one before it is sorted; nearly all real blocks hold no more."""

Words = NDArray[np.unsignedinteger[Any]]


def downsample_image(image: NDArray[np.uint8], *, factor: int) -> NDArray[np.uint8]:
    """Return the mean of each block, rounded half to even.

    Args:
        image: uint8 [z, y, x], each edge a multiple of `factor`.
        factor: 1, 2, 4 or 8.

    Returns:
        uint8 [z / factor, y / factor, x / factor].

    Raises:
        UsageError: The factor is another one, or does not divide the shape.
    """
    depth, height, width = _blocks_along(image.shape, factor=factor)
    rows = image.reshape(depth, factor, height, factor, width * factor)
    sums = np.zeros((depth, height, width * factor), np.uint16)  # at most 64 rows of 255 each
    for dz in range(factor):
        for dy in range(factor):
            sums += rows[:, dz, :, dy]
    total = sums.reshape(depth, height, width, factor).sum(axis=3, dtype=np.uint32)
    return _divide_half_to_even(total, factor**3)


def _divide_half_to_even(total: NDArray[np.uint32], divisor: int) -> NDArray[np.uint8]:
    if divisor == 1:
        return total.astype(np.uint8)
    is_odd = total // divisor % 2
    return ((total + (divisor // 2 - 1) + is_odd) // divisor).astype(np.uint8)


def downsample_labels(labels: NDArray[np.uint16], *, factor: int) -> NDArray[np.uint16]:
    """Return the most frequent non-zero label of each block, 0 only where the whole block is 0.

    Of labels that are equally frequent in a block, the one with the fewest voxels in all of `labels` wins, then the
    smaller id.

    Args:
        labels: uint16 [z, y, x], each edge a multiple of `factor`.
        factor: 1, 2, 4 or 8.

    Returns:
        uint16 [z / factor, y / factor, x / factor].

    Raises:
        UsageError: The factor is another one, or does not divide the shape.
    """
    _blocks_along(labels.shape, factor=factor)
    modes = labels[::factor, ::factor, ::factor].copy()
    if factor == 1:
        return modes
    words = _words(labels, factor=factor)
    is_mixed = _is_mixed(words)
    tally = _tally(words, np.flatnonzero(is_mixed))
    sizes = np.bincount(modes[~is_mixed], minlength=SEGMENT_ID_COUNT) * factor**3
    # Weights are added as floats: exact, as no volume has 2^53 voxels.
    sizes += np.bincount(tally.labels, tally.counts, minlength=SEGMENT_ID_COUNT).astype(np.int64)
    modes[is_mixed] = _winners(tally, sizes, blocks=int(is_mixed.sum()))
    return modes


def check_factor(factor: int) -> None:
    """Raise UsageError where `factor` is none that ewval packs with."""
    if factor not in FACTORS:
        raise UsageError(f"factor {factor} is none of {', '.join(map(str, FACTORS))}")


def _blocks_along(shape: tuple[int, ...], *, factor: int) -> tuple[int, int, int]:
    check_factor(factor)
    if len(shape) != 3 or any(edge % factor for edge in shape):
        raise UsageError(f"factor {factor} does not divide the shape {' x '.join(map(str, shape))}")
    depth, height, width = (edge // factor for edge in shape)
    return depth, height, width


@dataclass(frozen=True, slots=True)
class _Tally:
    """Labels counted in blocks: `counts[i]` voxels of block `blocks[i]` hold `labels[i]`."""

    blocks: NDArray[np.intp]
    labels: NDArray[np.uint16]
    counts: NDArray[np.uint16]


def _words(labels: NDArray[np.uint16], *, factor: int) -> Words:
    """Return `labels` as machine words of 2 or 4 labels, [z, dz, y, dy, x, word]: dz, dy, word inside the block."""
    depth, height, width = (edge // factor for edge in labels.shape)
    kind: np.dtype[np.unsignedinteger[Any]] = np.dtype(np.uint32 if factor == 2 else np.uint64)
    return np.ascontiguousarray(labels, np.uint16).view(kind).reshape(depth, factor, height, factor, width, -1)


def _is_mixed(words: Words) -> NDArray[np.bool_]:
    """Return which blocks [z, y, x] hold more than one label."""
    _, factor, _, _, _, row = words.shape
    first = words[:, 0, :, 0, :, 0]
    copies = first.dtype.type(0x0001_0001_0001_0001 >> 64 - 8 * first.itemsize)
    is_mixed: NDArray[np.bool_] = first != first.astype(np.uint16) * copies
    for dz, dy, word in np.ndindex(factor, factor, row):
        is_mixed |= words[:, dz, :, dy, :, word] != first
    return is_mixed


def _tally(words: Words, chosen: NDArray[np.intp]) -> _Tally:
    """Count the labels of the `chosen` blocks (indices into [z, y, x]), which are renumbered from 0."""
    depth, factor, height, _, width, row = words.shape
    flat = words.reshape(-1)
    z, y, x = np.unravel_index(chosen, (depth, height, width))
    firsts = ((z * factor * height + y) * factor * width + x) * row  # where in `flat` each block begins
    offsets = [(dz * height * factor + dy) * width * row + k for dz, dy, k in np.ndindex(factor, factor, row)]
    step = CHUNK_WORDS // len(offsets)
    tallies: list[_Tally] = []
    for start in range(0, chosen.size, step):
        at = firsts[start : start + step]
        chunk = np.empty((len(offsets), at.size), words.dtype)  # [word, block]
        for row_of_chunk, offset in zip(chunk, offsets, strict=True):
            flat.take(at + offset, out=row_of_chunk, mode="clip")  # "raise" would buffer; none is out of range
        tallies += _count(chunk, np.arange(start, start + at.size))
    return _joined(tallies)


def _joined(tallies: Sequence[_Tally]) -> _Tally:
    if not tallies:
        return _Tally(np.empty(0, np.intp), np.empty(0, np.uint16), np.empty(0, np.uint16))
    return _Tally(
        np.concatenate([tally.blocks for tally in tallies]),
        np.concatenate([tally.labels for tally in tallies]),
        np.concatenate([tally.counts for tally in tallies]),
    )


def _count(words: Words, blocks: NDArray[np.intp]) -> Iterator[_Tally]:
    """Yield the largest label of each block and its count, then the next one, until all labels are counted."""
    lanes = words.itemsize // 2
    for _ in range(PEEL_ROUNDS):
        largest = _over_lanes(np.maximum, words.view(np.uint16).max(axis=0), lanes=lanes)
        is_left = largest > 0
        words, blocks, largest = words.compress(is_left, axis=1), blocks[is_left], largest[is_left]
        labels = words.view(np.uint16)  # [word, block and lane]
        is_largest = labels == np.repeat(largest, lanes)
        counts = is_largest.view(np.uint8).sum(axis=0, dtype=np.uint8).astype(np.uint16)  # at most 128 words
        yield _Tally(blocks, largest, _over_lanes(np.add, counts, lanes=lanes))
        labels *= ~is_largest
    yield _count_sorted(words, blocks)


def _over_lanes(operation: np.ufunc, values: NDArray[np.uint16], *, lanes: int) -> NDArray[np.uint16]:
    """Reduce [block and lane] to [block]; column by column, as numpy's reduction is slow along so short an axis."""
    combined: NDArray[np.uint16] = reduce(operation, values.reshape(-1, lanes).T)
    return combined


def _count_sorted(words: Words, blocks: NDArray[np.intp]) -> _Tally:
    """Return all labels of the blocks with their counts, by sorting each block."""
    rows = np.ascontiguousarray(words.T).view(np.uint16)  # [block, voxel]
    rows.sort(axis=1)
    is_start = np.ones(rows.shape, np.bool_)
    np.not_equal(rows[:, 1:], rows[:, :-1], out=is_start[:, 1:])
    starts = np.flatnonzero(is_start)
    labels, counts = rows.reshape(-1)[starts], np.diff(starts, append=rows.size).astype(np.uint16)
    is_label = labels > 0
    return _Tally(np.repeat(blocks, is_start.sum(axis=1))[is_label], labels[is_label], counts[is_label])


def _winners(tally: _Tally, sizes: NDArray[np.int64], *, blocks: int) -> NDArray[np.uint16]:
    """Return the label of each block: the largest count, then the smallest size, then the smallest id.

    The three are packed into one integer, most important first: count << 48 | ~size << 16 | ~label.
    """
    ids = np.arange(SEGMENT_ID_COUNT, dtype=np.uint64)
    rank = (0xFFFF_FFFF - sizes.astype(np.uint64)) << 16 | 0xFFFF - ids
    best = np.zeros(blocks, np.uint64)
    np.maximum.at(best, tally.blocks, tally.counts.astype(np.uint64) << 48 | rank[tally.labels])
    return (0xFFFF - (best & 0xFFFF)).astype(np.uint16)
