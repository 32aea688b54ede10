"""Parts of neurons as seeds: any connected part of an answer can be given, and the rest of it is what to find."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.segments.verdicts import touching_pairs
from ewval.core.volumes.voxels import Labels, Mask

__all__ = ["OWN_SEED_SHARE", "REACH", "Neighbours", "draw_part", "near", "neighbours_of", "number_touching"]

REACH = 4
"""Packed voxels from the object within which a segment's voxels speak for it: farther off a network sees no seed."""
OWN_SEED_SHARE = 0.4
"""Share of parts that grow from the task's own seed, as an answer does; the others begin with any segment."""
MOST_TOUCHING = 255
"""Segments that are numbered at once: numbers are bytes, and 0 is none."""

Neighbours = Mapping[int, NDArray[np.int64]]
"""From a segment to those that touch it, ascending."""


def neighbours_of(labels: Labels) -> dict[int, NDArray[np.int64]]:
    """Return the neighbours of every segment in `labels`, uint16 z y x, that touches another."""
    pairs = touching_pairs(labels)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    ids, starts = np.unique(both[:, 0], return_index=True)
    return dict(zip(ids.tolist(), np.split(both[:, 1], starts[1:]), strict=True))


def draw_part(
    rng: np.random.Generator, neuron: Iterable[int], neighbours: Neighbours, *, seed: Iterable[int] = ()
) -> set[int]:
    """Return a connected part of `neuron`, never empty unless the neuron is.

    The part begins with `seed` or, in most draws, with any segment, and takes in touching segments of the neuron one by
    one, in random order. How many is drawn so that small and large parts come up alike by orders of magnitude.
    """
    members = sorted(set(neuron))
    if not members:
        return set()
    inside = set(seed) & set(members)
    is_own = rng.random() < OWN_SEED_SHARE
    if not inside or not is_own:
        inside = {members[int(rng.integers(len(members)))]}
    wanted = len(inside) * (len(members) / len(inside)) ** rng.random()
    allowed, edge = set(members), _around(inside, neighbours)
    while len(inside) + 1 <= wanted:
        choices = sorted((edge & allowed) - inside)
        if not choices:
            break
        chosen = choices[int(rng.integers(len(choices)))]
        inside.add(chosen)
        edge |= _around({chosen}, neighbours)
    return inside


def _around(segments: set[int], neighbours: Neighbours) -> set[int]:
    return {other for segment in segments if segment in neighbours for other in neighbours[segment].tolist()}


def near(mask: Mask, *, reach: int = REACH) -> Mask:
    """Return where `mask` is at most `reach` voxels away along each axis, itself included."""
    grown = mask
    for axis in range(mask.ndim):
        wider = grown.copy()
        for step in range(1, min(reach, grown.shape[axis] - 1) + 1):
            low, high = _shifted(mask.ndim, axis, step)
            wider[low] |= grown[high]
            wider[high] |= grown[low]
        grown = wider
    return grown


def _shifted(ndim: int, axis: int, step: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    before, after = [slice(None)] * ndim, [slice(None)] * ndim
    before[axis], after[axis] = slice(None, -step), slice(step, None)
    return tuple(before), tuple(after)


def number_touching(labels: Labels, seed: Mask, touching: Iterable[int], *, reach: int = REACH) -> NDArray[np.uint8]:
    """Return, where voxels of the segments `touching` lie near `seed`, the number of the segment; 0 elsewhere.

    Numbers begin with 1, by ascending id; of more than 255 segments the first ones are numbered.

    Args:
        labels: uint16, z y x.
        seed: bool, the same shape.
        touching: Ids of the segments to number.
        reach: How near.
    """
    is_wanted = np.zeros(SEGMENT_ID_COUNT, dtype=bool)
    is_wanted[np.fromiter(touching, dtype=np.int64)] = True
    where = near(seed, reach=reach) & is_wanted[labels] & ~seed
    table = np.zeros(SEGMENT_ID_COUNT, dtype=np.uint8)
    ids = np.unique(labels[where])[:MOST_TOUCHING]
    table[ids] = np.arange(1, len(ids) + 1)
    return np.asarray(np.where(where, table[labels], np.uint8(0)))
