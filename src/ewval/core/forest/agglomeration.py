"""Joining segments by their mean evidence, most certain first (average linkage weighted by contact area)."""

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["agglomerate"]

Neighbours = list[dict[int, tuple[float, float]]]
"""Per cluster, its neighbours with the contact area and the area-weighted sum of log-odds."""


def agglomerate(
    pairs: NDArray[np.int64],
    *,
    count: int,
    area: NDArray[np.float64],
    log_odds: NDArray[np.float64],
    bounds: Sequence[float],
) -> list[NDArray[np.int64]]:
    """Return the cluster of every segment, int64[count], once for each bound.

    Two clusters are joined while the mean log-odds over their whole contact exceed the bound.

    Args:
        pairs: int64[m, 2], touching segments.
        count: Segments.
        area: float64[m], of the contacts.
        log_odds: float64[m], that both are one cell.
        bounds: Falling.

    Source: average linkage of Bailoni et al. 2022 (GASP), arXiv 1906.11713.
    """
    neighbours: Neighbours = [{} for _ in range(count)]
    for (one, other), size, odds in zip(pairs.tolist(), area.tolist(), log_odds.tolist(), strict=True):
        neighbours[one][other] = neighbours[other][one] = (size, size * odds)
    queue = [(-odds, one, other) for (one, other), odds in zip(pairs.tolist(), log_odds.tolist(), strict=True)]
    heapq.heapify(queue)
    parent = list(range(count))
    found: list[NDArray[np.int64]] = []
    for bound in bounds:
        while queue and -queue[0][0] > bound:
            odds, one, other = heapq.heappop(queue)
            if _is_current(neighbours, one, other, -odds):
                _join(neighbours, parent, queue, one, other)
        found.append(_roots(parent))
    return found


def _is_current(neighbours: Neighbours, one: int, other: int, odds: float) -> bool:
    """Tell whether a queued contact still stands between two clusters that exist."""
    contact = neighbours[one].get(other)
    return contact is not None and abs(contact[1] / contact[0] - odds) < 1e-9


def _join(neighbours: Neighbours, parent: list[int], queue: list[tuple[float, int, int]], one: int, other: int) -> None:
    keep, lose = (one, other) if len(neighbours[one]) >= len(neighbours[other]) else (other, one)
    parent[lose] = keep
    del neighbours[keep][lose], neighbours[lose][keep]
    for third, (area, weighted) in neighbours[lose].items():
        del neighbours[third][lose]
        before = neighbours[keep].get(third, (0.0, 0.0))
        both = (before[0] + area, before[1] + weighted)
        neighbours[keep][third] = neighbours[third][keep] = both
        heapq.heappush(queue, (-both[1] / both[0], keep, third))
    neighbours[lose] = {}


def _roots(parent: list[int]) -> NDArray[np.int64]:
    roots = np.array(parent, dtype=np.int64)
    while (further := roots[roots]).tolist() != roots.tolist():
        roots = further
    return roots
