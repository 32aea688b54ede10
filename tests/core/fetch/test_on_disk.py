"""What is at hand, what has to be fetched, and what cannot be had."""

import json
from contextlib import closing

import numpy as np
import pytest

from ewval.core.errors import DamagedError, MissingError, TokenMissingError, UnreachableError
from ewval.core.fetch.on_disk import LocalData, by_volume
from ewval.core.fetch.provision import provide, tasks_of_cells
from ewval.core.ledger.ledger import Ledger
from ewval.core.tasks.table import TaskTable
from worlds import make_pair, write_world


def settled(folder, *tasks, context=2):
    with closing(Ledger(folder.ledger)) as ledger:
        for task in tasks:
            ledger.settle(task, context=context)
    return folder


def never(tasks, cells, context):
    raise AssertionError("nothing had to be fetched")


def test_a_task_that_is_all_here_is_not_fetched(tmp_path):
    folder = settled(write_world(tmp_path, [make_pair(7)]), 7)
    assert LocalData(folder).to_fetch([7]) == []
    assert provide(LocalData(folder), [7], fetch=never).tasks == (7,)


@pytest.mark.parametrize("lost", ["task", "volume", "lineage", "ancestor's volume"])
def test_whatever_is_missing_of_a_task_is_fetched(tmp_path, lost):
    pairs = [make_pair(6, volume=101), make_pair(7, parent=6)]
    folder = write_world(tmp_path, pairs, volumes=[100] if lost == "ancestor's volume" else None)
    settled(folder, 7, context=1 if lost == "lineage" else 2)
    with closing(Ledger(folder.ledger)) as ledger:
        ledger.want_volume(101, "http://x/", bounds=None, wanted=False)
    if lost == "volume":
        folder.segmentation(100).unlink()
    assert LocalData(folder).to_fetch([8 if lost == "task" else 7]) != []


def test_an_ancestor_whose_volume_the_server_lacks_is_done_without(tmp_path):
    folder = write_world(tmp_path, [make_pair(6, volume=101), make_pair(7, parent=6)], volumes=[100])
    settled(folder, 7)
    with closing(Ledger(folder.ledger)) as ledger:
        ledger.want_volume(101, "http://x/", bounds=None, wanted=False)
        ledger.mark_volume(101, "absent", reason="404")
    assert LocalData(folder).to_fetch([7]) == []


def test_an_ancestors_volume_that_failed_is_tried_again_but_not_waited_for(tmp_path):
    folder = write_world(tmp_path, [make_pair(6, volume=101), make_pair(7, parent=6)], volumes=[100])
    settled(folder, 7)
    with closing(Ledger(folder.ledger)) as ledger:
        ledger.want_volume(101, "http://x/", bounds=None, wanted=False)
        ledger.mark_volume(101, "failed", reason="500")
    asked = []

    def fetch(tasks, cells, context):
        asked.append(list(tasks))
        raise UnreachableError("http://x", "it is down")

    assert provide(LocalData(folder), [7], fetch=fetch).tasks == (7,)
    assert asked == [[7]]


def test_the_table_holds_the_tasks_and_their_ancestors(tmp_path):
    pairs = [make_pair(task, parent=task - 1, volume=100 + task) for task in range(1, 8)]
    table = LocalData(write_world(tmp_path, pairs), context=2).table([7, 99])
    assert table.ids.tolist() == [4, 5, 6, 7]  # one more than the context: a duplicate of the task is passed over
    assert table.has_aggregate(table.row(7))


def test_tasks_of_the_seed_systems_files_are_read_as_they_are(tmp_path):
    folder = write_world(tmp_path, [make_pair(1)])
    folder.ledger.unlink()
    folder.task_vol.write_text(json.dumps({"7": "100", "8": "100"}))
    folder.task_data.write_text(
        json.dumps({"7": {"seed": [1], "parent": 6, "aggregate": [1, 2]}, "8": {"seed": [3], "parent": None}})
    )
    local = LocalData(folder)
    assert local.to_fetch([7]) == []
    table = local.table([7])
    assert table.aggregate(table.row(7)).tolist() == [1, 2]
    assert local.volumes_of([7, 99999]) == {7: 100}


