"""What growing the objects of tasks costs: compiled, only what may have changed judged again, against the plain form.

    python benchmarks/growth.py ../shared/data [--set fib25 --set gala --set pinky] [--limit N]

Every scored task of each set is answered by the default model both ways, in turns, after its volume's graph has been
measured and judged. Prints seconds of the processor a task (median and mean) and their ratio, and stops with an error
where one bit differs.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ewval.core.forest.candidates import Surroundings, survey
from ewval.core.forest.growth import Growth, grow
from ewval.core.forest.model import SegmentHead
from ewval.core.graph.graph import build_graph
from ewval.core.kernels.library import kernels
from ewval.core.models.registry import load_decider
from ewval.core.volumes.raw import read_image, read_segmentation

FIELDS = ("rows", "log_odds", "refused", "refused_log_odds")


def timed(work: Callable[[], Growth]) -> tuple[Growth, float]:
    began = time.process_time()
    return work(), time.process_time() - began


def seeds_of(data: Path, name: str, volume: str, *, limit: int | None) -> list[list[int]]:
    """Return the seeds of the scored tasks that lie in `volume`."""
    rows = json.loads((data / "scored.json").read_text())["tasks"][name]
    tasks = [row["task"] for row in rows if row["volume"] == volume][:limit]
    documents = (json.loads((data / name / f"api/1.0/task/{task}.json").read_text()) for task in tasks)
    return [[int(i) for i in document["prior"]["segments"]] for document in documents]


def survey_volume(head: SegmentHead, folder: Path) -> Surroundings:
    graph = build_graph(read_image(folder), read_segmentation(folder))
    return survey(graph, head.pairs.log_odds(graph.evidence))


def time_tasks(head: SegmentHead, around: Surroundings, seeds: list[list[int]]) -> tuple[list[float], list[float]]:
    fast, plain = [], []
    for ids in seeds:
        seed = around.graph.rows(np.unique(ids))
        one, seconds = timed(lambda seed=seed: grow(around, seed, judge=head.candidates))
        fast.append(seconds)
        other, seconds = timed(lambda seed=seed: grow(around, seed, judge=head.candidates.log_odds_plain))
        plain.append(seconds)
        if not all(np.array_equal(getattr(one, field), getattr(other, field)) for field in FIELDS):
            sys.exit(f"seed {ids}: the two forms differ")
    return fast, plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--set", action="append", dest="sets")
    parser.add_argument("--limit", type=int, help="tasks a volume")
    chosen = parser.parse_args()
    head = load_decider().head
    print(f"kernels: {'compiled' if kernels() else 'none, so both forms are the plain one'}")
    print(f"{'set':8s}{'tasks':>6s}{'plain, median':>15s}{'compiled, median':>18s}{'mean':>9s}{'ratio of all':>14s}")
    everything: list[tuple[list[float], list[float]]] = []
    for name in chosen.sets or ["fib25", "gala", "pinky"]:
        found = [
            time_tasks(head, survey_volume(head, folder), seeds_of(chosen.data, name, folder.name, limit=chosen.limit))
            for folder in sorted((chosen.data / name / "volumes").iterdir())
        ]
        everything += found
        show(name, found)
    show("all", everything)


def show(name: str, found: list[tuple[list[float], list[float]]]) -> None:
    fast, plain = (np.array(list(itertools.chain.from_iterable(both[i] for both in found))) for i in range(2))
    print(
        f"{name:8s}{len(fast):6d}{np.median(plain) * 1e3:12.1f} ms{np.median(fast) * 1e3:15.1f} ms"
        f"{fast.mean() * 1e3:6.1f} ms{plain.sum() / fast.sum():14.1f}"
    )


if __name__ == "__main__":
    main()
