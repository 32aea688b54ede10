"""What there is to learn from is counted on the sides that are learned from."""

from pathlib import Path

import numpy as np

from block_cube import block_cube
from ewval.core.folder import DataFolder
from ewval.core.graph.graph import build_graph, save_graph
from ewval.core.index.examples import count_examples
from ewval.core.index.split import Split
from ewval.core.tasks.table import TaskTable
from worlds import make_pair


def test_cells_tasks_and_contacts_are_counted(tmp_path: Path) -> None:
    folder, cube = DataFolder(tmp_path), block_cube(seed=3, cells=8, pieces=36)
    graph = build_graph(cube["image"], cube["labels"])
    one, other = graph.ids[graph.pairs[0]].tolist()
    records = [
        make_pair(1, cell=1, volume=7, seed=[one], answer=[one]),
        make_pair(2, cell=2, volume=7, seed=[other], answer=[other]),
        make_pair(3, cell=3, volume=8, seed=[one], answer=[one]),
    ]
    table, none = TaskTable.from_records(records), np.zeros(0, np.int64)
    split = Split(train=np.array([1]), val=np.array([3]), test=np.array([2]), gap=none)
    bare = count_examples(folder, table, split)
    assert (bare.cells, bare.tasks, bare.volumes, bare.graphs, bare.contacts) == (2, 2, 2, 0, None)
    save_graph(folder.graph(7), graph)
    touching = int((graph.pairs == graph.pairs[0, 0]).any(axis=1).sum())
    counted = count_examples(folder, table, split)
    assert (counted.graphs, counted.contacts, counted.is_estimate) == (1, 2 * touching, True)
