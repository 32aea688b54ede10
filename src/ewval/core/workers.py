"""One call per volume on any `concurrent.futures` executor: this process, local processes or a Dask cluster."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from ewval.core.errors import EwvalError, ExtraError, SchedulerError, WorkerDiedError
from ewval.core.progress import Progress

Result = TypeVar("Result")

_log = logging.getLogger(__name__)

QUEUED_PER_WORKER = 4
"""Calls handed over per worker: none waits for work, and an interrupt has little to cancel."""
SCHEDULER_TIMEOUT_S = 10
DASK_WINDOW = 1024
"""Calls handed to a cluster at a time; its size may change while it works."""
SAFE_PATH_VARIABLE = "PYTHONSAFEPATH"
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
"""Signals that `ewval` ends by, once it has cleaned up."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """An item whose call returned."""

    item: int
    result: Result


@dataclass(frozen=True, slots=True)
class Failure:
    """An item whose call raised; `error` carries the traceback of the process that it ran in."""

    item: int
    error: BaseException


@dataclass(frozen=True, slots=True)
class Workers:
    """Where calls run.

    Args:
        count: Local processes; 1 stays in this process; None is one per core.
        dask: Address of a Dask scheduler, which then takes the place of local processes.
    """

    count: int | None = None
    dask: str | None = None

    @property
    def are_several(self) -> bool:
        """Whether calls run in other processes than this one."""
        return self.dask is not None or self._local_count() > 1

    def run(self, call: Callable[[int], Result], items: Sequence[int]) -> Generator[Done[Result] | Failure, None, None]:
        """Yield the outcome of `call(item)` for every item, in the order in which they end.

        An interrupt ends local processes at once, as does closing the generator. Whoever iterates should close it: an
        interrupt that comes between two outcomes leaves it suspended.

        Where a worker process dies, the items that it may have been working on are tried again, each in a process of
        its own; one that dies again has failed with WorkerDiedError.

        Raises:
            ExtraError: `dask` is given and Dask is not installed.
            SchedulerError: No scheduler answers at `dask`.
        """
        waiting = list(items)
        while waiting:
            unfinished = set()
            with self._executor(len(waiting)) as (executor, window):
                for item, future in _ended(executor, call, waiting, window=window):
                    if isinstance(future.exception(), BrokenExecutor):
                        unfinished.add(item)
                    else:
                        yield _outcome(item, future)
            waiting = [item for item in waiting if item in unfinished]
            # Calls start in order, so those that were running are the first of the unfinished ones.
            suspects, waiting = waiting[: self._local_count()], waiting[self._local_count() :]
            for item in suspects:
                yield _run_alone(call, item)

    def collect(
        self,
        call: Callable[[int], Result],
        items: Sequence[int],
        *,
        progress: Progress,
        ends_at: type[EwvalError] | tuple[()] = (),
    ) -> tuple[list[Result], tuple[Failure, ...]]:
        """Return the results and the failures of `run`, and show how far it is.

        Args:
            call: What is done.
            items: With what.
            progress: Advanced by items.
            ends_at: An error that is no single item's fault, such as a full disk: it is raised and nothing else begun.

        Raises:
            ExtraError, SchedulerError: As `run`.
        """
        results: list[Result] = []
        failures: list[Failure] = []
        if items:
            progress.start(len(items), unit="volumes")
        with closing(self.run(call, items)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, Failure):
                    if isinstance(outcome.error, ends_at):
                        raise outcome.error
                    failures.append(outcome)
                else:
                    results.append(outcome.result)
                progress.advance()
        return results, tuple(failures)

    def _local_count(self) -> int:
        return self.count or available_cores()

    @contextmanager
    def _executor(self, items: int) -> Iterator[tuple[Executor, int]]:
        count = min(self._local_count(), items)
        if self.dask is not None:
            with dask_executor(self.dask) as executor:
                yield executor, DASK_WINDOW
        elif count == 1:
            with ThreadPoolExecutor(1) as executor:  # one process is this one
                yield executor, 1
        else:
            with process_pool(count) as executor:
                yield executor, QUEUED_PER_WORKER * count


def has_one_thread() -> bool:
    """Whether this process is one of a pool, whose other processes use the other cores."""
    return os.environ.get(THREAD_VARIABLES[0]) == "1"


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def process_pool(count: int) -> Iterator[Executor]:
    """Yield a pool of `count` fresh processes of one thread each; what has not begun at the end is cancelled.

    An error lets them finish what has begun; an interrupt ends them at once, so calls should leave whole files or none.
    They end with this process, however that ends. Where the system has no room for what processes share, such as a
    read-only /dev/shm, that is said and this process does the work.
    """
    with _environment_of_workers():
        others, pool = active_children(), _pool(count)
        try:
            with _finishing(pool):
                yield pool
        except Exception:
            raise
        except BaseException:  # an interrupt, or nobody wants the rest
            with _uninterrupted():
                _end_at_once(pool, others)
            raise


@contextmanager
def _finishing(pool: Executor) -> Iterator[None]:
    try:
        yield
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown(cancel_futures=True)


def _end_at_once(pool: Executor, others: Sequence[BaseProcess]) -> None:
    """End the processes of `pool`, which are all that were not among `others`."""
    # The pool's own list lacks a process whose start was interrupted; Python would wait for that one at its end.
    processes = [process for process in active_children() if process not in others]
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
    if (results := getattr(pool, "_result_queue", None)) is not None:
        # A process that ended amid its result leaves half of it, and the pool's thread waits for the other half for as
        # long as anybody could write it. By now this process alone could.
        results._writer.close()
    pool.shutdown(cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let what interrupts do nothing meanwhile; else it would leave processes that Python waits for at its end."""
    if threading.current_thread() is not threading.main_thread():  # others are never interrupted, and may not ask
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not of Python's making


