"""Work shared by several processes: each does a part, the first gathers what they found as it is wanted."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Shards:
    """This process's place among `size`; `store` is what they share, None for a process alone."""

    rank: int = 0
    size: int = 1
    store: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this process fetches, gathers and prints."""
        return self.rank == 0

    def part(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's share of `items`, one piece, so that neighbours stay together."""
        begin, end = (len(items) * place // self.size for place in (self.rank, self.rank + 1))
        return items[begin:end]

    def put(self, key: str, value: object) -> None:
        """Leave `value`, of classes of our own, for the others."""
        if self.store is not None:
            self.store.set(f"ewval/{key}", pickle.dumps(value))

    def has(self, key: str) -> bool:
        """Whether another process has left something under `key`."""
        return self.store is not None and bool(self.store.check([f"ewval/{key}"]))

    def get(self, key: str) -> Any:
        """Return what was left under `key`, once it is there."""
        return pickle.loads(self.store.get(f"ewval/{key}"))


ALONE = Shards()
"""A process that shares its work with no other."""
