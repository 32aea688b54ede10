"""What a few labelled cells of a tissue are worth: the start as it is, own cells alone, and the start adapted to them.

    python benchmarks/adaptation.py --target pinky --others fib25 --others gala [--also generated] --out OUT

Folders are as `ewval fetch`, `pack` and `index` leave them. The start learns from the others alone, the target's tissue
wholly left out. Two fifths of the target's cells are held out; of the rest some are drawn, several times, and learned
from with and without the start. Segments of cells that were not drawn are unlabelled, as where people have only
just begun. Prints the mean volume F1 of tasks with something to add and its spread over draws. The start and every
result are kept in OUT, so the same command again goes on where it stopped.
"""

import argparse
import json
import pickle
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ewval.core.folder import DataFolder
from ewval.core.forest.adapt import adapt_head
from ewval.core.forest.fit import Start, fit_head
from ewval.core.forest.growth import best_cut, grow
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.labelled_folder import read_labelled, share_out
from ewval.core.forest.learn import LearnConfig
from ewval.core.forest.model import SegmentHead

SIDES = ("train", "val", "test")
HELD_OUT = 0.4
PARTS = 5
DRAWS = 3
ALSO_WEIGHT = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, action="append", required=True, help="folders of one tissue")
    parser.add_argument("--others", type=Path, action="append", required=True, help="what the start learns from")
    parser.add_argument("--also", type=Path, action="append", default=[], help="generated cubes for the start")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cells", type=lambda text: [int(n) for n in text.split(",")], default=[5, 10, 20, 40])
    parser.add_argument("--draws", type=int, default=5)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    config = LearnConfig(rounds=1, draws=1)
    start = the_start(chosen, config)
    target = [volume for folder in chosen.target for volume in read_labelled(DataFolder(folder), sides=SIDES)]
    cells = sorted({cell for volume in target for cell in volume.cells})
    order = np.random.default_rng(0).permutation(cells).tolist()
    held_out = set(order[: round(HELD_OUT * len(cells))])
    pool = order[len(held_out) :]
    before = score(start.head, target, held_out)
    print(f"{len(cells)} cells, {len(held_out)} of them held out; start as it is: {before:.3f}", flush=True)
    print("| cells | own alone | adapted | adapted - better of both, by draw |\n|---|---|---|---|", flush=True)
    for count in [*[n for n in chosen.cells if n < len(pool)], len(pool)]:
        rows = []
        for draw in range(chosen.draws if count < len(pool) else 1):
            mine = set(np.random.default_rng([count, draw]).permutation(pool)[:count].tolist())
            rows.append(compare(chosen.out / f"{count}-{draw}.json", target, mine, held_out, start, config))
        own, adapted = np.array(rows).T
        lead = adapted - np.maximum(own, before)
        print(f"| {count} | {spread(own)} | {spread(adapted)} | {spread(lead)} |", flush=True)


def the_start(chosen: argparse.Namespace, config: LearnConfig) -> Start:
    """Learn the start, once."""
    path = chosen.out / "start.pickle"
    if not path.is_file():
        volumes = [v for folder in chosen.others for v in read_labelled(DataFolder(folder), sides=SIDES)]
        for folder in chosen.also:
            volumes += read_labelled(DataFolder(folder), weight=ALSO_WEIGHT, validates=False)
        fitted = fit_head(volumes, share_out(volumes, parts=PARTS), config=config)
        path.write_bytes(pickle.dumps(Start(fitted.head, fitted.tuned.thresholds)))
    return pickle.loads(path.read_bytes())


def compare(
    path: Path,
    target: Sequence[LabelledVolume],
    mine: Collection[int],
    held_out: Collection[int],
    start: Start,
    config: LearnConfig,
) -> list[float]:
    """Return the scores of what is learned from `mine` alone and of the start adapted to them."""
    if not path.is_file():
        volumes = [only(volume.without(held_out & volume.cells.keys()), mine) for volume in target]
        parts = share_out(volumes, parts=min(PARTS, len(mine)))
        own = adapt_head(volumes, parts, config=replace(config, draws=DRAWS))
        adapted = adapt_head(volumes, parts, config=replace(config, draws=DRAWS), start=start)
        scores = [score(each.fitted.head, target, held_out) for each in (own, adapted)]
        print(path.stem, adapted.kind, adapted.scores, scores, flush=True, file=sys.stderr)
        path.write_text(json.dumps(scores))
    return json.loads(path.read_text())


def only(volume: LabelledVolume, cells: Collection[int]) -> LabelledVolume:
    """Return the volume with no other cells labelled."""
    return replace(
        volume,
        cells={cell: rows for cell, rows in volume.cells.items() if cell in cells},
        seeds={cell: seeds for cell, seeds in volume.seeds.items() if cell in cells},
    )


def score(head: SegmentHead, target: Sequence[LabelledVolume], cells: Collection[int]) -> float:
    """Return the mean volume F1 over the tasks of `cells` that have something to add."""
    found = []
    for volume in target:
        graph = volume.graph
        around, voxels = head.surroundings(graph), graph.voxels.astype(np.float64)
        for cell in sorted(set(cells) & volume.cells.keys()):
            for seed in volume.seeds[cell]:
                wanted = np.setdiff1d(volume.cells[cell], seed)
                if len(wanted):
                    found.append(f1(head, around, voxels, seed, wanted))
    return float(np.mean(found))


def f1(head: SegmentHead, around: object, voxels: np.ndarray, seed: np.ndarray, wanted: np.ndarray) -> float:
    growth = grow(around, seed, judge=head.candidates)
    chance = head.settings.calibration.probability(growth.log_odds)
    chosen = growth.rows[: best_cut(voxels[growth.rows], chance, nothing=head.settings.nothing).count]
    right = voxels[np.intersect1d(chosen, wanted)].sum()
    return float(2 * right / (voxels[chosen].sum() + voxels[wanted].sum()))


def spread(values: np.ndarray) -> str:
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


if __name__ == "__main__":
    main()
