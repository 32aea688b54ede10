"""The processes that work on one thing together; what of them needs no torch."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["ALONE", "Team", "is_out_of_memory"]


class Team(Protocol):
    """This process's `rank` among `size`."""

    @property
    def rank(self) -> int:
        """Its number, from 0."""

    @property
    def size(self) -> int:
        """How many there are."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes and draws."""

    def wait(self) -> None:
        """Return once all have come here."""


@dataclass(frozen=True, slots=True)
class _Alone:
    """The team of a process that has no others."""

    rank: int = 0
    size: int = 1
    is_first: bool = True

    def wait(self) -> None:
        """Return at once."""


ALONE: Team = _Alone()
"""A process that works by itself."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, on a GPU or in the CPU's allocator."""
    text = str(error)
    said = "out of memory" in text or "can't allocate memory" in text
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and said)
