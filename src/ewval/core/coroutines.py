"""Coroutines run to their end, and the threads that work for them."""

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in a loop of its own; SIGTERM ends it as Ctrl-C does.

    Raises:
        KeyboardInterrupt: It was interrupted or terminated, and has cleaned up.
    """

    async def run() -> T:
        task = asyncio.current_task()
        if task is not None and os.name == "posix" and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:  # a notebook has a loop of its own
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, run()).result()
    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Run all at once; the first that fails ends the others, and its error is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in work:
                group.create_task(part)
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):  # a part may have a group of its own
            first = first.exceptions[0]
        raise first from None


@contextmanager
def threads(count: int) -> Iterator[Executor]:
    """Threads that finish what they are at when the block ends, and begin nothing new."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="fetch")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
