"""Work is shared in pieces that leave nothing out, and a process alone shares nothing."""

import pytest

from ewval.core.predict.shards import ALONE, Shards


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 5, 20])
def test_pieces_are_whole_in_order_and_of_like_size(size: int, count: int) -> None:
    items = list(range(count))
    pieces = [list(Shards(rank, size).part(items)) for rank in range(size)]
    assert [item for piece in pieces for item in piece] == items
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


def test_a_process_alone_leaves_nothing_for_others() -> None:
    ALONE.put("key", 1)
    assert ALONE.is_first
    assert not ALONE.has("key")
