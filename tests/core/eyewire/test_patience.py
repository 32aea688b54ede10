"""Waits grow, are what a server asks for, and end where patience does."""

import pytest

from ewval.core.errors import DamagedError, UnreachableError
from ewval.core.eyewire.limits import Limits
from ewval.core.eyewire.patience import Patience, retry_after_s

GONE = UnreachableError("http://x/", "reset")


@pytest.mark.parametrize(("is_new", "tries"), [(True, 2), (False, 5)])
def test_a_host_that_never_answered_is_tried_less_often(is_new: bool, tries: int) -> None:
    patience = Patience(Limits(tries=5, tries_before_first_answer=2), began_s=0.0)
    assert [patience.allows(GONE, is_new=is_new, now=1.0) for _ in range(tries)] == [True] * (tries - 1) + [False]


def test_bad_content_is_tried_less_often_than_a_lost_connection() -> None:
    patience, bad = Patience(Limits(tries_at_bad_content=2), began_s=0.0), DamagedError("x", "cut")
    assert [patience.allows(bad, is_new=False, now=1.0) for _ in range(2)] == [True, False]


def test_no_try_begins_after_its_time() -> None:
    assert not Patience(Limits(patience_s=10.0), began_s=5.0).allows(GONE, is_new=False, now=15.0)


def test_waits_double_up_to_the_longest() -> None:
    limits = Limits(wait_initial_s=1.0, wait_max_s=3.0, wait_jitter_s=0.0)
    patience, waits = Patience(limits, began_s=0.0), []
    for _ in range(4):
        patience.allows(GONE, is_new=False, now=0.0)
        waits.append(patience.wait_s())
    assert waits == [1.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "-4"}, 0.0),
        ({"Retry-After": "Wed, 01 Jan 2020 00:00:30 GMT", "Date": "Wed, 01 Jan 2020 00:00:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 01 Jan 2020 00:00:30 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read_by_the_clock_of_its_server(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers) == wait_s
