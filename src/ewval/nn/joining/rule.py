"""How surely a segment belongs to the object beside it: one number of the network's, one of the contact's."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.forest.calibration.logistic import chance_of
from ewval.core.segments.views import Resolution

__all__ = ["JoinRule", "join_rules"]


@dataclass(frozen=True, slots=True)
class JoinRule:
    """How the log-odds that a candidate belongs to an object come about.

    Args:
        network: Weight of the network's mean log-odds near the object.
        contact: Weight of the evidence at its contacts with the object.
        offset: Added to both.
    """

    network: float
    contact: float
    offset: float

    def probability(self, pooled: NDArray[np.float64], contact: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each candidate."""
        return chance_of(self.network * pooled + self.contact * contact + self.offset)

    def to_card(self) -> dict[str, float]:
        """Return what stands in a card."""
        return asdict(self)


def join_rules(joining: Mapping[str, Any]) -> dict[Resolution, JoinRule]:
    """Return the rules of a card's `joining`, by the resolution of the graph that each is for.

    Raises:
        ValueError: A rule is missing, or is none.
    """
    try:
        return {"full": JoinRule(**joining["full"]), "packed": JoinRule(**joining["packed"])}
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the rules of joining segments: {dict(joining)}") from error
