"""The bounded cache: what it keeps, what it forgets, and failures."""

import pytest

from ewval.core.storage.cache import BoundedCache


def test_a_value_is_made_once_while_it_is_kept() -> None:
    made: list[str] = []
    cache: BoundedCache[str, int] = BoundedCache(2)
    for key in "aab":
        cache.get(key, lambda key=key: made.append(key) or len(made))  # type: ignore[misc]
    assert made == ["a", "b"]
    assert len(cache) == 2


def test_the_value_that_was_not_asked_for_longest_is_forgotten() -> None:
    cache: BoundedCache[str, str] = BoundedCache(2)
    for key in "abac":
        cache.get(key, lambda key=key: key)  # type: ignore[misc]
    assert [key in cache for key in "abc"] == [True, False, True]


def test_a_failure_is_not_kept() -> None:
    def fail() -> int:
        raise ValueError("no value")

    cache: BoundedCache[str, int] = BoundedCache(1)
    with pytest.raises(ValueError, match="no value"):
        cache.get("a", fail)
    assert cache.get("a", lambda: 3) == 3
