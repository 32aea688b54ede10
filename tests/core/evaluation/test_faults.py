"""Faults put into a trace are of two kinds, drawn from the task alone."""

import numpy as np
import pytest

from bars import tasks_of
from ewval.core.evaluation.faults import inject_fault


@pytest.fixture
def view(bar_folder):
    tasks = tasks_of(bar_folder)
    return tasks.question(4001)[0].view


def test_a_fault_is_one_segment_missing_or_one_touching_segment_too_many(view):
    true, seed = frozenset({6, 7, 8}), (5,)
    touching = {int(b) for a, b in np.vstack([view.pairs, view.pairs[:, ::-1]]) if a in {5, 6, 7, 8}} - {5, 6, 7, 8}
    kinds = set()
    for key in range(40):
        faulty = inject_fault(true, view, seed=seed, key=key)
        assert faulty == inject_fault(true, view, seed=seed, key=key)
        [changed] = faulty ^ true
        assert changed in (true if len(faulty) < len(true) else touching)
        kinds.add(len(faulty))
    assert kinds == {2, 4}


def test_where_nothing_was_added_a_foreign_segment_is(view):
    faulty = inject_fault(frozenset(), view, seed=(5, 6, 7, 8), key=1)
    assert len(faulty) == 1
    assert not faulty & {5, 6, 7, 8}


def test_a_trace_that_nothing_can_be_done_to_is_left_alone(view):
    assert inject_fault(frozenset(), view, seed=tuple(range(1, 65)), key=1) is None
