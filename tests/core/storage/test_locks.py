"""One fetch at a time where there are locks, and a word where there are none."""

import errno
import fcntl
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ewval.core.errors import UsageError, WriteError
from ewval.core.storage.locks import LOCK, exclusive


def test_a_second_one_is_refused_or_waits_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    inside, free = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive(tmp_path):
            inside.set()
            free.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(30)
    with pytest.raises(UsageError, match="another fetch is at work in"), exclusive(tmp_path):
        pass
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            free.set()
            thread.join()

    with exclusive(tmp_path, waits=True, sleep=sleep):
        assert len(slept) == 3
    assert caplog.messages == [f"another fetch is at work in {tmp_path}; waiting for it"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said_and_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)  # no file system at hand refuses
    with exclusive(tmp_path):
        pass
    said = f"{tmp_path} cannot be locked ({os.strerror(number)}); see that no other fetch works in it"
    assert caplog.record_tuples == [("ewval.core.storage.locks", logging.WARNING, said)]


def test_another_error_of_the_lock_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", break_down)
    with pytest.raises(OSError, match="broken"), exclusive(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError, match=f"cannot write {tmp_path}/file/{LOCK}: "), exclusive(tmp_path / "file"):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from ewval.core.storage.locks import exclusive\n"
        "with exclusive(Path(sys.argv[1])): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == 9
    with exclusive(tmp_path):
        pass
