"""Signals while training: noted once, obeyed the second time, put back at the end."""

import os
import signal
import threading

import pytest

from ewval.core.training.interrupt import StopRequest


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_only_noted(kind: signal.Signals) -> None:
    before = signal.getsignal(kind)
    with StopRequest() as stop:
        assert not stop.is_set
        os.kill(os.getpid(), kind)
        assert stop.is_set
        assert signal.getsignal(kind) == before  # a second one acts as usual
    assert signal.getsignal(kind) == before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with StopRequest() as stop:
            seen.append(stop.is_set)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
    assert signal.getsignal(signal.SIGTERM) == before
