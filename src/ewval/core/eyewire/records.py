"""What Eyewire says about a task, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bounds:
    """The box of a volume in the data set's voxels, z y x; `maximum` is exclusive."""

    minimum: tuple[int, int, int]
    maximum: tuple[int, int, int]

    def __post_init__(self) -> None:
        if any(low >= high for low, high in zip(self.minimum, self.maximum, strict=True)):
            raise ValueError(f"empty bounds {self.minimum} to {self.maximum}")

    def overlaps(self, other: "Bounds") -> bool:
        """Whether the two boxes share at least one voxel."""
        return all(
            low < other_high and other_low < high
            for low, high, other_low, other_high in zip(
                self.minimum, self.maximum, other.minimum, other.maximum, strict=True
            )
        )


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task: a volume, and the seed segments that are known to belong to one neuron.

    `path` is the URL of the volume's folder with its trailing slash. Fields that the server left out are None.
    Source: GET /1.0/task/:id.
    """

    id: int
    cell: int | None
    parent: int | None
    volume: int
    path: str
    status: int = 0
    seed: tuple[int, ...] = ()
    prior_weight: float | None = None
    weightsum: float | None = None
    bounds: Bounds | None = None


@dataclass(frozen=True, slots=True)
class AggregateRecord:
    """What the players of a task chose: a confidence per segment, before any threshold.

    Source: GET /1.0/task/:id/aggregate.
    """

    segments: Mapping[int, float] = field(default_factory=dict)
    weight: float | None = None
    votes_total: float | None = None
