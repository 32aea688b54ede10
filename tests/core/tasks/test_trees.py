import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ewval.core.tasks.trees import roots


def test_every_row_finds_the_top_of_its_tree() -> None:
    assert roots(np.array([-1, 0, 1, -1, 3])).tolist() == [0, 0, 0, 3, 3]


def test_a_tree_without_a_top_counts_its_smallest_row() -> None:
    assert roots(np.array([1, 2, 1, 2])).tolist() == [0, 0, 0, 0]


def test_nothing_has_no_roots() -> None:
    assert roots(np.empty(0, dtype=np.int64)).tolist() == []


@given(st.lists(st.integers(-1, 9), min_size=10, max_size=10))
def test_parent_and_child_have_the_same_root(parents: list[int]) -> None:
    parent = np.array(parents)
    root = roots(parent)
    for row in np.flatnonzero(parent >= 0):
        assert root[row] == root[parent[row]]
    for row in np.flatnonzero(parent < 0):
        assert root[row] == row
