"""95 % intervals by resampling cells: tasks of one cell are no independent witnesses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.evaluation.metrics import Floats

RESAMPLES = 2_000
_BLOCK = 100
"""Resamples drawn at a time: keeps the memory for 3,000 cells below 3 MB."""


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """Per-cell sums, all that means and ratios over tasks need.

    Args:
        tasks: int64 [cells], tasks of each cell; at least 1.
        sums: float64 [cells, metrics], sums over those tasks.
    """

    tasks: NDArray[np.int64]
    sums: Floats

    def __post_init__(self) -> None:
        if self.sums.ndim != 2 or len(self.tasks) != len(self.sums) or (self.tasks < 1).any():
            raise ValueError("cells without tasks, or sums of other cells")


def resampled_sums(clusters: ClusterSums, *, resamples: int = RESAMPLES, seed: int = 0) -> tuple[Floats, Floats]:
    """Draw cells with replacement, as many as there are, again and again.

    Returns:
        float64 [resamples] tasks drawn and float64 [resamples, metrics] sums drawn. The same seed draws the same
        cells, so that two models on the same tasks can be compared draw by draw.
    """
    rng, cells = np.random.default_rng(seed), len(clusters.tasks)
    table: Floats = np.column_stack([clusters.tasks.astype(np.float64), clusters.sums])
    blocks: list[Floats] = []
    for begin in range(0, resamples, _BLOCK):
        rows = min(_BLOCK, resamples - begin)
        drawn = rng.integers(cells, size=(rows, cells)) + cells * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * cells).reshape(rows, cells)
        blocks.append(times.astype(np.float64) @ table)
    drawn_sums = np.concatenate(blocks)
    return drawn_sums[:, 0], drawn_sums[:, 1:]


def resampled_means(clusters: ClusterSums, *, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Return the mean over the tasks of each resample, float64 [resamples, metrics]."""
    tasks, sums = resampled_sums(clusters, resamples=resamples, seed=seed)
    return sums / tasks[:, None]


def interval(draws: Floats) -> tuple[float, float]:
    """Return the middle 95 % of the draws."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)
