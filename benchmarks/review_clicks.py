"""What `ewval review` saves: clicks and questions until a task is right, from the prediction and from the seed.

    python benchmarks/review_clicks.py --data FOLDER... [--model NAME|PATH] [--start start.pickle]

The truth of each task is its answer in FOLDER, and the reviewer knows it. From the seed every true segment is a click.
From the prediction the reviewer goes down the list of open questions, most useful first; where the present answer is
wrong a click settles it and the model is asked again, until all is right. `--start` takes the model that
benchmarks/adaptation.py keeps, which has not seen the tissue. Prints means over tasks with something to add and over
all, and the ratio.
"""

import argparse
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ewval.core.constants import SEGMENT_ID_COUNT
from ewval.core.folder import DataFolder
from ewval.core.forest.model import SegmentHead
from ewval.core.ledger.reviews import Settled
from ewval.core.models.registry import load_decider
from ewval.core.review.asker import Opinion, asker_of
from ewval.core.review.listing import list_tasks
from ewval.core.review.scene import TaskFacts, answer_of, questions_of
from ewval.core.review.volumes import ShownVolumes
from ewval.core.segments.decision import rounded
from ewval.core.segments.views import GraphView

LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Work:
    """What one task took.

    Args:
        from_seed: Clicks with nothing but the seed.
        unasked: Clicks from the prediction where the model is never asked again.
        clicks: Clicks from the prediction.
        looks: Questions looked at, clicked ones included.
    """

    from_seed: int
    unasked: int
    clicks: int
    looks: int


class StartAsker:
    """Asks a model that benchmarks/adaptation.py kept."""

    def __init__(self, path: Path) -> None:
        head = pickle.loads(path.read_bytes()).head
        self.head = SegmentHead(head.pairs, head.candidates, head.settings)

    def ask(self, view: GraphView, seed, *, excluded=()) -> Opinion:
        answer = self.head.score(view.graph, sorted(seed), excluded_ids=excluded)
        return Opinion(answer.ids, rounded(answer.probability), answer.chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--model")
    parser.add_argument("--start", type=Path)
    chosen = parser.parse_args()
    asker = asker_of(load_decider(chosen.model)) if chosen.start is None else StartAsker(chosen.start)
    print("| data | tasks | from the seed | from the prediction | - never asked again | questions looked at | saved |")
    print("|---|---|---|---|---|---|---|")
    for data in chosen.data:
        folder = DataFolder(data)
        volumes, found = ShownVolumes(folder, kept=1), []
        for facts in sorted(list_tasks(folder).tasks, key=lambda facts: (facts.volume, facts.task)):
            if facts.consensus is not None and facts.seed and folder.is_packed(facts.volume):
                found.append(review(facts, asker, volumes.graph(facts.volume)))
        for name, rows in (("to extend", [row for row in found if row.from_seed]), ("all", found)):
            seed, unasked, clicks, looks = np.array([[r.from_seed, r.unasked, r.clicks, r.looks] for r in rows]).T
            means = " | ".join(f"{column.mean():.1f}" for column in (seed, clicks, unasked, looks))
            saved = 1 - clicks.sum() / seed.sum()
            print(f"| {data.name}, {name} | {len(rows)} | {means} | {saved:.0%} |", flush=True)


def review(facts: TaskFacts, asker, view: GraphView) -> Work:
    present = set(view.graph.ids.tolist())
    truth = {segment for segment in facts.consensus or () if segment in present} - set(facts.seed)
    voxels = np.zeros(SEGMENT_ID_COUNT, dtype=np.int64)
    voxels[view.graph.ids] = view.voxels
    alone = TaskFacts(facts.task, facts.volume, facts.cell, facts.seed, None)  # nobody answered before
    settled, seen, clicks, unasked = Settled(), set(), 0, None
    while clicks < LONGEST:
        opinion = asker.ask(view, {*facts.seed, *settled.yes}, excluded=settled.no)
        answer = set(answer_of(alone, opinion, settled)) - set(facts.seed)
        wrong = answer ^ truth
        unasked = len(wrong) if unasked is None else unasked
        if not wrong:
            break
        listed = [q.id for q in questions_of(alone, opinion, settled, answer=answer, voxels=voxels)]
        # What the list does not hold has to be found in the pictures: one more look each.
        first = next((segment for segment in listed if segment in wrong), min(wrong))
        seen |= {*listed[: listed.index(first)], first} if first in listed else {*listed, first}
        clicks += 1
        yes, no = settled.yes, settled.no
        settled = Settled(yes | {first}, no - {first}) if first in truth else Settled(yes - {first}, no | {first})
    return Work(len(truth), unasked or 0, clicks, len(seen))


if __name__ == "__main__":
    main()
