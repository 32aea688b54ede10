"""Stopping at a good moment: Ctrl-C and SIGTERM are taken note of and obeyed between two steps."""

import signal
import threading
from types import FrameType, TracebackType

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """While it is entered, Ctrl-C and SIGTERM set `is_set` and nothing else; a second one acts as usual."""

    def __init__(self) -> None:
        self.is_set = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():  # Python sets handlers nowhere else
            self._before = {kind: signal.signal(kind, self._note) for kind in CAUGHT}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.is_set = True
        self._restore()

    def _restore(self) -> None:
        for kind, handler in self._before.items():
            signal.signal(kind, handler)  # type: ignore[arg-type]  # what signal.signal gave it takes back
        self._before = {}
