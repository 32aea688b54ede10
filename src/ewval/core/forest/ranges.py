"""Ranges of the numbers in a recipe of forests, and the one sentence about a number outside its range."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ABOVE_NOTHING", "AT_LEAST_NOTHING", "AT_LEAST_ONE", "CHANCE", "SHARE", "Range", "check_ranges"]


@dataclass(frozen=True, slots=True)
class Range:
    """Finite numbers from `least` to `most`; `is_open` leaves out `least` itself."""

    least: float
    most: float = math.inf
    is_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.least if self.is_open else value >= self.least
        return math.isfinite(value) and above and value <= self.most

    def __str__(self) -> str:
        low = f"above {self.least:g}" if self.is_open else f"at least {self.least:g}"
        return low if math.isinf(self.most) else f"{low} and at most {self.most:g}"


AT_LEAST_ONE = Range(1)
AT_LEAST_NOTHING = Range(0)
ABOVE_NOTHING = Range(0, is_open=True)
SHARE = Range(0, 1, is_open=True)
CHANCE = Range(0, 1)


def check_ranges(config: object, ranges: Mapping[str, Range]) -> None:
    """Raise ValueError, which names the field, at the first of the fields of `config` that lies out of its range."""
    for name, allowed in ranges.items():
        value = getattr(config, name)
        if value not in allowed:
            said = str(allowed) if math.isfinite(value) else "a finite number"
            raise ValueError(f"{name} must be {said}, not {value:g}")
