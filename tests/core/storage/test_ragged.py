import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ewval.core.storage.ragged import chain, from_blobs, from_lists, union

LISTS = st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=5), min_size=1, max_size=6)


@given(LISTS)
def test_lists_come_back_sorted_and_without_repeats(lists: list[list[int]]) -> None:
    ragged = from_lists(lists)
    assert [ragged[row].tolist() for row in range(len(ragged))] == [sorted(set(row)) for row in lists]


@given(LISTS, st.data())
def test_rows_are_taken_in_the_order_asked_for(lists: list[list[int]], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=8))
    taken = from_lists(lists).take(np.array(rows, dtype=np.int64))
    assert [taken[i].tolist() for i in range(len(taken))] == [sorted(set(lists[row])) for row in rows]


@given(LISTS, st.data())
def test_union_is_that_of_each_pair_of_lists(first: list[list[int]], data: st.DataObject) -> None:
    second = data.draw(
        st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=5), min_size=len(first), max_size=len(first))
    )
    both = union(from_lists(first), from_lists(second))
    expected = [sorted({*a, *b}) for a, b in zip(first, second, strict=True)]
    assert [both[row].tolist() for row in range(len(both))] == expected
    assert both.values.dtype == np.uint32


@given(LISTS)
def test_where_keeps_the_values_asked_for_in_their_lists(lists: list[list[int]]) -> None:
    ragged = from_lists(lists)
    even = ragged.where(ragged.values % 2 == 0)
    assert [even[row].tolist() for row in range(len(even))] == [sorted({v for v in row if v % 2 == 0}) for row in lists]


def test_blobs_are_little_endian_ids_and_none_is_empty() -> None:
    ragged = from_blobs([b"\x01\x00\x00\x00\x00\x01\x00\x00", None, b""])
    assert [ragged[row].tolist() for row in range(3)] == [[1, 256], [], []]


def test_parts_are_chained_in_order() -> None:
    whole = chain([from_lists([[1], []]), from_lists([[2, 3]])])
    assert [whole[row].tolist() for row in range(3)] == [[1], [], [2, 3]]