def _pool(count: int) -> Executor:
    if not can_share():
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_begin_worker)


def can_share() -> bool:
    """Whether processes can share what they need to work together; where they cannot, that is said."""
    try:
        get_context("spawn").Lock()
    except (OSError, ImportError, NotImplementedError) as error:
        _log.warning("no worker processes can be started (%s); one process does the work", error)
        return False
    return True


@contextmanager
def _environment_of_workers() -> Iterator[None]:
    """Let processes that are spawned meanwhile run one thread each, and take no module from the working folder.

    The pool itself uses the cores. A file that is named as a module and lies where a user happens to work must not run.
    """
    wanted = dict.fromkeys(THREAD_VARIABLES, "1") | {SAFE_PATH_VARIABLE: "1"}
    before, path = {name: os.environ.get(name) for name in wanted}, sys.path[:]
    os.environ.update(wanted)
    sys.path[:] = [place for place in path if place]  # an interpreter's prompt has "", the working folder
    try:
        yield
    finally:
        sys.path[:] = path
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the parent, which ends the pool
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    # A killed parent does not close the queue that its workers wait on: they would stay for ever.
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Yield an executor on the Dask cluster whose scheduler listens at `address`.

    Raises:
        ExtraError: Dask is not installed.
        SchedulerError: No scheduler answers there.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ExtraError("cluster", "distributed") from error
    _check_address(address)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is said in one line below
    try:
        client = Client(address, timeout=SCHEDULER_TIMEOUT_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise SchedulerError(address, str(error) or type(error).__name__) from error
    with client:
        yield client.get_executor(pure=False)


def _check_address(address: str) -> None:
    """Refuse what Dask would try to reach for ever."""
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        is_address = bool(parts.hostname and parts.port)
    except ValueError:
        is_address = False
    if not is_address:
        raise SchedulerError(address, "an address is HOST:PORT or tcp://HOST:PORT")


def _ended(
    executor: Executor, call: Callable[[int], Result], items: Sequence[int], *, window: int
) -> Iterator[tuple[int, "Future[Result]"]]:
    """Yield items with their ended futures, with at most `window` calls handed over at a time."""
    coming = iter(items)
    running: dict[Future[Result], int] = {}
    while True:
        for item in islice(coming, window - len(running)):
            running[_submit(executor, call, item)] = item
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future


def _submit(executor: Executor, call: Callable[[int], Result], item: int) -> "Future[Result]":
    try:
        return executor.submit(call, item)
    except BrokenExecutor as error:
        future: Future[Result] = Future()
        future.set_exception(error)
        return future


def _run_alone(call: Callable[[int], Result], item: int) -> Done[Result] | Failure:
    with process_pool(1) as executor:
        ((_, future),) = _ended(executor, call, [item], window=1)
    if isinstance(future.exception(), BrokenExecutor):
        return Failure(item, WorkerDiedError())
    return _outcome(item, future)


def _outcome(item: int, future: "Future[Result]") -> Done[Result] | Failure:
    if (error := future.exception()) is not None:
        return Failure(item, error)
    return Done(item, future.result())
