"""A model for tests of reviewing, whose answers are known by construction."""

import numpy as np

from ewval.core.review.asker import Opinion
from ewval.core.segments.verdicts import Thresholds

CHANCES = (0.9, 0.85, 0.4, 0.2)


class SlabAsker:
    """Grows upwards from the lowest slab that is given, less surely the farther from one; adds what is likely."""

    name, identity, thresholds = "slabs", "slabs-1", Thresholds(0.5, 0.3)

    def __init__(self):
        self.asked = 0

    def ask(self, view, seed, *, excluded=()):
        self.asked += 1
        found, since = {}, 0
        for i in range(min(seed), 9):
            if i in excluded or since == len(CHANCES):
                break
            since = 0 if i in seed else since + 1
            if since:
                found[i] = CHANCES[since - 1]
        chances = np.array(list(found.values()), np.float64)
        return Opinion(np.array(list(found), np.int64), chances, chances >= 0.5)
