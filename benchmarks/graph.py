"""What measuring the graph of a volume and judging its contacts cost, compiled and by numpy alone.

    python benchmarks/graph.py [VOLUME_FOLDER]... [--rounds 3]

A VOLUME_FOLDER holds a raw volume; without one a cube is generated. Both forms take turns. Prints the shortest seconds
by the clock and of the processor (threads added up) and their ratios, and stops with an error where one bit differs.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ewval.core.graph.graph import SegmentGraph, build_graph
from ewval.core.kernels.library import kernels, without_kernels
from ewval.core.models.registry import load_decider
from ewval.core.sim.sample import generate_cube
from ewval.core.volumes.raw import read_image, read_segmentation


def timed(work: Callable[[], Any]) -> tuple[Any, np.ndarray]:
    start = np.array([time.perf_counter(), time.process_time()])
    result = work()
    return result, np.array([time.perf_counter(), time.process_time()]) - start


def compare(what: str, work: Callable[[], Any], *, rounds: int) -> tuple[Any, Any]:
    compiled, plain = [], []
    for _ in range(rounds):
        fast, seconds = timed(work)
        compiled.append(seconds)
        with without_kernels():
            slow, seconds = timed(work)
        plain.append(seconds)
    best, reference = np.min(compiled, axis=0), np.min(plain, axis=0)
    ratio = reference / best
    print(
        f"{what:10s}{reference[0]:9.3f} s{best[0]:9.3f} s{ratio[0]:7.1f}"
        f"{reference[1]:13.3f} s{best[1]:9.3f} s{ratio[1]:7.1f}"
    )
    return fast, slow


def check(graph: SegmentGraph, plain: SegmentGraph) -> None:
    different = [f.name for f in fields(graph) if not np.array_equal(getattr(graph, f.name), getattr(plain, f.name))]
    if different:
        sys.exit(f"the two forms differ in {', '.join(different)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", metavar="VOLUME_FOLDER")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    if kernels() is None:
        sys.exit("the kernels were not built: python -m ewval.core.kernels.build")
    if chosen.folders:
        cubes = [(folder.name, read_image(folder), read_segmentation(folder)) for folder in chosen.folders]
    else:
        made = generate_cube(1)
        cubes = [("generated", made.image, made.labels)]
    pairs = load_decider().head.pairs
    for name, image, labels in cubes:
        print(f"{name}\n{'':10s}   clock: plain, compiled, ratio    processor: plain, compiled, ratio")
        graph, plain = compare("graph", lambda i=image, s=labels: build_graph(i, s), rounds=chosen.rounds)
        check(graph, plain)
        odds = compare(f"{len(graph.pairs)} judged", lambda g=graph: pairs.log_odds(g.evidence), rounds=chosen.rounds)
        if not np.array_equal(*odds):
            sys.exit("the two forms judge differently")


if __name__ == "__main__":
    main()
