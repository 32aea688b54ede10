"""How little the boundary between two touching segments looks like a membrane, from the image alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ewval.core.evaluation.metrics import Floats
from ewval.core.graph.graph import RISE, SegmentGraph
from ewval.core.segments.decision import Question
from ewval.core.segments.views import ViewSource
from ewval.core.storage.cache import BoundedCache


@dataclass(frozen=True, slots=True)
class Evidence:
    """Touching segments of a volume.

    Args:
        pairs: int64 [n, 2], ids, smaller first, each pair once.
        score: float64 [n], 0 where the contact is as bright as what lies behind it, negative where it is darker, as
            a membrane is.
    """

    pairs: NDArray[np.int64]
    score: Floats


class EvidenceCache:
    """Keeps the evidence of the latest volumes, since tasks come ordered by volume.

    Args:
        sources: Where the volumes are at full resolution; those that are not serve as they are packed.
        size: Volumes to keep.
    """

    def __init__(self, sources: ViewSource, *, size: int = 4) -> None:
        self._sources = sources
        self._kept: BoundedCache[int, Evidence] = BoundedCache(size)

    def of(self, question: Question) -> Evidence:
        """Return the evidence at the boundaries of the question's volume."""
        sample = question.sample
        return self._kept.get(
            sample.volume,
            lambda: contact_evidence(self._sources.graph(sample.volume, sample.image, sample.labels).graph),
        )


def contact_evidence(graph: SegmentGraph) -> Evidence:
    """Return the evidence at every contact of a cube."""
    if not len(graph.pairs):
        return Evidence(np.zeros((0, 2), np.int64), np.zeros(0))
    rise = graph.evidence[:, graph.evidence_names.index(RISE)]
    return Evidence(graph.ids[graph.pairs], -rise.astype(np.float64))
