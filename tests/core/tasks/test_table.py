import json
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from ewval.core.errors import DamagedError, MissingError, WriteError
from ewval.core.folder import DataFolder
from ewval.core.tasks.seed_files import write_task_files
from ewval.core.tasks.table import TaskTable, cache_path, files_of
from worlds import make_pair, write_world


def small_table() -> TaskTable:
    return TaskTable.from_records(
        [
            make_pair(12, parent=11, volume=101, place=(0, 0, 1), seed=(3,), answer=(3, 4)),
            make_pair(11, parent=None, volume=100, seed=(1, 2), answer=(2, 5)),
            make_pair(13, parent=12, volume=102, place=None, seed=(6,), answer=(), cell=None),
            make_pair(14, parent=99, volume=102, place=None, seed=(7,), answer=None, cell=None),
        ]
    )


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path)
    write_task_files(folder, files_of(small_table()))
    return folder


def same(first: TaskTable, second: TaskTable, *, without: tuple[str, ...] = ()) -> bool:
    names = [name for name in ("ids", "volume", "cell", "parent", "corner", "answer") if name not in without]
    plain = all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)
    ragged = ((first.seeds, second.seeds), (first.aggregates, second.aggregates))
    return plain and all(np.array_equal(a.values, b.values) and np.array_equal(a.offsets, b.offsets) for a, b in ragged)


def test_rows_stand_in_the_order_of_their_ids() -> None:
    table = small_table()
    assert table.ids.tolist() == [11, 12, 13, 14]
    assert table.volume.tolist() == [100, 101, 102, 102]
    assert table.parent.tolist() == [-1, 11, 12, 99]
    assert table.cell.tolist() == [1, 1, -1, -1]
    assert [table.origin(row) for row in range(4)] == [(0, 0, 0), (0, 0, 224), None, None]


def test_tasks_of_one_volume_are_put_together() -> None:
    assert small_table().by_volume(np.array([14, 12, 13, 11])).tolist() == [11, 12, 13, 14]
    with pytest.raises(MissingError, match="task 9 not found"):
        small_table().by_volume(np.array([9, 11]))


def test_an_answer_holds_its_seed_and_without_one_it_is_the_seed() -> None:
    table = small_table()
    assert [table.aggregate(row).tolist() for row in range(4)] == [[1, 2, 5], [3, 4], [6], [7]]
    assert [table.seed(row).tolist() for row in range(4)] == [[1, 2], [3], [6], [7]]
    assert [table.has_aggregate(row) for row in range(4)] == [True, True, True, False]


def test_tasks_with_something_to_add_are_told_apart() -> None:
    assert small_table().extends.tolist() == [True, True, False, False]


def test_the_consensus_rule_is_applied_to_records() -> None:
    task, aggregate = make_pair(1, answer=(1, 2), weight=2)
    doubted = type(aggregate)({1: 1.0, 2: 0.5}, weight=2)
    assert TaskTable.from_records([(task, doubted)]).aggregate(0).tolist() == [1]
    assert TaskTable.from_records([(task, doubted)], rule="all").aggregate(0).tolist() == [1, 2]


def test_of_a_repeated_task_the_last_counts() -> None:
    table = TaskTable.from_records([make_pair(1, volume=5), make_pair(1, volume=6)])
    assert table.volume.tolist() == [6]


def test_tasks_are_found_by_id() -> None:
    table = small_table()
    assert table.rows([14, 11]).tolist() == [3, 0]
    assert table.has(13)
    assert not table.has(15)
    assert table.find(1) is None
    with pytest.raises(MissingError, match="task 15 not found; `ewval fetch` and `ewval index` add it"):
        table.row(15)
    with pytest.raises(MissingError, match="task 15 not found"):
        table.rows([11, 15])


def test_an_empty_table_has_no_task() -> None:
    table = TaskTable.from_records([])
    assert len(table) == 0
    assert table.parent_row.tolist() == []
    with pytest.raises(MissingError, match="task 1 not found"):
        table.rows([1])


def test_the_parent_row_is_none_for_roots_absent_parents_and_oneself() -> None:
    assert small_table().parent_row.tolist() == [-1, 0, 1, -1]
    assert TaskTable.from_records([make_pair(5, parent=5)]).parent_row.tolist() == [-1]


def test_the_root_of_the_tree_stands_for_a_cell_that_is_unknown() -> None:
    pairs = [make_pair(task, parent=parent, cell=None) for task, parent in ((5, None), (6, 5), (7, 6), (8, 99), (9, 8))]
    assert TaskTable.from_records(pairs).group.tolist() == [-5, -5, -5, -8, -8]


