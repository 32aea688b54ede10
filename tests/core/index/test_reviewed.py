"""Reviewed answers stand in place of the players', whole and named, and nothing of the players' is lost by that."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from ewval.core.errors import MissingError, UsageError
from ewval.core.folder import DataFolder
from ewval.core.index.build import IndexRequest, index
from ewval.core.index.split import read_split
from ewval.core.ledger.reviews import Review, ReviewStore, Stroke
from ewval.core.tasks.table import TaskTable
from worlds import line_of_cells, make_pair, write_world


def settle(folder: DataFolder, task: int, segments: tuple[int, ...], *, who: str = "ann", kind: str = "accept") -> None:
    with closing(ReviewStore(folder.reviews)) as store:
        review = Review(task, who, 100, "graph", segments[:1], segments)
        store.record(review, Stroke(kind), after=len(store.strokes(task, who)))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """Nine tasks in one volume; the last one has no players' answer, the one before it few votes."""
    pairs = [*line_of_cells(7), make_pair(8, cell=1008, weight=0.5), make_pair(9, cell=1009, answer=None)]
    return write_world(tmp_path / "data", pairs)


def test_a_reviewed_answer_replaces_the_players_and_is_named(folder: DataFolder) -> None:
    settle(folder, 1, (2, 5, 6))
    settle(folder, 9, (1, 4))
    settle(folder, 3, (4, 7), kind="skip")
    split = index(IndexRequest(folder, reviews=True)).split
    table = TaskTable.load(folder)
    assert table.aggregate(table.row(1)).tolist() == [2, 5, 6]
    assert table.aggregate(table.row(9)).tolist() == [1, 4]
    assert table.aggregate(table.row(3)).tolist() == [1, 2, 4]
    assert split.reviewed.tolist() == read_split(folder).reviewed.tolist() == [1, 9]
    assert split.counts["reviewed"] == 2
    assert json.loads(folder.split.read_text())["reviewed"] == [1, 9]


def test_without_the_option_the_players_answers_are_back(folder: DataFolder) -> None:
    settle(folder, 1, (2, 5, 6))
    settle(folder, 9, (1, 4))
    index(IndexRequest(folder, reviews=True))
    split = index(IndexRequest(folder)).split
    table = TaskTable.load(folder)
    assert table.aggregate(table.row(1)).tolist() == [1, 2]
    assert 9 not in split.side("all")
    assert "reviewed" not in json.loads(folder.split.read_text())


def test_of_several_people_the_latest_counts(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(folder, 1, (2, 5), who="zoe")
    settle(folder, 1, (2, 6), who="ann")
    with closing(ReviewStore(folder.reviews)) as store:
        store._connection.execute("UPDATE reviews SET at = '2099-01-01T00:00:00Z' WHERE who = 'zoe'")
        store._connection.commit()
    index(IndexRequest(folder, reviews=True))
    table = TaskTable.load(folder)
    assert table.aggregate(table.row(1)).tolist() == [2, 5]


def test_a_reviewed_answer_has_weight_enough(folder: DataFolder) -> None:
    settle(folder, 8, (1, 3))
    kept = index(IndexRequest(folder, reviews=True, min_weight=5.0)).split
    assert 8 in kept.side("all")
    assert 8 not in index(IndexRequest(folder, min_weight=5.0)).split.side("all")


def test_the_only_copy_of_the_players_answers_is_not_overwritten(folder: DataFolder, tmp_path: Path) -> None:
    index(IndexRequest(folder))
    folder.ledger.unlink()
    settle(folder, 1, (2, 5, 6))
    before = folder.task_data.read_bytes()
    with pytest.raises(UsageError, match="the only copy of the players' answers"):
        index(IndexRequest(folder, reviews=True))
    assert folder.task_data.read_bytes() == before
    index(IndexRequest(folder, reviews=True, out=tmp_path / "own"))
    own = TaskTable.load(DataFolder(tmp_path / "own"))
    assert own.aggregate(own.row(1)).tolist() == [2, 5, 6]
    assert folder.task_data.read_bytes() == before


def test_no_final_answer_is_said_so(folder: DataFolder) -> None:
    with pytest.raises(MissingError, match="reviewed answers"):
        index(IndexRequest(folder, reviews=True))
    settle(folder, 1, (1, 2), kind="skip")
    with pytest.raises(MissingError, match="any final answer"):
        index(IndexRequest(folder, reviews=True))
