"""The forest that tasks and their parents form."""

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]


def roots(parent_row: Int64s) -> Int64s:
    """Return the root of each row's tree.

    Args:
        parent_row: int64 [n], -1 at a root; cycles are allowed.

    Returns:
        int64 [n]; a tree whose top is a cycle counts the smallest row of the whole tree as its root.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(parent_row)
    child = np.flatnonzero(parent_row >= 0)
    edges = coo_array((np.ones(len(child), dtype=bool), (child, parent_row[child])), shape=(count, count))
    trees, tree = connected_components(edges, directed=False)
    rank = np.where(
        parent_row < 0, np.arange(count), np.arange(count) + count
    )  # a true root comes before any other row
    top = np.full(trees, 2 * count, dtype=np.int64)
    np.minimum.at(top, tree, rank)
    return np.asarray(top[tree] % max(count, 1))
