"""What can be reviewed is what lies in the folder, in the order asked; the rest is named."""

import pytest

from ewval.core.errors import MissingError
from ewval.core.folder import DataFolder
from ewval.core.index.build import IndexRequest, index
from ewval.core.review.listing import list_tasks, parents_of
from worlds import make_pair, write_world


def ids(listing):
    return [facts.task for facts in listing.tasks]


def test_tasks_come_in_the_order_asked_and_what_is_not_here_is_named(folder):
    listing = list_tasks(folder, tasks=[7, 1, 77], cells=[12, 99])
    assert ids(listing) == [7, 1, 3]
    assert str(listing.failed[77]) == "task 77 not found; `ewval fetch 77` brings it"
    assert str(listing.failed[99]) == "cell 99 not found; `ewval fetch --cell 99` brings its tasks"


def test_without_a_list_every_task_is_listed_with_what_is_known_of_it(folder):
    listing = list_tasks(folder)
    assert ids(listing) == [1, 2, 3, 5, 6, 7]
    first, last = listing.tasks[0], listing.tasks[-1]
    assert (first.volume, first.cell, first.seed, first.consensus) == (100, 11, (1,), (1, 2, 3))
    assert last.consensus is None
    assert listing.failed == {}


def test_a_folder_without_a_ledger_is_read_from_its_task_files(tmp_path):
    folder = write_world(tmp_path, [make_pair(1), make_pair(2, parent=1, answer=(1, 3))])
    index(IndexRequest(folder))
    folder.ledger.unlink()
    assert [facts.consensus for facts in list_tasks(folder).tasks] == [(1, 2), (1, 3)]
    assert parents_of(folder, [1, 2, 9]) == {1: None, 2: 1}


def test_an_empty_folder_has_nothing_to_review(tmp_path):
    with pytest.raises(MissingError, match="any task"):
        list_tasks(DataFolder(tmp_path))
