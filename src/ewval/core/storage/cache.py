"""The one cache of values that are costly to make: the most recently used ones are kept."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Keeps the `size` values that were asked for last.

    Args:
        size: How many; 0 keeps none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: Key) -> bool:
        return key in self._values

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the value of `key`, made by `make()` where it is not kept; what `make` raises is not kept."""
        value = self._values.pop(key) if key in self._values else make()
        self._values[key] = value  # at the end, where the latest stand
        while len(self._values) > self.size:
            self._values.popitem(last=False)
        return value
