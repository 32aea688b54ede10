"""The ledger gives back what was written down, and says done only of what is."""

import sqlite3
from pathlib import Path

import pytest

from ewval.core.errors import DamagedError, MissingError, UsageError, WriteError
from ewval.core.eyewire.records import AggregateRecord, Bounds, TaskRecord
from ewval.core.ledger.agenda import Agenda, Failure
from ewval.core.ledger.ledger import Ledger, VolumeRow
from ewval.core.ledger.schema import NO_OVERLAP

HERE, THERE = Bounds((0, 0, 0), (256, 256, 256)), Bounds((0, 0, 224), (256, 256, 480))
WHOLE = TaskRecord(7, 5, 6, 90, "http://b/v/", 10, (3, 70000), 2.5, 4.0, HERE)
PLAYED = AggregateRecord({9: 0.25, 3: 1.0}, weight=3.0, votes_total=2.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "eyewire.sqlite")


def bare(task: int, **fields: object) -> TaskRecord:
    return TaskRecord(**({"id": task, "cell": None, "parent": None, "volume": 90, "path": "http://b/v/"} | fields))  # type: ignore[arg-type]


def test_a_task_comes_back_as_it_was(ledger: Ledger) -> None:
    ledger.add_tasks([(WHOLE, PLAYED), (bare(8), None), (bare(9), AggregateRecord())])
    assert ledger.task(7) == WHOLE
    assert ledger.aggregate(7) == PLAYED
    assert (ledger.task(8), ledger.aggregate(8)) == (bare(8), None)
    assert ledger.aggregate(9) == AggregateRecord()
    assert ledger.task(10) is ledger.aggregate(10) is None
    assert list(ledger.records()) == [(WHOLE, PLAYED), (bare(8), None), (bare(9), AggregateRecord())]


def test_ids_are_little_endian_and_ascending_for_readers(ledger: Ledger) -> None:
    ledger.add_tasks([(WHOLE, PLAYED)])
    row = ledger.connection.execute("SELECT seed, aggregate_ids, aggregate_confidence FROM tasks").fetchone()
    assert row[0] == (3).to_bytes(4, "little") + (70000).to_bytes(4, "little")
    assert row[1] == (3).to_bytes(4, "little") + (9).to_bytes(4, "little")
    assert len(row[2]) == 16


def test_what_a_later_reply_leaves_out_stays(ledger: Ledger) -> None:
    ledger.add_cell(5, [(7, 0, HERE)], wanted=True)
    ledger.save_task(bare(7), None)
    seen = ledger.task(7)
    assert seen is not None
    assert (seen.cell, seen.bounds) == (5, HERE)


def test_a_task_learns_its_place_from_its_volume(ledger: Ledger) -> None:
    ledger.add_tasks([(bare(7), None)])
    assert ledger.task_bounds(7) is None
    ledger.want_volume(90, "http://b/v/", bounds=None, wanted=True)
    ledger.finish_volume(90, bounds=THERE, bytes_=5, stamp=1)
    assert ledger.task_bounds(7) == THERE
    assert ledger.volume(90) == VolumeRow(90, "http://b/v/", THERE, True, "done", None)


def test_an_absent_ancestor_fails_once_it_is_asked_for(ledger: Ledger) -> None:
    assert ledger.mark_missing(6, reason="gone")
    assert ledger.task_state(6) == ("absent", "gone")
    Agenda(ledger, tasks=[6], cells=[], context=2).ask()
    assert ledger.task_state(6) == ("new", "gone")
    assert not ledger.mark_missing(6, reason="gone")
    assert ledger.task_state(6) == ("failed", "gone")


@pytest.mark.parametrize(
    ("reason", "wanted", "state"), [("404", False, "absent"), ("404", True, "new"), (NO_OVERLAP, False, "new")]
)
def test_an_absent_volume_is_tried_again_only_for_a_reason(
    ledger: Ledger, reason: str, wanted: bool, state: str
) -> None:
    ledger.want_volume(90, "http://b/v/", bounds=None, wanted=False)
    ledger.mark_volume(90, "absent", reason=reason)
    ledger.want_volume(90, "http://b/v/", bounds=HERE, wanted=wanted)
    row = ledger.volume(90)
    assert row is not None
    assert (row.state, row.bounds) == (state, HERE)


def test_data_sets_of_cells_are_remembered(ledger: Ledger) -> None:
    ledger.set_datasets({5: 1, 6: 11})
    ledger.add_cell(5, [], wanted=True)
    assert ledger.datasets([5, 7]) == {5: 1}
    assert ledger.cell_state(5) == "done"


def test_a_cell_listed_for_its_bounds_can_be_asked_for_later(ledger: Ledger) -> None:
    ledger.add_cell(5, [(7, 0, HERE)], wanted=False)
    agenda = Agenda(ledger, tasks=[], cells=[5], context=0)
    assert (agenda.open_cells(), list(agenda.open_tasks())) == ([5], [])
    ledger.want_cell(5)
    assert (agenda.open_cells(), list(agenda.open_tasks())) == ([], [7])


