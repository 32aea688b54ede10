"""Waits between tries grow, up to a bound."""

from ewval.core.eyewire.limits import Limits


def test_waits_double_up_to_the_longest() -> None:
    limits = Limits(wait_initial_s=0.5, wait_max_s=3.0)
    assert [limits.wait_s(failed) for failed in (1, 2, 3, 4, 5000)] == [0.5, 1.0, 2.0, 3.0, 3.0]
