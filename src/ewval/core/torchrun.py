"""What torchrun's environment says of this process; the only place that reads it."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """This process among those that torchrun started.

    Args:
        rank: Its number among all, from 0.
        local_rank: Its number on this machine, from 0.
        size: How many there are on all machines; 1 without torchrun.
    """

    rank: int = 0
    local_rank: int = 0
    size: int = 1

    @property
    def is_shared(self) -> bool:
        """Whether there are others."""
        return self.size > 1


def place() -> Place:
    """Return this process's place."""
    return Place(*(int(os.environ.get(name, default)) for name, default in VARIABLES))


VARIABLES = (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "1"))
