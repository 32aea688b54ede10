"""What reviewed tasks are worth, by the order in which they were asked: `--order learn`, by priority, by chance.

    python benchmarks/review_loop.py --target pinky --others fib25 --others gala [--also RUN/generated-any] --out OUT

Folders are as `ewval fetch`, `pack` and `index` leave them. The start learns from the others alone, the target's tissue
wholly left out (as in benchmarks/adaptation.py, whose start.pickle in OUT is taken where it is there). The truth is
the reviewer. In each draw one cube of the target is left out, the cubes in turn, and two thirds of the cells that do
not reach into it are drawn; their tasks in the other cubes are put in order by what the start says of them, none of
their answers known; the start is adapted to the first of them as `ewval train` does it, and asked for the cells of the
cube that was left out. Prints the mean volume F1 of its tasks with something to add, the mean of the draws, and what
`learn` is ahead by, with a 95 % interval (t, over draws). Every result is kept in OUT, so the same command again goes
on where it stopped.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from adaptation import CONFIG, PARTS, SIDES, lead, only, score, the_start

from ewval.core.folder import DataFolder
from ewval.core.forest.adapt import adapt_head
from ewval.core.forest.fit import Start
from ewval.core.forest.labelled import LabelledVolume
from ewval.core.forest.labelled_folder import read_labelled, share_out
from ewval.core.forest.model import SegmentHead
from ewval.core.ledger.reviews import Rank
from ewval.core.review.asker import Opinion
from ewval.core.review.ranking import rank_of, to_learn_from
from ewval.core.review.scene import TaskFacts
from ewval.core.segments.decision import rounded
from ewval.core.segments.views import GraphView

ORDERS = ("learn", "priority", "chance")
QUEUED = 2 / 3
"""Of the cells that do not reach into the cube that is left out."""


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
    parser.add_argument("--orders", type=lambda text: text.split(","), default=list(ORDERS))
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    start = the_start(chosen.others, chosen.also, out=chosen.out)
    target = [volume for folder in chosen.target for volume in read_labelled(DataFolder(folder), sides=SIDES)]
    tasks = list_tasks(target)
    ranks = {task.facts.task: rank(task, target, start.head) for task in tasks}
    print(f"{len(tasks)} tasks of {len({t.facts.cell for t in tasks})} cells; {chosen.draws} draws", flush=True)
    before = [
        kept(chosen.out, f"{d}-0", lambda d=d: score(start.head, [left_out(target, d)])) for d in range(chosen.draws)
    ]
    print(f"start as it is: {np.mean(before):.3f}\n", flush=True)
    others = [order for order in chosen.orders if order != "learn"]
    print(f"| reviewed | {' | '.join([*chosen.orders, *(f'learn - {order}' for order in others)])} |", flush=True)
    print("|---" * (len(chosen.orders) + len(others) + 1) + "|", flush=True)
    for count in chosen.tasks:
        found = {order: [] for order in chosen.orders}
        for draw in range(chosen.draws):
            for order in chosen.orders:
                first = put_in_order(queue(tasks, target, draw), ranks, order=order, draw=draw)[:count]
                work = lambda first=first, draw=draw: learned(start, target, first, draw)  # noqa: E731
                found[order].append(kept(chosen.out, f"{draw}-{count}-{order}", work))
        cells = [f"{np.mean(found[order]):.3f}" for order in chosen.orders]
        leads = [lead(np.subtract(found["learn"], found[order])) for order in others]
        print(f"| {count} | {' | '.join([*cells, *leads])} |", flush=True)


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


def left_out(target: Sequence[LabelledVolume], draw: int) -> LabelledVolume:
    return target[draw % len(target)]


def queue(tasks: Sequence[Task], target: Sequence[LabelledVolume], draw: int) -> list[Task]:
    """Return the tasks that wait to be reviewed."""
    cells = sorted({task.facts.cell for task in tasks} - left_out(target, draw).cells.keys())
    drawn = np.random.default_rng([7, draw]).permutation(cells)[: round(QUEUED * len(cells))]
    aside = draw % len(target)
    return [task for task in tasks if task.facts.cell in set(drawn.tolist()) and task.place != aside]


def put_in_order(waiting: Sequence[Task], ranks: Mapping[int, Rank], *, order: str, draw: int) -> list[Task]:
    if order == "chance":
        return [waiting[i] for i in np.random.default_rng([8, draw]).permutation(len(waiting))]
    if order == "priority":
        return sorted(waiting, key=lambda task: -ranks[task.facts.task].priority)
    by_id = {task.facts.task: task for task in waiting}
    return [by_id[i] for i in to_learn_from([task.facts for task in waiting], ranks, settled=[])]


def learned(start: Start, target: Sequence[LabelledVolume], tasks: Sequence[Task], draw: int) -> float:
    """Return the score of the start adapted to the answers of `tasks`; of the start where these are of one cell."""
    volumes = []
    for place, volume in enumerate(target):
        mine = [task for task in tasks if task.place == place]
        seeds = {cell: tuple(task.seed for task in mine if task.facts.cell == cell) for cell in volume.cells}
        volumes.append(
            replace(only(volume, {task.facts.cell for task in mine}), seeds={c: s for c, s in seeds.items() if s})
        )
    known = {cell for volume in volumes for cell in volume.cells}
    head = start.head
    if len(known) > 1:
        parts = share_out(volumes, parts=min(PARTS, len(known)))
        head = adapt_head([v for v in volumes if v.cells], parts, config=CONFIG, start=start).fitted.head
    return score(head, [left_out(target, draw)])


if __name__ == "__main__":
    main()
