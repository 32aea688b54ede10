"""Faults put into a right trace, to see whether they are found."""

import numpy as np
from numpy.typing import NDArray

from ewval.core.segments.views import VolumeView


def inject_fault(true: frozenset[int], view: VolumeView, *, seed: tuple[int, ...], key: int) -> frozenset[int] | None:
    """Return the trace with one segment missing, or with a foreign segment that touches it; None where neither can be.

    Which of the two, and which segment, is drawn from `key` alone; large segments are likelier, as a fault counts by
    its volume.

    Args:
        true: The right segments, without the seed.
        view: The segments of the volume, their sizes and which of them touch.
        seed: The segments that were given.
        key: What the draw rests on, such as the task's id.
    """
    rng = np.random.default_rng(key)
    foreign = _touching(true | set(seed), view.pairs)
    missing = np.array(sorted(true), dtype=np.int64)
    if not len(missing) and not len(foreign):
        return None
    drop = len(missing) > 0 and (not len(foreign) or rng.random() < 0.5)
    choices = missing if drop else foreign
    weight = np.maximum(view.sizes[choices], 1)
    chosen = int(rng.choice(choices, p=weight / weight.sum()))
    return true - {chosen} if drop else true | {chosen}


def _touching(trace: frozenset[int], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    inside = np.isin(pairs, list(trace))
    return np.unique(pairs[inside.any(axis=1)][~inside[inside.any(axis=1)]])
