import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ewval.core.errors import UsageError
from ewval.core.eyewire.records import AggregateRecord, TaskRecord
from ewval.core.tasks.consensus import ConsensusRule, chosen, consensus, parse_rule, rule_threshold, task_weight

WEIGHTS = st.one_of(st.none(), st.floats(min_value=0, max_value=2e6))
SEGMENTS = st.dictionaries(st.integers(1, 65_535), st.floats(0, 1), max_size=8)


def make_task(prior_weight: float | None = None, weightsum: float | None = None) -> TaskRecord:
    return TaskRecord(id=1, cell=2, parent=None, volume=3, path="", prior_weight=prior_weight, weightsum=weightsum)


@pytest.mark.parametrize(
    ("weight", "threshold"), [(0, 0.99), (1, 0.99), (2, 0.926), (3, 0.819), (4, 0.727), (6, 0.583), (10, 0.402)]
)
def test_the_threshold_falls_with_the_weight(weight: float, threshold: float) -> None:
    assert rule_threshold(weight) == pytest.approx(threshold, abs=5e-4)


@pytest.mark.parametrize("weight", [-1.0, -1e9])
def test_a_nonsense_weight_asks_for_the_most(weight: float) -> None:
    assert rule_threshold(weight) == 0.99


def test_after_an_admin_a_fifth_of_the_votes_suffices() -> None:
    assert rule_threshold(1_000_005) == 0.20


@pytest.mark.parametrize(
    ("aggregate", "prior", "total", "expected"),
    [(5, 4, 3, 5), (None, 4, 3, 4), (None, None, 3, 3), (None, None, None, 0)],
)
def test_the_weight_is_the_aggregates_else_the_priors_else_the_sum(
    aggregate: float | None, prior: float | None, total: float | None, expected: float
) -> None:
    assert task_weight(AggregateRecord({}, weight=aggregate), make_task(prior, total)) == expected


def test_a_confidence_on_the_threshold_is_not_above_it() -> None:
    edge = math.exp(-0.16 * 4) + 0.20
    aggregate = AggregateRecord({1: edge, 2: math.nextafter(edge, 1)}, weight=4)
    assert consensus(aggregate, make_task()) == {2}


def test_all_takes_every_key_and_a_number_is_the_threshold() -> None:
    aggregate = AggregateRecord({1: 0.0, 2: 0.5, 3: 0.6}, weight=4)
    assert consensus(aggregate, make_task(), rule="all") == {1, 2, 3}
    assert consensus(aggregate, make_task(), rule=0.5) == {3}


@given(st.lists(st.tuples(SEGMENTS, WEIGHTS, WEIGHTS, WEIGHTS), max_size=6), st.sampled_from(["rule", "all", 0.0, 0.5]))
def test_many_tasks_at_once_give_what_each_gives_alone(
    tasks: list[tuple[dict[int, float], float | None, float | None, float | None]], rule: str | float
) -> None:
    records = [(AggregateRecord(s, weight=w), make_task(p, t)) for s, w, p, t in tasks]
    alone = [consensus(a, t, rule=rule) for a, t in records]  # type: ignore[arg-type]
    lengths = np.array([len(a.segments) for a, _ in records], dtype=np.int64)
    confidences = np.array([c for a, _ in records for c in a.segments.values()], dtype=np.float64)
    weights = np.array([task_weight(a, t) for a, t in records], dtype=np.float64)
    keep = chosen(confidences, lengths, weights, rule=ConsensusRule(rule))  # type: ignore[arg-type]
    ids = [s for a, _ in records for s in a.segments]
    owner = np.repeat(np.arange(len(records)), lengths)
    for row, expected in enumerate(alone):
        assert {ids[i] for i in np.flatnonzero(keep & (owner == row))} == expected


def test_no_confidence_is_no_choice() -> None:
    keep = chosen(np.array([np.nan, 1.0]), np.array([2]), np.array([5.0]), rule=ConsensusRule())
    assert keep.tolist() == [False, True]


@pytest.mark.parametrize(("text", "rule"), [("rule", "rule"), ("all", "all"), ("0.5", 0.5), ("0", 0.0)])
def test_a_word_of_the_command_line_becomes_a_rule(text: str, rule: str | float) -> None:
    assert parse_rule(text).rule == rule


@pytest.mark.parametrize("text", ["every", "1", "-0.1", "nan", "inf", ""])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is neither 'rule', 'all' nor a number in \[0, 1\)"):
        parse_rule(text)
