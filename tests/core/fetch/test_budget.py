"""Requests are counted, and many of them need consent."""

import pytest

from ewval.core.errors import ConsentError
from ewval.core.fetch.budget import CONSENT_ABOVE, Budget


def test_as_many_as_are_made_without_asking_pass() -> None:
    budget = Budget(is_agreed=False)
    budget.plan(CONSENT_ABOVE)
    assert budget.planned == CONSENT_ABOVE
    with pytest.raises(ConsentError, match="about 10,001 requests"):
        budget.plan(1)
    assert budget.planned == CONSENT_ABOVE


def test_who_agreed_is_never_asked() -> None:
    budget = Budget(is_agreed=True)
    budget.plan(10 * CONSENT_ABOVE)
    budget.check(10 * CONSENT_ABOVE)
