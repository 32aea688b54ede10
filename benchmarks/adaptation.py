"""What a few labelled cells of a tissue are worth: the start as it is, own cells alone, and the start adapted to them.

    python benchmarks/adaptation.py --target pinky --others fib25 --others gala [--also RUN/generated-any] --out OUT

Folders are as `ewval fetch`, `pack` and `index` leave them. The start learns from the others alone, the target's tissue
wholly left out. Some of the target's cells are drawn, several times, and learned from with and without the start, as
`ewval train` learns; all other cells are unlabelled, as where people have only just begun. Asked are cells that were
not drawn:

- `--ask cubes` (where the target has several): in the cubes in turn, each wholly left out of its draw;
- `--ask cells`: two fifths of the cells, always the same, they and what touches them left out.

Prints the mean volume F1 of tasks with something to add, answered as `ewval predict` answers them, its spread over the
draws, and by how much the adapted model leads the better of the other two, with a 95 % interval (t, over draws). The
start and every result are kept in OUT, so the same command again goes on where it stopped.
"""

import argparse
import json
import pickle
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import t

from ewval.core.folder import DataFolder
from ewval.core.forest.adapt import adapt_head
from ewval.core.forest.fit import Start, fit_head
from ewval.core.forest.labelled import LabelledVolume, validating
from ewval.core.forest.labelled_folder import read_labelled, share_out
from ewval.core.forest.learn import LearnConfig
from ewval.core.forest.model import SegmentHead
from ewval.core.graph.graph import SegmentGraph
from ewval.core.training.augmented import AugmentedCubes, augment_volumes

SIDES = ("train", "val", "test")
ALL = 10**9
HELD_OUT = 0.4
PARTS = 5
ALSO_WEIGHT = 0.05
CONFIG = LearnConfig(draws=1, rounds=2)
"""As the recipe `graph` has it."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Volumes to learn from, with the drawn cells alone, and volumes to ask for cells that were not drawn."""

    learned: Sequence[LabelledVolume]
    asked: Sequence[LabelledVolume]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, action="append", required=True, help="folders of one tissue")
    parser.add_argument("--others", type=Path, action="append", required=True, help="what the start learns from")
    parser.add_argument("--also", type=Path, action="append", default=[], help="generated cubes for the start")
    parser.add_argument("--also-weight", type=float, default=ALSO_WEIGHT, help="of their examples")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ask", choices=("cubes", "cells"), default="cells")
    parser.add_argument("--cells", type=lambda text: [int(n) for n in text.split(",")], default=[5, 10, 20, 40])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument(
        "--start-forms", type=int, default=0, help="changed forms of each cube that the start learns from"
    )
    parser.add_argument("--forms", type=int, default=0, help="the same of the target's cubes")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    start = the_start(chosen.others, chosen.also, out=chosen.out, forms=chosen.start_forms, weight=chosen.also_weight)
    target = cubes(chosen.target, forms=chosen.forms, kept=chosen.out / "augmented")
    draw = by_cubes if chosen.ask == "cubes" else by_cells
    print(
        "| cells | start as it is | own alone | adapted | adapted - better of both |\n|---|---|---|---|---|", flush=True
    )
    for count in [*chosen.cells, ALL]:
        found = [
            compare(chosen.out / f"{chosen.ask}-{count}-{n}.json", draw(target, count, n), start)
            for n in range(chosen.draws)
        ]
        before, own, adapted = np.array(found).T
        ahead = adapted - (before if before.mean() > own.mean() else own)
        name = "all" if count == ALL else count
        print(f"| {name} | {spread(before)} | {spread(own)} | {spread(adapted)} | {lead(ahead)} |", flush=True)


def cubes(folders: Sequence[Path], *, forms: int, kept: Path) -> list[LabelledVolume]:
    """Return the cubes of data folders, and changed forms of each."""
    found = []
    for folder in folders:
        mine = read_labelled(DataFolder(folder), sides=SIDES)
        found += mine
        if forms:
            found += augment_volumes(DataFolder(folder), mine, AugmentedCubes(forms), kept=kept / folder.name)
    return found