def test_a_task_that_stays_away_fails_alone_with_the_ledgers_reason(tmp_path):
    folder = settled(write_world(tmp_path, [make_pair(7)]), 7)

    def fetch(tasks, cells, context):
        assert (list(tasks), context) == ([99], 2)
        with closing(Ledger(folder.ledger)) as ledger:
            ledger.mark_task(99, "failed", reason="nobody knows it", wanted=True)
        raise MissingError("task 99")

    provision = provide(LocalData(folder), [99, 7], fetch=fetch)
    assert provision.tasks == (7,)
    assert str(provision.failed[99]) == "task 99 not found; nobody knows it"


def test_without_a_token_all_that_was_missing_fails_for_that_reason(tmp_path):
    folder = settled(write_world(tmp_path, [make_pair(7)]), 7)

    def fetch(tasks, cells, context):
        raise TokenMissingError

    provision = provide(LocalData(folder), [98, 7, 99], fetch=fetch)
    assert provision.tasks == (7,)
    assert {task: type(error) for task, error in provision.failed.items()} == dict.fromkeys((98, 99), TokenMissingError)


def test_a_volume_that_the_server_lacks_is_named(tmp_path):
    folder = settled(write_world(tmp_path, [make_pair(7)], volumes=[]), 7)
    with closing(Ledger(folder.ledger)) as ledger:
        ledger.want_volume(100, "http://x/", bounds=None, wanted=True)
        ledger.mark_volume(100, "failed", reason="no segmentation there")
    provision = provide(LocalData(folder), [7], fetch=lambda *_: None)
    assert str(provision.failed[7]) == "volume 100 of task 7 not found; no segmentation there"


def test_raw_volumes_are_packed_and_damaged_ones_named(tmp_path, raw_volume):
    import shutil

    folder = settled(write_world(tmp_path, [make_pair(7), make_pair(8, volume=200)], volumes=[]), 7, 8)
    for volume in (100, 200):
        shutil.copytree(raw_volume, folder.raw(volume))
    (folder.raw(200) / "jpg" / "3.jpg").write_bytes(b"no picture")
    provision = provide(LocalData(folder), [7, 8], fetch=never)
    assert provision.tasks == (7,)
    assert isinstance(provision.failed[8], DamagedError)
    assert "raw/200/jpg/3.jpg is damaged" in str(provision.failed[8])
    assert folder.segmentation(100).is_file()


def test_a_cell_that_was_listed_is_not_asked_for_again(tmp_path):
    folder = write_world(tmp_path, [make_pair(7, cell=5), make_pair(8, cell=6)])
    with closing(Ledger(folder.ledger)) as ledger:
        ledger.add_cell(5, [(7, 0, None)], wanted=True)
    assert tasks_of_cells(LocalData(folder), [5], fetch=never).tasks == (7,)
    asked = []
    tasks_of_cells(LocalData(folder), [5, 6], fetch=lambda *words: asked.append(words))
    assert asked == [([], [6], 2)]


@pytest.mark.parametrize(
    ("raised", "reason"),
    [(None, "cell 6 not found; nobody knows it"), (TokenMissingError(), "no Eyewire token is set")],
)
def test_a_cell_that_cannot_be_had_fails_alone(tmp_path, raised, reason):
    folder = write_world(tmp_path, [make_pair(7, cell=5)])
    with closing(Ledger(folder.ledger)) as ledger:
        ledger.add_cell(5, [(7, 0, None)], wanted=True)

    def fetch(tasks, cells, context):
        assert list(cells) == [6]
        with closing(Ledger(folder.ledger)) as ledger:
            ledger.mark_cell(6, "failed", reason="nobody knows it")
        if raised is not None:
            raise raised

    provision = tasks_of_cells(LocalData(folder), [6, 5], fetch=fetch)
    assert provision.tasks == (7,)
    assert {cell: str(error) for cell, error in provision.failed.items()} == {6: reason}


def test_tasks_of_one_volume_come_together():
    table = TaskTable.from_records([make_pair(task, volume=task % 3) for task in range(1, 10)])
    ordered = by_volume([5, 1, 9, 2, 4, 3], table)
    assert ordered == [5, 2, 1, 4, 9, 3]
    assert np.diff(table.volume[table.rows(ordered)]).astype(bool).sum() == 2
