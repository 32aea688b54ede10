"""Each dropped task counts once, under the first reason that applies."""

import numpy as np

from ewval.core.index.exclusions import count_first


def test_a_task_counts_under_its_first_reason_alone() -> None:
    reasons = {
        "status": np.array([True, False, False, False]),
        "zebrafish": np.array([True, True, False, False]),
        "no_aggregate": np.array([True, True, False, False]),
    }
    dropped, counts = count_first(reasons)
    assert dropped.tolist() == [True, True, False, False]
    assert counts == {"status": 1, "zebrafish": 1}  # reasons that dropped nothing are left out
