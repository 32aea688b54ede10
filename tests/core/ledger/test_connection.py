"""A ledger is used where there is no shared memory for its log, where nothing can be written, and under any name."""

import os
import shutil
import stat
from contextlib import closing
from pathlib import Path

import pytest

from ewval.core.errors import DiskFullError, UsageError, WriteError
from ewval.core.ledger.ledger import Ledger


@pytest.fixture
def left_open(tmp_path: Path) -> Path:
    """A ledger whose latest row stands in its log alone, as a killed process leaves it."""
    with closing(Ledger(tmp_path / "open" / "eyewire.sqlite")) as ledger:
        ledger.mark_cell(5, "done")
        for name in ("eyewire.sqlite", "eyewire.sqlite-wal"):
            shutil.copy(tmp_path / "open" / name, tmp_path / name)
    return tmp_path / "eyewire.sqlite"


def without_shared_memory(path: Path) -> Path:
    """Put something where the log's memory would be, as file systems do that cannot map files."""
    path.with_name(f"{path.name}-shm").mkdir(parents=True)
    return path


def test_a_new_ledger_needs_no_shared_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = without_shared_memory(tmp_path / "eyewire.sqlite")
    with closing(Ledger(path)) as ledger:
        ledger.mark_cell(5, "done")
        assert ledger.connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    with closing(Ledger.open_existing(path)) as ledger:
        assert ledger.cell_state(5) == "done"
    assert [message.partition(" (")[0] for message in caplog.messages] == [
        f"{path} has no shared memory for a write-ahead log"
    ]


def test_a_log_that_was_left_is_read_without_shared_memory(left_open: Path) -> None:
    with closing(Ledger.open_existing(without_shared_memory(left_open))) as ledger:
        assert ledger.cell_state(5) == "done"


def test_a_log_that_was_left_is_taken_in_without_shared_memory(left_open: Path) -> None:
    with closing(Ledger(without_shared_memory(left_open))) as ledger:
        ledger.mark_cell(6, "done")
    with closing(Ledger.open_existing(left_open)) as ledger:
        assert (ledger.cell_state(5), ledger.cell_state(6)) == ("done", "done")


def test_a_ledger_has_a_log_where_it_can(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Ledger(tmp_path / "eyewire.sqlite")) as ledger:
        assert ledger.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert caplog.messages == []


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_a_folder_may_have_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 50%?#")) / "eyewire.sqlite"
    with closing(Ledger(path)) as ledger:
        ledger.mark_cell(5, "done")
    with closing(Ledger.open_existing(path)) as ledger:
        assert ledger.cell_state(5) == "done"
    with Ledger.scratch(path) as copy:
        assert copy.cell_state(5) == "done"


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_the_ledger_and_its_log_take_the_permissions_of_their_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    before = os.umask(0o022)
    try:
        with closing(Ledger(tmp_path / "eyewire.sqlite")) as ledger:
            ledger.mark_cell(5, "done")
            modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o660}


def test_a_full_disk_is_said_and_what_was_written_stays(tmp_path: Path) -> None:
    path = tmp_path / "eyewire.sqlite"
    with closing(Ledger(path)) as ledger:
        ledger.mark_cell(5, "done")
        (pages,) = ledger.connection.execute("PRAGMA page_count").fetchone()
        ledger.connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own word for a disk that is full
        with pytest.raises(DiskFullError, match=f"cannot write {path}: No space left on device; free some room in /"):
            ledger.add_cell(6, [(task, 0, None) for task in range(1, 5000)], wanted=True)
        assert (ledger.cell_state(5), ledger.cell_state(6)) == ("done", None)


def test_a_ledger_that_may_only_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "eyewire.sqlite"
    with closing(Ledger(path)) as ledger:
        ledger.connection.execute("PRAGMA query_only = 1")
        with pytest.raises(WriteError, match=f"cannot write {path}: "):
            ledger.mark_cell(5, "done")


def test_a_ledger_in_use_by_something_else_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "eyewire.sqlite"
    with closing(Ledger(path)) as first, closing(Ledger(path)) as second:
        second.connection.execute("PRAGMA busy_timeout = 1")
        first.connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(UsageError, match="database is locked"):
            second.mark_cell(5, "done")
        first.connection.execute("ROLLBACK")
