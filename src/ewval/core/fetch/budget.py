"""How many requests are made without being told to."""

from ewval.core.errors import ConsentError

CONSENT_ABOVE = 10_000
"""Requests that are made without --yes."""


class Budget:
    """Counts the requests that are made or will have to be.

    Args:
        is_agreed: Whether any number is fine.
    """

    def __init__(self, *, is_agreed: bool) -> None:
        self.planned = 0
        self._is_agreed = is_agreed

    def check(self, more: int) -> None:
        """Look whether `more` requests would be too many.

        Raises:
            ConsentError: They would.
        """
        if not self._is_agreed and self.planned + more > CONSENT_ABOVE:
            raise ConsentError(self.planned + more)

    def plan(self, requests: int) -> None:
        """Count `requests`; raises as `check`."""
        self.check(requests)
        self.planned += requests
