"""Histograms that stream, from which the plots are drawn: fixed memory however many tasks there are."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ewval.core.evaluation.gathered import RATIO_COLUMNS
from ewval.core.evaluation.metrics import Floats
from ewval.core.evaluation.scoring import COLUMN

Counts = NDArray[np.int64]

RATIO_BINS = 50
VOLUME_BINS = 55
VOLUME_DECADES = 5.5
"""Volumes are drawn as log10(1 + voxels) up to 10^5.5, more than the 262,144 voxels of a 64^3 cube."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """Two columns drawn against each other; `x_is_volume` and `y_is_volume` for logarithmic axes."""

    x: str
    y: str
    x_is_volume: bool = False
    y_is_volume: bool = False

    @property
    def name(self) -> str:
        """What the plot is called."""
        return f"{self.y} against {self.x}"

    @property
    def shape(self) -> tuple[int, int]:
        """Bins along x and y."""
        return _bins(self.x_is_volume), _bins(self.y_is_volume)


SCATTERS = (
    *(Scatter(name, f"seedless_{name}") for name in ("precision", "recall", "iou")),
    *(Scatter("count_gt", name, x_is_volume=True) for name in ("precision", "recall")),
    *(Scatter("count_seedless_gt", f"seedless_{name}", x_is_volume=True) for name in ("precision", "recall")),
    *(
        Scatter(f"count_{kind}guesses", f"count_{kind}intersection", x_is_volume=True, y_is_volume=True)
        for kind in ("", "seedless_")
    ),
)


@dataclass(slots=True)
class Pictures:
    """Counts of tasks.

    Args:
        ratios: By ratio column, int64 [50] over [0, 1].
        scatters: By scatter, int64 [x bins, y bins].
    """

    ratios: dict[str, Counts] = field(
        default_factory=lambda: {name: np.zeros(RATIO_BINS, np.int64) for name in RATIO_COLUMNS}
    )
    scatters: dict[Scatter, Counts] = field(
        default_factory=lambda: {scatter: np.zeros(scatter.shape, np.int64) for scatter in SCATTERS}
    )

    def add(self, rows: Floats) -> None:
        """Take in rows of scores, float64 [n, columns]."""
        for name, counts in self.ratios.items():
            counts += np.bincount(_index(rows[:, COLUMN[name]], is_volume=False), minlength=RATIO_BINS)
        for scatter, counts in self.scatters.items():
            x = _index(rows[:, COLUMN[scatter.x]], is_volume=scatter.x_is_volume)
            y = _index(rows[:, COLUMN[scatter.y]], is_volume=scatter.y_is_volume)
            flat = np.bincount(x * scatter.shape[1] + y, minlength=counts.size)
            counts += flat.reshape(counts.shape)

    def merge(self, other: "Pictures") -> None:
        """Take in what `other` counted."""
        for name, counts in self.ratios.items():
            counts += other.ratios[name]
        for scatter, counts in self.scatters.items():
            counts += other.scatters[scatter]


def _bins(is_volume: bool) -> int:
    return VOLUME_BINS if is_volume else RATIO_BINS


def _index(values: Floats, *, is_volume: bool) -> Counts:
    scaled = np.log10(1.0 + values) / VOLUME_DECADES if is_volume else values
    return np.clip((scaled * _bins(is_volume)).astype(np.int64), 0, _bins(is_volume) - 1)
