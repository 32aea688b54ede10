"""What a model reaches on generated cubes that it has not learned from, with its specialist and without.

    python benchmarks/generated.py FOLDER... [--model graph]

A FOLDER is made by `python -m ewval.core.sim.make_lessons FOLDER --raw --look LOOK`, with a seed that the recipe of the
model does not name. Prints F1 by volume (tasks with something to add; 95 % intervals over cells), that of the best
prefix of each growth and of the best fixed cut on probability, ECE per task, the share of the wrong volume in the fifth
of the candidates that are least certain and in the first tenth of the tasks.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from left_out import SIDES, Grown, line

from ewval.core.folder import DataFolder
from ewval.core.forest.decider import ForestDecider
from ewval.core.forest.growth import grow
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.labelled_folder import read_labelled
from ewval.core.forest.model import SegmentHead
from ewval.core.forest.tune import Trial
from ewval.core.models.registry import load_decider


def grown_tasks(head: SegmentHead, volumes: list[LabelledVolume]) -> list[Grown]:
    """Grow every task of the cubes."""
    found = []
    for volume in volumes:
        graph, known = volume.graph, head.known(volume.graph)
        for cell, seeds in volume.seeds.items():
            for seed in seeds:
                target = np.zeros(len(graph.ids), bool)
                target[volume.to_add(cell, seed)] = True
                growth = grow(known.around, seed, judge=known.judge)
                trial = Trial(volume.dataset, growth, graph.voxels.astype(float), target)
                found.append(Grown(cell, trial, known.familiarity))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--model", default="graph")
    chosen = parser.parse_args()
    decider = load_decider(chosen.model)
    if not isinstance(decider, ForestDecider):
        parser.error(f"{chosen.model} decides without forests")
    head = decider.head
    print("| | F1 (tasks) | best prefix | best fixed cut | ECE per task | least certain 20 % | first 10 % |")
    print("|---|---|---|---|---|---|---|")
    for folder in chosen.folders:
        volumes = read_labelled(DataFolder(folder), sides=SIDES)
        for label, asked in (("with its specialist", head), ("without", replace(head, specialist=None))):
            tasks = grown_tasks(asked, volumes)
            print(line(f"{folder.name}, {label}", tasks, lambda t, h=asked: h.settings_at(t.familiarity)), flush=True)


if __name__ == "__main__":
    main()