def by_cubes(target: Sequence[LabelledVolume], count: int, draw: int) -> Draw:
    """Draw cells of all cubes but one."""
    real = validating(target)
    left_out = real[draw % len(real)]
    others = [volume for volume in target if volume.id != left_out.id]
    mine = drawn({cell for volume in others for cell in volume.cells}, count, draw)
    return Draw([only(volume, mine) for volume in others], [only(left_out, left_out.cells.keys() - mine)])


def by_cells(target: Sequence[LabelledVolume], count: int, draw: int) -> Draw:
    """Draw cells of all cubes, two fifths of the cells aside."""
    cells = {cell for volume in target for cell in volume.cells}
    aside = drawn(cells, round(HELD_OUT * len(cells)), 0)
    mine = drawn(cells - aside, count, draw)
    learned = [only(volume.without(aside & volume.cells.keys()), mine) for volume in target]
    return Draw(learned, [only(volume, aside) for volume in validating(target)])


def drawn(cells: Collection[int], count: int, draw: int) -> set[int]:
    return set(np.random.default_rng([count, draw]).permutation(sorted(cells))[:count].tolist())


def the_start(
    others: Sequence[Path], also: Sequence[Path], *, out: Path, forms: int = 0, weight: float = ALSO_WEIGHT
) -> Start:
    """Learn the start, once."""
    path = out / "start.pickle"
    if not path.is_file():
        volumes = cubes(others, forms=forms, kept=out / "augmented")
        for folder in also:
            volumes += read_labelled(DataFolder(folder), weight=weight, kind="generated")
        fitted = fit_head(volumes, share_out(volumes, parts=PARTS), config=CONFIG)
        path.write_bytes(pickle.dumps(Start(fitted.head, fitted.tuned.thresholds)))
    return pickle.loads(path.read_bytes())


def compare(path: Path, draw: Draw, start: Start) -> list[float]:
    """Return the scores of the start, of what the drawn cells alone teach, and of the start adapted to them."""
    if not path.is_file():
        known = {cell for volume in draw.learned for cell in volume.cells}
        parts = share_out(draw.learned, parts=min(PARTS, len(known)))
        own, adapted = (adapt_head(draw.learned, parts, config=CONFIG, start=s).fitted.head for s in (None, start))
        scores = [score(head, draw.asked) for head in (start.head, own, adapted)]
        path.write_text(json.dumps(scores))
    return json.loads(path.read_text())


def only(volume: LabelledVolume, cells: Collection[int]) -> LabelledVolume:
    """Return the volume with no other cells labelled."""
    return replace(
        volume,
        cells={cell: rows for cell, rows in volume.cells.items() if cell in cells},
        seeds={cell: seeds for cell, seeds in volume.seeds.items() if cell in cells},
    )


def score(head: SegmentHead, asked: Sequence[LabelledVolume]) -> float:
    """Return the mean volume F1 over the tasks that have something to add."""
    return float(
        np.mean(
            [
                f1(head, volume.graph, seed, wanted)
                for volume in asked
                for cell in sorted(volume.cells)
                for seed in volume.seeds[cell]
                if len(wanted := volume.to_add(cell, seed))
            ]
        )
    )


def f1(head: SegmentHead, graph: SegmentGraph, seed: np.ndarray, wanted: np.ndarray) -> float:
    answer = head.score(graph, graph.ids[seed].tolist())
    chosen, voxels = graph.rows(answer.ids[answer.chosen]), graph.voxels.astype(np.float64)
    right = voxels[np.intersect1d(chosen, wanted)].sum()
    return float(2 * right / (voxels[chosen].sum() + voxels[wanted].sum()))


def spread(values: np.ndarray) -> str:
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


def lead(ahead: np.ndarray) -> str:
    if len(ahead) < 2:
        return f"{ahead.mean():+.3f}"
    reach = t.ppf(0.975, len(ahead) - 1) * ahead.std(ddof=1) / np.sqrt(len(ahead))
    return f"{ahead.mean():+.3f} [{ahead.mean() - reach:+.3f}, {ahead.mean() + reach:+.3f}]"


if __name__ == "__main__":
    main()
