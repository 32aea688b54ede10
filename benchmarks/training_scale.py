"""What training costs at the scale of the whole data set, in time and in memory.

    python benchmarks/training_scale.py --data fib25 --data pinky OUT [--volumes 10000] [--recipe graph]

Volumes are made by resampling: each is a hard link to a real graph, with tasks of cells of its own. Prints the seconds
of the processor for reading and for learning, the highest memory, and what all 56,326 volumes come to: of more volumes
than the recipe's bounds no more are read, and of more cells no more are learned from, so beyond them nothing grows.
"""

import argparse
import json
import os
import resource
import shutil
import time
from pathlib import Path

import numpy as np

from ewval.core.folder import DataFolder
from ewval.core.graph.graph import has_graph
from ewval.core.index.split import Split, write_split
from ewval.core.recipe import check_recipe, override, read_recipe
from ewval.core.tasks.table import TaskTable
from ewval.core.training.recipe import GraphRecipe
from ewval.core.training.run import GraphRunRequest, train_graph

ALL_VOLUMES = 56_326
CUBES_A_CELL, TASKS_A_VOLUME = 20, 30
"""A cell of the copies lies in so many of them."""


class Clock:
    """A progress that notes when each stage began, in seconds of the processor."""

    def __init__(self) -> None:
        self.began: float | None = None
        self.total = 0

    def start(self, total: int | None, *, unit: str = "") -> None:  # noqa: ARG002
        self.began, self.total = self.began or time.process_time(), total or 0

    def advance(self, count: int = 1) -> None: ...

    def expect(self, total: int) -> None: ...

    def note(self, text: str) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("out", type=Path)
    parser.add_argument("--volumes", type=int, default=10_000)
    parser.add_argument("--recipe", default="graph")
    parser.add_argument("--bounds", default="", help="such as cells=300,trials=100, to try it in little time")
    chosen = parser.parse_args()
    data = resample([DataFolder(path) for path in chosen.data], DataFolder(chosen.out / "data"), chosen.volumes)
    changes = {f"bounds.{k}": int(v) for k, _, v in (word.partition("=") for word in chosen.bounds.split(",") if word)}
    recipe = check_recipe(GraphRecipe, override(read_recipe(chosen.recipe), changes), name=chosen.recipe)
    recipe = recipe.model_copy(update={"curve": False, "generated": {}})
    shutil.rmtree(chosen.out / "run", ignore_errors=True)
    cubes, forests = Clock(), Clock()
    began = time.process_time()
    summary = train_graph(
        GraphRunRequest((data.root,), chosen.out / "run", recipe, init="none"), cubes=cubes, forests=forests
    )
    ended, learning = time.process_time(), forests.began or began
    read = min(chosen.volumes, recipe.bounds.volumes)
    print(f"{chosen.volumes} volumes, {summary.cells} cells; {read} volumes read, {forests.total} forests")
    print(f"reading: {learning - began:.0f} s of the processor, {1e3 * (learning - began) / read:.0f} ms a volume")
    print(f"learning: {ended - learning:.0f} s of the processor")
    print(f"highest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    full = min(ALL_VOLUMES, recipe.bounds.volumes) / read
    total = (learning - began) * full + (ended - learning) * (1 if chosen.bounds else full)
    print(f"projected to {ALL_VOLUMES} volumes with these bounds: {total / 3600:.2f} h of one core")


def resample(sources: list[DataFolder], target: DataFolder, count: int) -> DataFolder:
    """Make a data folder of `count` volumes out of the real ones, unless it is there."""
    if target.split.is_file():
        return target
    found = [(source, TaskTable.load(source)) for source in sources]
    volumes = [(source, table, int(volume)) for source, table in found for volume in np.unique(table.volume)]
    real = [entry for entry in volumes if has_graph(entry[0].graph(entry[2]))]
    volume_of, data_of, roots, random = {}, {}, {}, np.random.default_rng(0)
    for number in range(count):
        source, table, volume = real[number % len(real)]
        copy = 1_000_000 + number
        for there, here in ((source.graph, target.graph), (source.image, target.image)):
            link(there(volume), here(copy))
        link(source.segmentation(volume), target.segmentation(copy))
        for row in random.permutation(np.flatnonzero(table.volume == volume))[:TASKS_A_VOLUME].tolist():
            task = len(volume_of) + 1
            # A cell goes on through neighbouring copies: its tasks have one root.
            root = roots.setdefault((number // CUBES_A_CELL, volume, row), task)
            answer = table.aggregate(row).tolist() if table.has_aggregate(row) else None
            parent = None if root == task else root
            data_of[str(task)] = {"seed": table.seed(row).tolist(), "parent": parent, "aggregate": answer}
            volume_of[str(task)] = str(copy)
    target.task_vol.write_text(json.dumps(volume_of))
    target.task_data.write_text(json.dumps(data_of))
    none = np.zeros(0, np.int64)
    write_split(Split(train=np.arange(1, len(volume_of) + 1), val=none, test=none, gap=none), target)
    return target


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.link(source, target)


if __name__ == "__main__":
    main()