def test_a_task_of_unknown_cell_belongs_to_the_cell_of_its_root() -> None:
    assert small_table().group.tolist() == [1, 1, 1, -14]


def test_tasks_are_chosen_by_cell_or_where_it_is_unknown_by_root() -> None:
    table = small_table()
    assert table.in_cells([1]).tolist() == [True, True, True, False]
    assert table.in_cells([14, 1]).tolist() == [True] * 4
    with pytest.raises(MissingError, match="cell 12 not found; `ewval fetch` gets its tasks"):
        table.in_cells([12])


def test_a_folder_of_the_seed_system_opens_without_a_ledger(folder: DataFolder) -> None:
    table = TaskTable.load(folder)
    assert same(table, small_table(), without=("cell", "corner", "answer"))
    assert table.cell.tolist() == [-1] * 4
    assert table.origin(0) is None
    assert table.group.tolist() == [-11, -11, -11, -14]


def test_cells_and_places_come_from_the_ledger(folder: DataFolder) -> None:
    pairs = [make_pair(11, cell=7, place=(1, 2, 3)), make_pair(12, cell=7, volume=101, place=None)]
    write_world(folder.root, [*pairs, make_pair(50, volume=101, place=(0, 0, 1))], volumes=())
    table = TaskTable.load(folder)
    assert table.cell.tolist() == [7, 7, -1, -1]
    # 12 has no bounds of its own: those of another task in its volume serve.
    assert [table.origin(row) for row in range(4)] == [(224, 448, 672), (0, 0, 224), None, None]


def test_the_table_is_mapped_from_its_cache_the_second_time(folder: DataFolder) -> None:
    first = TaskTable.load(folder)
    assert first.mapped is not None
    assert first.mapped[0] == cache_path(folder)
    written = cache_path(folder).stat().st_mtime_ns
    assert same(TaskTable.load(folder), first)
    assert cache_path(folder).stat().st_mtime_ns == written


@pytest.mark.parametrize("name", ["task_vol.json", "task_data.json"])
@pytest.mark.parametrize("later_s", [-3600, 0, 3600])
def test_a_changed_file_outdates_the_cache_whatever_its_time_says(folder: DataFolder, name: str, later_s: int) -> None:
    TaskTable.load(folder)
    changed = {"task_vol.json": {"11": "555"}, "task_data.json": {"11": {"seed": [9]}}}[name]
    path = folder.root / name
    path.write_text(json.dumps(changed))
    os.utime(path, (time.time() + later_s,) * 2)
    table = TaskTable.load(folder)
    assert table.ids.tolist() == [11]
    assert (table.volume.tolist(), table.seed(0).tolist()) == (([555], [1, 2]) if "vol" in name else ([100], [9]))


def test_a_damaged_cache_is_made_anew(folder: DataFolder) -> None:
    first = TaskTable.load(folder)
    expected = pickle.loads(pickle.dumps(first.with_answers({})))
    cache_path(folder).write_bytes(cache_path(folder).read_bytes()[:-8])
    assert same(TaskTable.load(folder), expected)


def test_a_folder_that_cannot_be_written_is_read_all_the_same(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise WriteError("task_table.cache", "read-only")  # a test that runs as root can write anywhere

    monkeypatch.setattr("ewval.core.tasks.table.write_columns", refuse)
    table = TaskTable.load(folder)
    assert table.mapped is None
    assert table.ids.tolist() == [11, 12, 13, 14]


def test_a_mapped_table_travels_as_its_path_and_another_whole(folder: DataFolder) -> None:
    mapped, plain = TaskTable.load(folder), small_table()
    assert len(pickle.dumps(mapped)) < 500
    assert same(pickle.loads(pickle.dumps(mapped)), mapped)
    assert same(pickle.loads(pickle.dumps(plain)), plain)


def test_a_table_that_was_indexed_anew_under_a_worker_is_refused(folder: DataFolder) -> None:
    travelling = pickle.dumps(TaskTable.load(folder))
    folder.task_vol.write_text('{"11": "555"}')
    TaskTable.load(folder)
    with pytest.raises(DamagedError, match=r"task_table\.cache is damaged: changed while it was in use"):
        pickle.loads(travelling)


def test_other_answers_change_nothing_else() -> None:
    table = small_table()
    changed = table.with_answers({13: [6, 60]})
    assert changed.aggregate(2).tolist() == [6, 60]
    assert table.aggregate(2).tolist() == [6]
    assert [changed.aggregate(row).tolist() for row in (0, 1, 3)] == [[1, 2, 5], [3, 4], [7]]


def test_a_folder_without_tasks_says_which_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"task_vol\.json not found; `ewval index` makes it"):
        TaskTable.load(DataFolder(tmp_path))
