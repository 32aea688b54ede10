"""What goes wrong between a server and its client, drawn from a seed."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, get_args

Fault = Literal["500", "503", "429", "reset", "truncated", "html", "jpeg", "lzma"]
"""`html` answers a page with status 200; `jpeg` and `lzma` damage the files of that kind; the rest say themselves."""

FAULTS: tuple[Fault, ...] = get_args(Fault)


@dataclass(frozen=True, slots=True)
class Faults:
    """Which replies go wrong.

    Args:
        share: Share of replies that go wrong, 0 to 1.
        kinds: What happens to them, drawn with equal chances.
        seed: The same seed spoils the same requests, whatever order they come in.
        limit: How often one path goes wrong at most, so that patience always succeeds; None for no limit.
        retry_after_s: Whole seconds that 429 and 503 ask for; None leaves the header out.
        hosts: The servers that go wrong.

    Raises:
        ValueError: `share` outside 0 to 1, or no kinds.
    """

    share: float
    kinds: tuple[Fault, ...] = FAULTS
    seed: int = 0
    limit: int | None = 2
    retry_after_s: int | None = 0
    hosts: tuple[Literal["api", "bucket"], ...] = ("api", "bucket")

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share {self.share} is not between 0 and 1")
        if not self.kinds:
            raise ValueError("no kinds of faults")


@dataclass(slots=True)
class FaultDraw:
    """Draws the fault of each request; counts how often each path came."""

    faults: Faults
    _asked: Counter[str] = field(default_factory=Counter)
    _spoiled: Counter[str] = field(default_factory=Counter)

    def draw(self, host: str, path: str) -> Fault | None:
        """Return what goes wrong with this request for `path`, None where nothing does."""
        self._asked[path] += 1
        limit = self.faults.limit
        if host not in self.faults.hosts or (limit is not None and self._spoiled[path] >= limit):
            return None
        chance = random.Random(f"{self.faults.seed} {path} {self._asked[path]}")
        if chance.random() >= self.faults.share:
            return None
        fault = chance.choice(self.faults.kinds)
        if (fault == "jpeg" and not path.endswith(".jpg")) or (fault == "lzma" and not path.endswith(".lzma")):
            return None
        self._spoiled[path] += 1
        return fault


def damage(content: bytes) -> bytes:
    """Return `content` with its middle overwritten: right length, right first bytes, wrong inside."""
    third = len(content) // 3
    return content[:third] + bytes(value ^ 0xA5 for value in content[third : 2 * third]) + content[2 * third :]
