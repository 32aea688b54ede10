"""How long one request waits before it is tried again, and when it is given up."""

import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ewval.core.errors import DamagedError, EwvalError, ReplyError
from ewval.core.eyewire.limits import Limits


class Patience:
    """Decides for one request whether to try again, and after which wait."""

    def __init__(self, limits: Limits, *, began_s: float) -> None:
        self._limits, self._began_s = limits, began_s
        self._tries = self._bad = 0

    def allows(self, error: EwvalError, *, is_new: bool, now: float) -> bool:
        """Count a try that ended in `error`; return whether another may follow.

        Args:
            error: What went wrong.
            is_new: Whether the host has never answered.
            now: Monotonic seconds.
        """
        self._tries += 1
        self._bad += isinstance(error, ReplyError | DamagedError)
        tries = self._limits.tries_before_first_answer if is_new else self._limits.tries
        return (
            self._tries < tries
            and self._bad < self._limits.tries_at_bad_content
            and now - self._began_s < self._limits.patience_s
        )

    def wait_s(self) -> float:
        """Return how long to wait before the next try."""
        return self._limits.wait_s(self._tries) + self._limits.wait_jitter_s * random.random()


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a Retry-After header asks for; None where it holds neither a number nor a date.

    A date is read by the clock of the server that wrote it, where the reply tells that.
    """
    text = headers.get("Retry-After", "")
    try:
        wait_s = float(text)
    except ValueError:
        then = _date(text)
        wait_s = math.nan if then is None else (then - (_date(headers.get("Date", "")) or _now())).total_seconds()
    return max(0.0, wait_s) if math.isfinite(wait_s) else None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)
