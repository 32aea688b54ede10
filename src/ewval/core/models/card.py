"""The card of a model: all that must be known to use its weights, and what they were made from."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ewval.core.constants import DEFAULT_CONTEXT, DEFAULT_LOOPS, FACTOR
from ewval.core.errors import DamagedError
from ewval.core.storage.text import parse_json


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What stands beside the weights of a model, as JSON.

    Args:
        name: What the model is called.
        arch: Its architecture: `graph` for forests over the segment graph, else a name of
            `ewval.nn.networks.architectures`.
        loss: What it was trained with; decides how its outputs become probabilities.
        factor: Downsampling factor of its inputs.
        loops: Runs over its own answer.
        context: Ancestors' masks among its inputs.
        temperature: Divides its log-odds; from validation.
        add_threshold: A segment at least this probable is added.
        maybe_threshold: A segment at least this probable, but below the other, is to be looked at.
        config: Fields of the architecture's configuration; for a forest, what it reads and how it was grown.
        joining: For a network that decides segment by segment: the rules of `ewval.nn.joining.rule` for a graph at full
            resolution and in the packed cube. None where voxels are pooled after the last loop, and for a forest.
        description: One plain sentence: what it is good for, and what not.
        data: What it was trained on.
        training: How it was trained.
        cells: Ids of the cells it learned from or was chosen by; empty where nobody wrote them down.
        volumes: Ids of the volumes that these cells were seen in.
        scores: What it reached, and where.
        license: Of the weights.
        sha256: Of the weights' file, where they are in one.
    """

    name: str
    arch: str
    loss: str = "bayes"
    factor: int = FACTOR
    loops: int = DEFAULT_LOOPS
    context: int = DEFAULT_CONTEXT
    temperature: float = 1.0
    add_threshold: float = 0.5
    maybe_threshold: float = 0.25
    config: Mapping[str, Any] = field(default_factory=dict)
    joining: Mapping[str, Any] | None = None
    description: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    cells: Sequence[int] = field(default_factory=list)
    volumes: Sequence[int] = field(default_factory=list)
    scores: Mapping[str, Any] = field(default_factory=dict)
    license: str = "MIT"
    sha256: str | None = None

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.name, self.arch, self.loss)):
            raise ValueError("name, arch and loss must be text")
        if not all(isinstance(value, int) for value in (self.loops, self.factor, self.context)):
            raise ValueError("loops, factor and context must be whole numbers")
        if not isinstance(self.config, Mapping) or not isinstance(self.joining, Mapping | None):
            raise ValueError("config and joining must be objects")
        if not 0 <= self.maybe_threshold <= self.add_threshold <= 1:
            raise ValueError("thresholds must be in [0, 1], maybe not above add")
        if not 0 < self.temperature < math.inf or self.loops < 1 or self.factor < 1 or self.context < 0:
            raise ValueError("temperature must be > 0; loops and factor >= 1; context >= 0")

    def to_json(self) -> str:
        """Return the card as a JSON document."""
        return json.dumps(asdict(self), indent=2, allow_nan=False, default=dict)


def parse_card(text: str, *, what: str) -> ModelCard:
    """Return the card in a JSON document; keys that it does not know are ignored.

    Raises:
        DamagedError: It is not JSON, not a card, or holds values that make no sense; `what` names it.
    """
    known = {item.name for item in fields(ModelCard)}
    try:
        values = parse_json(text.encode(errors="replace"))
        return ModelCard(**{key: value for key, value in values.items() if key in known})
    except (ValueError, TypeError, AttributeError) as error:
        raise DamagedError(what, f"not a model card: {error}") from error


DECISIVE = (
    "name", "arch", "loss", "loops", "context", "temperature", "add_threshold", "maybe_threshold", "joining",
)  # fmt: skip
"""Fields of a card that change what a model answers."""


def decisive(card: ModelCard) -> dict[str, Any]:
    """Return what of a card decides answers, as JSON values."""
    values: dict[str, Any] = json.loads(card.to_json())
    return {key: values[key] for key in DECISIVE}
