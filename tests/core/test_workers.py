"""Calls run anywhere, and what goes wrong in one of them stays with it."""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import pytest

from counted import Counted
from ewval.core.errors import DamagedError, SchedulerError, WorkerDiedError
from ewval.core.workers import Done, Failure, Workers, available_cores, process_pool


def square(number: int) -> int:
    if number == 13:
        raise DamagedError("volume 13", "unlucky")
    return number * number


def fall(number: int) -> int:
    """End the process without a word where the number is 13."""
    if number == 13:
        os._exit(9)
    return square(number)


def fall_once(marker: Path, number: int) -> int:
    """End the process at the first call with 13 only."""
    if number == 13 and not marker.exists():
        marker.touch()
        os._exit(9)
    return -number


def threads_allowed(_: int) -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"))


def results(workers: Workers, call: Callable[[int], object], items: list[int]) -> dict[int, object]:
    outcomes = list(workers.run(call, items))
    assert len(outcomes) == len(items)
    return {outcome.item: outcome.result if isinstance(outcome, Done) else outcome.error for outcome in outcomes}


@pytest.mark.parametrize("count", [1, 2])
def test_a_call_that_raises_does_not_stop_the_others(count: int) -> None:
    items = [11, 12, 13, 14, 15]
    got = results(Workers(count), square, items)
    error = got.pop(13)
    assert got == {11: 121, 12: 144, 14: 196, 15: 225}
    assert str(error) == "volume 13 is damaged: unlucky"


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_carries_the_traceback_of_its_worker(count: int) -> None:
    failures = [outcome for outcome in Workers(count).run(square, [12, 13]) if isinstance(outcome, Failure)]
    (failure,) = failures
    assert isinstance(failure.error, DamagedError)
    text = "".join(traceback.format_exception(failure.error))
    assert 'raise DamagedError("volume 13", "unlucky")' in text


def test_a_worker_that_dies_costs_only_its_own_item() -> None:
    items = [*range(8), 13, *range(20, 30)]
    got = results(Workers(2), fall, items)
    error = got.pop(13)
    assert isinstance(error, WorkerDiedError)
    assert str(error) == "its worker process died, perhaps for want of memory"
    assert got == {number: number * number for number in items if number != 13}


def test_an_item_whose_worker_died_by_accident_is_tried_again(tmp_path: Path) -> None:
    got = results(Workers(2), partial(fall_once, tmp_path / "marker"), [1, 2, 13, 3])
    assert got == {1: -1, 2: -2, 3: -3, 13: -13}


def test_workers_run_one_thread_each_and_the_parent_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with process_pool(1) as pool:
        assert pool.submit(threads_allowed, 0).result() == ("1", "1")
    assert threads_allowed(0) == ("7", None)


def test_nothing_to_do_needs_no_process() -> None:
    assert list(Workers().run(square, [])) == []
    assert available_cores() >= 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX only")
def test_workers_end_with_a_parent_that_is_killed() -> None:
    script = (
        "import os, time\n"
        "from ewval.core.workers import process_pool\n"
        "if __name__ == '__main__':\n"
        "    with process_pool(1) as pool:\n"
        "        print(pool.submit(os.getpid).result(), flush=True)\n"
        "        time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(worker)


@pytest.mark.skipif(os.name != "posix", reason="POSIX only")
@pytest.mark.parametrize(
    "interrupts", [[signal.SIGINT], [signal.SIGINT] * 2, [signal.SIGTERM] * 2], ids=["one", "two", "terms"]
)
def test_an_interrupt_does_not_wait_for_calls_that_run(interrupts: list[int]) -> None:
    script = (
        "import signal, sys, time\n"
        "from ewval.core.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command does\n"
        "    try:\n"
        "        for outcome in Workers(2).run(time.sleep, [0, 60, 60, 60, 60]):\n"
        "            print(outcome.item, flush=True)\n"
        "    except KeyboardInterrupt:\n"
        "        sys.exit(130)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "0\n"
            for number in interrupts:
                time.sleep(0.1)
                parent.send_signal(number)
            # Python itself ends by the signal where the second one comes as late as that.
            assert parent.wait(timeout=20) in (130, -signal.SIGINT, -signal.SIGTERM)
        finally:
            parent.kill()


def test_an_interrupt_between_two_outcomes_ends_the_workers() -> None:
    class Interrupted(Counted):
        def advance(self, count: int = 1) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Workers(2).collect(time.sleep, [0, 20, 20], progress=Interrupted())
    assert active_children() == []


def test_an_error_lets_the_workers_finish(tmp_path: Path) -> None:
    def fail() -> None:
        with process_pool(1) as pool:
            assert pool.submit(abs, -6).result() == 6
            begun = pool.submit(touch_later, tmp_path / "marker")
            while not begun.running():
                time.sleep(0.01)
            raise DamagedError("volume 13", "unlucky")

    with pytest.raises(DamagedError):
        fail()
    assert (tmp_path / "marker").exists()


def touch_later(path: Path) -> None:
    time.sleep(0.5)
    path.touch()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Where nobody reaps orphans, a dead one stays as a zombie.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tcp://127.0.0.1:1", ""),
        ("no-such-host.invalid:8786", ""),
        ("nonsense", "an address is HOST:PORT"),
        ("tcp://:::", "an address is HOST:PORT"),
        ("tcp://[", "an address is HOST:PORT"),
    ],
)
def test_a_scheduler_that_does_not_answer_is_named(address: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("ewval.core.workers.SCHEDULER_TIMEOUT_S", 1)
    with pytest.raises(SchedulerError) as caught:
        list(Workers(dask=address).run(square, [1]))
    assert str(caught.value).startswith(f"no Dask scheduler answers at {address}: {reason}")
    assert caught.value.reason
