"""How patient a host is asked, and when it is left alone."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on tries, waits and sizes of the requests to one host.

    Args:
        tries: Requests for one thing at most.
        tries_before_first_answer: The same while the host has never answered.
        tries_at_bad_content: Of those, the ones whose content may be no good.
        wait_initial_s: Wait before the second try; it doubles with each.
        wait_max_s: Longest such wait.
        wait_jitter_s: A random wait up to this long comes on top.
        patience_s: Time after which no further try begins.
        longest_retry_after_s: A server that asks for a longer wait is left alone: the same command continues later.
        lost_before_down: Requests given up in a row after which a host counts as down.
        bad_before_down: Replies in a row that were no good, after which a host counts as down.
        redirects: Redirects that one request follows.
        connect_s: Time for a connection.
        read_s: Time without a byte.
        reply_s: Time for one whole reply.
        header_bytes: Longest line or field of a reply's head; signed URLs and cookies make long ones.
    """

    tries: int = 8
    tries_before_first_answer: int = 4
    tries_at_bad_content: int = 6
    wait_initial_s: float = 0.25
    wait_max_s: float = 20.0
    wait_jitter_s: float = 0.25
    patience_s: float = 900.0
    longest_retry_after_s: float = 300.0
    lost_before_down: int = 5
    bad_before_down: int = 20
    redirects: int = 5
    connect_s: float = 15.0
    read_s: float = 30.0
    reply_s: float = 300.0
    header_bytes: int = 1 << 17

    def wait_s(self, failed: int) -> float:
        """Return the wait after `failed` tries, 1 or more, its jitter left out."""
        return min(self.wait_initial_s * 2.0 ** min(failed - 1, 60), self.wait_max_s)
