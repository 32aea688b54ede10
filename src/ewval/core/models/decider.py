"""Whoever decides which segments to add: one protocol, one class for each way of deciding.

Prediction, evaluation, the demo, the doctor and the Python API know this protocol and nothing of what stands behind it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ewval.core.models.card import ModelCard
from ewval.core.segments.decision import Decision, Looks, Question
from ewval.core.segments.views import ViewSource

VoxelOutputs = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Log-odds that a voxel belongs to the neuron, and the uncertainty (at least 1) that a network states; 64^3 each."""


class Decider(Protocol):
    """Decides tasks."""

    @property
    def name(self) -> str:
        """What its answers say that they were made by."""

    @property
    def cards(self) -> Sequence[ModelCard]:
        """The card of each model that it consists of."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that its answers depend on, as JSON values: deciders that agree in it give the same answers."""

    @property
    def reads_graph(self) -> bool:
        """Whether it decides over the segment graph, whose contacts packed volumes have mostly lost."""

    @property
    def needs_labels(self) -> bool:
        """Whether it has to know where segments meet."""

    @property
    def context(self) -> int:
        """Ancestors' masks that it wants."""

    @property
    def loops(self) -> int | None:
        """Runs over its own answer where nothing else is asked for; None for one without loops."""

    @property
    def compared_loops(self) -> tuple[int, ...]:
        """Numbers of loops that an evaluation sets side by side; none for one without loops."""

    def decide(self, questions: Sequence[Question], *, sources: ViewSource, looks: Looks) -> list[Decision]:
        """Return the decision on each question, in order, whatever else is asked beside it."""

    def voxels(self, question: Question, *, sources: ViewSource, looks: Looks) -> VoxelOutputs:
        """Return what is said of every voxel."""

    def pooled_with(self, others: "Sequence[Decider]") -> "Decider | None":
        """Return one decider that averages what all of them see before it decides; None where they cannot."""
