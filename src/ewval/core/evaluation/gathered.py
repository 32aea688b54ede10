"""What is summed beside the per-task rows, in fixed memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.evaluation.calibration import Calibration, Counts, bin_index
from ewval.core.evaluation.metrics import RATIOS, Floats

RATIO_COLUMNS = tuple(prefix + name for prefix in ("", "seedless_") for name in RATIOS)
UNDEFINED = (*RATIO_COLUMNS, "volume_f1")
"""The metrics whose 0/0 cases are counted."""
DOUBT_BINS = 1_000
DARKNESS_BINS, UNCERTAINTY_BINS = 64, 50


@dataclass(slots=True)
class Doubt:
    """Candidate segments by uncertainty: how many, and how much wrong volume the doubtful ones hold.

    Args:
        count: int64 [1000], candidates in each bin of uncertainty in [0, 1].
        wrong: float64 [1000], voxels of the candidates judged wrongly in each bin.
        wrong_total: Voxels of all segments judged wrongly, candidates or not.
    """

    count: Counts = field(default_factory=lambda: np.zeros(DOUBT_BINS, np.int64))
    wrong: Floats = field(default_factory=lambda: np.zeros(DOUBT_BINS))
    wrong_total: float = 0.0

    def add(self, uncertainty: Floats, wrong_voxels: Floats, *, wrong_total: float) -> None:
        """Take in the candidates of one task, and the wrong volume of its whole answer."""
        index = bin_index(uncertainty, bins=DOUBT_BINS)
        self.count += np.bincount(index, minlength=DOUBT_BINS)
        self.wrong += np.bincount(index, weights=wrong_voxels, minlength=DOUBT_BINS)
        self.wrong_total += wrong_total

    def merge(self, other: "Doubt") -> None:
        """Take in what `other` gathered."""
        self.count += other.count
        self.wrong += other.wrong
        self.wrong_total += other.wrong_total

    def curve(self) -> tuple[Floats, Floats]:
        """Return share of candidates sent to people and share of the wrong volume left, most doubtful sent first."""
        sent = np.concatenate([[0.0], np.cumsum(self.count[::-1])]) / max(self.count.sum(), 1)
        removed = np.concatenate([[0.0], np.cumsum(self.wrong[::-1])]) / max(self.wrong_total, 1.0)
        return sent, 1.0 - removed

    def removed_by(self, share: float) -> float:
        """Return the share of the wrong volume that goes when the most doubtful `share` of candidates is looked at."""
        sent, left = self.curve()
        return float(1.0 - np.interp(share, sent, left)) if self.wrong_total else 1.0


@dataclass(slots=True)
class Gathered:
    """What is summed beside the rows; adding is all that is done to it, so parts merge in any grouping.

    Args:
        undefined: int64, tasks in which each metric of `UNDEFINED` was 0/0.
        boundary: Voxels beside the target's surface, outside the seed.
        interior: All other voxels outside the seed.
        segments: Candidate segments.
        doubt: Candidate segments by uncertainty.
        darkness: int64 [64, 50], voxels by image value and uncertainty.
        packed: Tasks whose contacts a model read in a packed cube, which has lost most of them.
    """

    undefined: Counts = field(default_factory=lambda: np.zeros(len(UNDEFINED), np.int64))
    boundary: Calibration = field(default_factory=Calibration)
    interior: Calibration = field(default_factory=Calibration)
    segments: Calibration = field(default_factory=Calibration)
    doubt: Doubt = field(default_factory=Doubt)
    darkness: Counts = field(default_factory=lambda: np.zeros((DARKNESS_BINS, UNCERTAINTY_BINS), np.int64))
    packed: int = 0

    def merge(self, other: "Gathered") -> None:
        """Take in what `other` gathered."""
        self.undefined += other.undefined
        self.boundary.merge(other.boundary)
        self.interior.merge(other.interior)
        self.segments.merge(other.segments)
        self.doubt.merge(other.doubt)
        self.darkness += other.darkness
        self.packed += other.packed

    @property
    def voxels(self) -> Calibration:
        """Boundary and interior together."""
        both = Calibration()
        both.merge(self.boundary)
        both.merge(self.interior)
        return both

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything gathered, for saving."""
        arrays = {"undefined": self.undefined, "darkness": self.darkness, "packed": np.array(self.packed)}
        for name in ("boundary", "interior", "segments"):
            arrays |= {f"{name}.{key}": value for key, value in getattr(self, name).arrays().items()}
        doubt = self.doubt
        return arrays | {
            "doubt.count": doubt.count,
            "doubt.wrong": doubt.wrong,
            "doubt.total": np.array(doubt.wrong_total),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Gathered":
        """Return what `arrays` saved."""

        def calibration(name: str) -> Calibration:
            return Calibration.from_arrays({key: arrays[f"{name}.{key}"] for key in ("count", "true", "said", "sums")})

        return cls(
            undefined=arrays["undefined"],
            boundary=calibration("boundary"),
            interior=calibration("interior"),
            segments=calibration("segments"),
            doubt=Doubt(arrays["doubt.count"], arrays["doubt.wrong"], float(arrays["doubt.total"])),
            darkness=arrays["darkness"],
            packed=int(arrays["packed"]),
        )
