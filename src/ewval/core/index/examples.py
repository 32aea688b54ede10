"""How much there is to learn from: cells, tasks, and contacts between segments whose truth the answers tell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.errors import DamagedError
from ewval.core.folder import DataFolder
from ewval.core.graph.graph import has_graph, load_graph
from ewval.core.index.split import Split
from ewval.core.tasks.table import TaskTable

__all__ = ["Examples", "count_examples"]

MOST_LOOKED_INTO = 50
"""Volumes whose contacts are counted; of more the number is estimated."""


@dataclass(frozen=True, slots=True)
class Examples:
    """What the train and val sides hold.

    Args:
        cells: With an answer.
        tasks: With an answer.
        volumes: That these lie in.
        graphs: How many of them have a segment graph, among those looked into.
        contacts: Between segments of which one is in an answer, at least; None without a graph.
        is_estimate: Whether not all volumes were looked into.
    """

    cells: int
    tasks: int
    volumes: int
    graphs: int
    contacts: int | None
    is_estimate: bool


def count_examples(folder: DataFolder, table: TaskTable, split: Split) -> Examples:
    """Count what `ewval train` can learn from."""
    ids = np.concatenate([split.side("train"), split.side("val")])
    rows = np.array([row for row in table.rows(ids).tolist() if table.has_aggregate(row)], dtype=np.int64)
    volumes = np.unique(table.volume[rows])
    some = volumes[np.linspace(0, len(volumes) - 1, min(len(volumes), MOST_LOOKED_INTO)).astype(np.int64)]
    counted = [_contacts(folder, int(volume), table, rows[table.volume[rows] == volume]) for volume in some]
    known = [count for count in counted if count is not None]
    return Examples(
        cells=len(np.unique(table.group[rows])),
        tasks=len(rows),
        volumes=len(volumes),
        graphs=len(known),
        contacts=round(float(np.mean(known)) * len(volumes)) if known else None,
        is_estimate=len(some) < len(volumes) or len(known) < len(some),
    )


def _contacts(folder: DataFolder, volume: int, table: TaskTable, rows: NDArray[np.int64]) -> int | None:
    path = folder.graph(volume)
    try:
        if not has_graph(path):
            return None
        graph = load_graph(path)
    except DamagedError:
        return None
    known = np.zeros(len(graph.ids), dtype=bool)
    for row in rows.tolist():
        known[graph.rows(np.concatenate([table.aggregate(row), table.seed(row)]))] = True
    return int(known[graph.pairs].any(axis=1).sum())
