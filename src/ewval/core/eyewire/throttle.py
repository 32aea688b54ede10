"""How fast one host is asked: evenly, slower when it says so, slower when it struggles.

Source: aiolimiter is a leaky bucket that starts with its whole burst; a bucket of 1 (2 above 20 requests a second,
where timers are too coarse for 1) over `bucket / rate` seconds paces without one.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from statistics import median

from aiolimiter import AsyncLimiter

SMALL_RATE = 20.0
"""Requests per second up to which a bucket of one keeps pace."""
RECENT = 16
"""Replies whose median counts as a host's latency now."""
RISE_FACTOR, RISE_S = 2.0, 0.1
"""A host struggles when it takes this many times its baseline, and this much longer."""
HALVE_PAUSE_S = 5.0
"""Time for a halved rate to show an effect before it is halved again."""
RECOVER_PAUSE_S = 10.0
RECOVER_FACTOR = 1.25
LEAST_SHARE = 1 / 16
BASELINE_DRIFT, STRUGGLE_DRIFT = 0.02, 0.001
"""Share by which each reply moves the baseline, in normal times and while the host struggles."""


class Pace:
    """Gives out turns at no more than `rate` per second, first second included.

    Args:
        rate: Turns per second that are allowed.
        clock: Monotonic seconds.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.allowed = rate
        self._rate = rate
        self._clock, self._sleep = clock, sleep
        self._limiter: AsyncLimiter | None = None  # made in the running loop
        self._is_fresh = True
        self._order = asyncio.Lock()  # one at a time, so that a pause or a new rate holds for all who wait
        self._paused_until = 0.0

    @property
    def rate(self) -> float:
        """Turns per second now."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if rate != self._rate:
            self._rate, self._limiter, self._is_fresh = rate, None, False

    @property
    def paused_s(self) -> float:
        """Seconds until the next turn may be given, 0 where nothing is paused."""
        return max(0.0, self._paused_until - self._clock())

    def pause(self, seconds: float) -> None:
        """Give no turn for the next `seconds`."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    async def turn(self) -> None:
        """Wait until it is this caller's turn."""
        async with self._order:
            limiter = self._limiter or await self._new_limiter()
            await limiter.acquire()
            while (wait := self.paused_s) > 0:
                await self._sleep(wait)

    async def _new_limiter(self) -> AsyncLimiter:
        size = 1 if self._rate <= SMALL_RATE else 2
        self._limiter = limiter = AsyncLimiter(size, size / self._rate)
        if not self._is_fresh:
            await limiter.acquire(size)  # a new rate brings no new burst; this waits for nothing
        return limiter


class Strain:
    """Watches how long a host takes to answer; says which share of the allowed rate is fair to it.

    The share is halved when the latency rises well above the host's own baseline, and recovers slowly.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.share = 1.0
        self.baseline_s: float | None = None
        self.latency_s = 0.0
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._clock = clock
        self._changed_at = float("-inf")

    def observe(self, latency_s: float) -> float:
        """Take in the latency of one reply; return the share of the allowed rate, `LEAST_SHARE` to 1."""
        self._recent.append(latency_s)
        if len(self._recent) < RECENT:
            return self.share
        self.latency_s = median(self._recent)
        if self.baseline_s is None:
            self.baseline_s = self.latency_s
        strained = self.latency_s > max(RISE_FACTOR * self.baseline_s, self.baseline_s + RISE_S)
        self.baseline_s += (self.latency_s - self.baseline_s) * (STRUGGLE_DRIFT if strained else BASELINE_DRIFT)
        waited_s = self._clock() - self._changed_at
        if strained and waited_s >= HALVE_PAUSE_S:
            self._change(max(LEAST_SHARE, self.share / 2))
        elif not strained and self.share < 1 and waited_s >= RECOVER_PAUSE_S:
            self._change(min(1.0, self.share * RECOVER_FACTOR))
        return self.share

    def _change(self, share: float) -> None:
        self.share = share
        self._changed_at = self._clock()
        self._recent.clear()  # what is judged next came at the new rate