def test_a_task_is_open_until_its_lineage_is_settled_as_deep_as_asked(ledger: Ledger) -> None:
    agenda = Agenda(ledger, tasks=[7], cells=[], context=2)
    assert agenda.unheard == 1
    agenda.ask()
    assert (list(agenda.open_tasks()), agenda.unknown_tasks()) == ([7], 1)
    ledger.save_task(WHOLE, None)
    assert (list(agenda.open_tasks()), agenda.unknown_tasks()) == ([7], 0)
    ledger.settle(7, context=2)
    assert list(agenda.open_tasks()) == []
    deeper = Agenda(ledger, tasks=[7], cells=[], context=3)
    assert list(deeper.open_tasks()) == [7]


def test_an_agenda_holds_only_what_was_asked_for(ledger: Ledger) -> None:
    ledger.add_tasks([(WHOLE, None), (bare(8, volume=91), None)])
    for volume in (90, 91):
        ledger.want_volume(volume, "http://b/v/", bounds=None, wanted=True)
    agenda = Agenda(ledger, tasks=[8], cells=[], context=2)
    assert (list(agenda.open_tasks()), agenda.open_volumes(), list(agenda.fetched_tasks())) == ([8], [91], [8])


def test_a_volume_of_an_ancestor_is_needed_by_its_descendants(ledger: Ledger) -> None:
    line = [bare(1, volume=91), bare(2, volume=92, parent=1), bare(3, volume=93, parent=2)]
    ledger.add_tasks([(task, None) for task in line[:2]], wanted=False)
    ledger.add_tasks([(line[2], None)])
    for volume in (91, 92):
        ledger.want_volume(volume, "http://b/v/", bounds=None, wanted=False)
    assert Agenda(ledger, tasks=[3], cells=[], context=2).open_volumes() == [91, 92]
    assert Agenda(ledger, tasks=[3], cells=[], context=1).open_volumes() == [92]


def test_tasks_are_counted_by_state(ledger: Ledger) -> None:
    assert ledger.count_tasks() == {}
    ledger.add_tasks([(WHOLE, None), (bare(8, volume=91), None)])
    ledger.mark_task(9, "failed", reason="not found", wanted=True)
    assert ledger.count_tasks() == {"done": 2, "failed": 1}


def test_failures_name_tasks_volumes_and_cells(ledger: Ledger) -> None:
    agenda = Agenda(ledger, tasks=[7, 8], cells=[5], context=0)
    agenda.ask()
    ledger.mark_cell(5, "failed", reason="no cell")
    ledger.mark_missing(8, reason="no task")
    ledger.save_task(WHOLE, None)
    ledger.want_volume(90, "http://b/v/", bounds=None, wanted=True)
    ledger.mark_volume(90, "failed", reason="no volume")
    expected = [Failure("cell", 5, "no cell"), Failure("task", 8, "no task"), Failure("volume", 90, "no volume")]
    assert list(agenda.failures()) == expected
    assert agenda.failed_tasks() == {7: "no volume", 8: "no task"}


def test_a_scratch_ledger_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "eyewire.sqlite"
    with Ledger.scratch(path) as copy:
        copy.mark_cell(5, "failed", reason="x")
    assert list(tmp_path.iterdir()) == []
    Ledger(path).mark_cell(6, "failed", reason="x")
    with Ledger.scratch(path) as copy:
        assert copy.cell_state(6) == "failed"
        copy.mark_cell(5, "failed", reason="x")
    assert Ledger.open_existing(path).cell_state(5) is None


def test_a_missing_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"ledger .*eyewire.sqlite not found; `ewval fetch` makes one"):
        Ledger.open_existing(tmp_path / "eyewire.sqlite")


def test_a_file_that_is_no_ledger_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "eyewire.sqlite"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 50)
    for open_it in (Ledger, Ledger.open_existing):
        with pytest.raises(DamagedError, match="file is not a database"):
            open_it(path)


def test_a_ledger_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "eyewire.sqlite"
    Ledger(path).connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DamagedError, match="written by a newer ewval"):
        Ledger(path)


def test_a_locked_ledger_is_not_called_damaged(ledger: Ledger) -> None:
    ledger.connection.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(ledger.path)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UsageError, match=r"cannot use .*locked"):
        ledger.mark_cell(5, "failed", reason="x")
    other.close()


def test_a_ledger_can_be_read_while_another_writes(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        connection.execute("INSERT INTO cells(id, state) VALUES (5, 'done')")
        assert Ledger.open_existing(ledger.path).cell_state(5) is None
    assert Ledger.open_existing(ledger.path).cell_state(5) == "done"


def test_a_reader_that_leaves_last_leaves_one_file(ledger: Ledger) -> None:
    ledger.mark_cell(5, "done")
    reader = Ledger.open_existing(ledger.path)
    assert reader.cell_state(5) == "done"
    ledger.close()
    reader.close()
    assert [path.name for path in ledger.path.parent.iterdir()] == ["eyewire.sqlite"]


def test_a_reader_cannot_write(ledger: Ledger) -> None:
    ledger.mark_cell(5, "done")
    with pytest.raises(WriteError, match="readonly"):
        Ledger.open_existing(ledger.path).mark_cell(6, "done")
