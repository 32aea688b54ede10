"""What an answer of the segment head costs, beside Flood-Filling Networks on a cube of the same size.

    python benchmarks/head.py [--data FOLDER --volume ID] [--model NAME|PATH]

Without a data folder the cube is generated. Prints, for each step, seconds by the clock and of the processor
(threads added up) and its arithmetic, and both beside the rival's published time: 7 minutes on a P100 for 250^3 voxels.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ewval.core.folder import DataFolder
from ewval.core.forest.candidates import survey
from ewval.core.forest.growth import grow
from ewval.core.graph.graph import build_graph
from ewval.core.models.registry import load_decider
from ewval.core.sim.sample import generate_cube
from ewval.core.volumes.raw import read_image, read_segmentation

RIVAL_SECONDS = 7 * 60
RIVAL_FLOPS = RIVAL_SECONDS * 9.3e12
"""An upper bound: a P100's single-precision peak."""
SEEDS = 20


def timed(work: Callable[[], object]) -> tuple:
    """Return what `work` gives, and its seconds by the clock and of the processor."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = work()
    return result, np.array([time.perf_counter(), time.process_time()]) - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--volume", type=int)
    parser.add_argument("--model")
    chosen = parser.parse_args()
    if chosen.data is None:
        cube = generate_cube(1)
        image, labels = cube.image, cube.labels
    else:
        raw = DataFolder(chosen.data).raw(chosen.volume)
        image, labels = read_image(raw), read_segmentation(raw)
    head = load_decider(chosen.model).head
    graph, measuring = timed(lambda: build_graph(image, labels))
    odds, judging = timed(lambda: head.pairs.log_odds(graph.evidence))
    around, surveying = timed(lambda: survey(graph, odds))
    judged: list[int] = []

    def judge(numbers: np.ndarray) -> np.ndarray:
        judged.append(len(numbers))
        return head.candidates.log_odds(numbers)

    seeds = np.random.default_rng(0).choice(len(graph.ids), SEEDS, p=graph.voxels / graph.voxels.sum())
    _, growing = timed(lambda: [grow(around, np.array([seed]), judge=judge) for seed in seeds])
    pair_work = len(graph.pairs) * head.pairs.column.shape[0] * head.pairs.depth
    growth_work = sum(judged) / SEEDS * head.candidates.column.shape[0] * head.candidates.depth
    print(f"cube {image.shape}, {len(graph.ids)} segments, {len(graph.pairs)} contacts")
    total, work = measuring + judging + surveying + growing / SEEDS, pair_work + growth_work
    print(f"{'':27s}   clock  processor")
    for what, (clock, processor), note in (
        ("graph, once a volume", measuring, ""),
        ("contacts judged, once", judging, f"{pair_work:.1e} comparisons"),
        ("clusters, once", surveying, ""),
        ("growth, each task", growing / SEEDS, f"{growth_work:.1e} comparisons"),
        ("first task of a volume", total, f"{RIVAL_SECONDS / total[0]:.0f} times less than {RIVAL_SECONDS} s"),
    ):
        print(f"{what + ':':27s}{clock:6.2f} s{processor:9.2f} s  {note}".rstrip())
    print(f"arithmetic of the trees:     {work:.1e}, {RIVAL_FLOPS / work:.0e} times less than {RIVAL_FLOPS:.0e}")


if __name__ == "__main__":
    main()
