"""A host is asked evenly, waits when told to, and is spared while it struggles."""

import asyncio
import time

import pytest

from ewval.core.eyewire.throttle import HALVE_PAUSE_S, LEAST_SHARE, RECENT, RECOVER_PAUSE_S, Pace, Strain


class Clock:
    """Time that passes only when someone sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("rate", "burst"), [(20.0, 1), (400.0, 2)])
def test_turns_come_evenly_from_the_first_on(rate: float, burst: int) -> None:
    async def take() -> list[float]:
        pace, times = Pace(rate), []
        began = time.monotonic()
        while time.monotonic() - began < 0.5:
            await pace.turn()
            times.append(time.monotonic() - began)
        return times

    times = asyncio.run(take())
    for count, at_s in enumerate(times):
        assert count <= at_s * rate + burst
    assert len(times) >= 0.8 * 0.5 * rate


def test_a_pause_holds_for_everyone() -> None:
    async def take() -> tuple[float, float]:
        clock = Clock()
        pace = Pace(1000.0, clock=clock, sleep=clock.sleep)
        pace.pause(30)
        pace.pause(10)
        await asyncio.gather(*(pace.turn() for _ in range(3)))
        return clock.now, pace.paused_s

    assert asyncio.run(take()) == (130.0, 0.0)


def test_a_new_rate_brings_no_new_burst() -> None:
    async def take() -> float:
        pace = Pace(1000.0)
        await pace.turn()
        pace.rate = 40.0
        began = time.monotonic()
        await pace.turn()
        await pace.turn()
        return time.monotonic() - began

    assert asyncio.run(take()) >= 0.045


def strain_after(*latencies: tuple[float, int], clock: Clock, strain: Strain, every_s: float = 1.0) -> float:
    for latency, count in latencies:
        for _ in range(count):
            clock.now += every_s
            strain.observe(latency)
    return strain.share


def test_a_steady_host_is_asked_at_the_full_rate() -> None:
    clock = Clock()
    assert strain_after((0.1, 50), (0.18, 50), (0.05, 50), clock=clock, strain=Strain(clock=clock)) == 1.0


def test_the_rate_is_halved_when_latency_rises_and_again_while_it_stays_high() -> None:
    clock = Clock()
    strain = Strain(clock=clock)
    assert strain_after((0.1, RECENT), (0.5, RECENT), clock=clock, strain=strain) == 0.5
    assert strain_after((0.5, RECENT), clock=clock, strain=strain) == 0.25
    assert strain_after((0.5, 20 * RECENT), clock=clock, strain=strain) == LEAST_SHARE


def test_a_halved_rate_is_given_time_to_show_an_effect() -> None:
    clock = Clock()
    strain = Strain(clock=clock)
    strain_after((0.1, RECENT), clock=clock, strain=strain)
    soon = HALVE_PAUSE_S / (3 * RECENT)
    assert strain_after((0.5, 3 * RECENT), clock=clock, strain=strain, every_s=soon) == 0.5


def test_the_rate_recovers_slowly() -> None:
    clock = Clock()
    strain = Strain(clock=clock)
    assert strain_after((0.1, RECENT), (0.5, RECENT // 2), clock=clock, strain=strain) == 0.5
    assert strain_after((0.1, RECENT), clock=clock, strain=strain, every_s=0.1) == 0.5
    clock.now += RECOVER_PAUSE_S
    assert strain_after((0.1, 1), clock=clock, strain=strain) == 0.625
    assert strain_after((0.1, 200), clock=clock, strain=strain) == 1.0


def test_small_latencies_may_vary() -> None:
    clock = Clock()
    assert strain_after((0.005, RECENT), (0.05, 50), clock=clock, strain=Strain(clock=clock)) == 1.0
