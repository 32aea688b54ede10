"""What reviewed tasks are worth, by the order in which they were asked: `--order learn`, by priority, by chance.

    python benchmarks/review_loop.py --target pinky --others fib25 --others gala [--also generated] --out OUT

Folders are as `ewval fetch`, `pack` and `index` leave them. The start learns from the others alone, the target's tissue
wholly left out (as in benchmarks/adaptation.py, whose start.pickle in OUT is taken where it is there). The truth is
the reviewer. In each draw two fifths of the target's cells are held out; the tasks of the others are put in order by
what the start says of them, none of their answers known; the start is adapted to the first of them and asked for the
held-out cells. Prints the mean volume F1 of held-out tasks with something to add, the mean of the draws, and what
`learn` is ahead by, with a 95 % interval (t, over draws). Every result is kept in OUT, so the same command again goes
on where it stopped.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from adaptation import HELD_OUT, PARTS, SIDES, score, the_start

from ewval.core.folder import DataFolder
from ewval.core.forest.fit import Start, fit_head
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.labelled_folder import read_labelled, share_out
from ewval.core.forest.learn import CANDIDATE_TREES, PAIR_TREES, LearnConfig
from ewval.core.forest.model import SegmentHead
from ewval.core.ledger.reviews import Rank
from ewval.core.review.asker import Opinion
from ewval.core.review.ranking import rank_of, to_learn_from
from ewval.core.review.scene import TaskFacts
from ewval.core.segments.decision import rounded
from ewval.core.segments.views import GraphView

ORDERS = ("learn", "priority", "chance")
T_975 = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the target: what the queue knows of it, where it lies, and rows of its seed."""

    facts: TaskFacts
    place: int
    seed: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, action="append", required=True, help="folders of one tissue")
    parser.add_argument("--others", type=Path, action="append", required=True, help="what the start learns from")
    parser.add_argument("--also", type=Path, action="append", default=[], help="generated cubes for the start")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", type=lambda text: [int(n) for n in text.split(",")], default=[5, 10, 20, 40])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument(
        "--parts", type=int, default=PARTS, help="of the reviewed cells, for forests that have not seen one"
    )
    parser.add_argument("--trees", type=int, default=100, help="of each forest that is learned from reviewed tasks")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    start = the_start(chosen, LearnConfig(rounds=1, draws=1))
    trees = [replace(forest, trees=chosen.trees) for forest in (PAIR_TREES, CANDIDATE_TREES)]
    config = LearnConfig(pairs=trees[0], candidates=trees[1], rounds=1, draws=1)
    target = [volume for folder in chosen.target for volume in read_labelled(DataFolder(folder), sides=SIDES)]
    tasks = list_tasks(target)
    ranks = {task.facts.task: rank(task, target, start.head) for task in tasks}
    print(f"{len(tasks)} tasks of {len({t.facts.cell for t in tasks})} cells", flush=True)
    before = [
        kept(chosen.out, f"{d}-0", lambda d=d: score(start.head, target, split(target, d))) for d in draws(chosen)
    ]
    print(f"start as it is: {np.mean(before):.3f}\n", flush=True)
    print("| reviewed | learn | priority | chance | learn - chance | learn - priority |\n|---|---|---|---|---|---|")
    for count in chosen.tasks:
        found = {order: [] for order in ORDERS}
        for draw in draws(chosen):
            held_out = split(target, draw)
            for order in ORDERS:
                first = put_in_order(tasks, ranks, held_out, order=order, draw=draw)[:count]
                work = lambda first=first, held_out=held_out: learned(  # noqa: E731
                    start, target, first, held_out, config, chosen.parts
                )
                found[order].append(kept(chosen.out, f"{draw}-{count}-{order}", work))
        cells = [f"{np.mean(found[order]):.3f}" for order in ORDERS]
        leads = [lead(found["learn"], found[other]) for other in ("chance", "priority")]
        print(f"| {count} | {' | '.join([*cells, *leads])} |", flush=True)


def draws(chosen: argparse.Namespace) -> range:
    return range(chosen.draws)


def kept(folder: Path, name: str, work) -> float:
    """Return the result kept as `name`, else work it out and keep it."""
    path = folder / f"loop-{name}.json"
    if not path.is_file():
        path.write_text(json.dumps(work()))
    return json.loads(path.read_text())


def list_tasks(target: Sequence[LabelledVolume]) -> list[Task]:
    found: list[Task] = []
    for place, volume in enumerate(target):
        for cell in sorted(volume.cells):
            for seed in volume.seeds[cell]:
                ids = tuple(volume.graph.ids[seed].tolist())
                found.append(Task(TaskFacts(len(found) + 1, volume.id, cell, ids, None), place, seed))
    return found


def rank(task: Task, target: Sequence[LabelledVolume], head: SegmentHead) -> Rank:
    """Return what the start says of a task, as `ewval review` ranks it."""
    graph = target[task.place].graph
    answer = head.score(graph, task.facts.seed)
    opinion = Opinion(answer.ids, rounded(answer.probability), answer.chosen, answer.familiarity)
    return rank_of(task.facts, opinion, GraphView(graph, "full", 1))


def split(target: Sequence[LabelledVolume], draw: int) -> set[int]:
    """Return the cells that are held out."""
    cells = sorted({cell for volume in target for cell in volume.cells})
    order = np.random.default_rng([7, draw]).permutation(cells).tolist()
    return set(order[: round(HELD_OUT * len(cells))])


def put_in_order(
    tasks: Sequence[Task], ranks: Mapping[int, Rank], held_out: set[int], *, order: str, draw: int
) -> list[Task]:
    waiting = [task for task in tasks if task.facts.cell not in held_out]
    if order == "chance":
        return [waiting[i] for i in np.random.default_rng([8, draw]).permutation(len(waiting))]
    if order == "priority":
        return sorted(waiting, key=lambda task: -ranks[task.facts.task].priority)
    by_id = {task.facts.task: task for task in waiting}
    return [by_id[i] for i in to_learn_from([task.facts for task in waiting], ranks, settled=[])]


def learned(
    start: Start,
    target: Sequence[LabelledVolume],
    tasks: Sequence[Task],
    held_out: set[int],
    config: LearnConfig,
    most_parts: int,
) -> float:
    """Return the score of the start adapted to the answers of `tasks`; of the start where these are of one cell."""
    volumes = []
    for place, volume in enumerate(target):
        mine = [task for task in tasks if task.place == place]
        cells = {task.facts.cell: volume.cells[task.facts.cell] for task in mine}
        seeds = {cell: tuple(task.seed for task in mine if task.facts.cell == cell) for cell in cells}
        volumes.append(replace(volume.without(held_out & volume.cells.keys()), cells=cells, seeds=seeds))
    known = {cell for volume in volumes for cell in volume.cells}
    if len(known) < 2:
        return score(start.head, target, held_out)
    parts = share_out(volumes, parts=min(most_parts, len(known)))
    return score(fit_head(volumes, parts, config=config, start=start).head, target, held_out)


def lead(one: Sequence[float], other: Sequence[float]) -> str:
    ahead = np.subtract(one, other)
    if len(ahead) < 2:
        return f"{ahead.mean():+.3f}"
    reach = T_975[len(ahead) - 1] * ahead.std(ddof=1) / np.sqrt(len(ahead))
    return f"{ahead.mean():+.3f} [{ahead.mean() - reach:+.3f}, {ahead.mean() + reach:+.3f}]"


if __name__ == "__main__":
    main()
