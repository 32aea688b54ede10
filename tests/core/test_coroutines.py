"""Coroutines: their result, the first failure, and a loop that runs already."""

import asyncio
import os
import signal

import pytest

from ewval.core.coroutines import run_to_end, threads, together


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_the_result_comes_back() -> None:
    assert run_to_end(answer()) == 42


def test_it_works_inside_a_running_loop() -> None:
    async def outside() -> int:
        return run_to_end(answer())

    assert asyncio.run(outside()) == 42


@pytest.mark.skipif(os.name != "posix", reason="signals reach a loop on POSIX only")
def test_sigterm_ends_it_as_ctrl_c_does() -> None:
    async def endless() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        run_to_end(endless())


def test_the_first_failure_ends_the_others_and_is_raised_as_it_is() -> None:
    ended: list[str] = []

    async def fail() -> None:
        raise ValueError("first")

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("other")
            raise

    with pytest.raises(ValueError, match="first"):
        run_to_end(together(wait(), fail()))
    assert ended == ["other"]


def test_threads_finish_what_they_are_at() -> None:
    with threads(1) as pool:
        future = pool.submit(sum, [1, 2])
    assert future.result() == 3
