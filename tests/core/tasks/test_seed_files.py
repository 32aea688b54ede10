import json
from pathlib import Path

import pytest

from ewval.core.errors import DamagedError, MissingError
from ewval.core.folder import DataFolder
from ewval.core.tasks.seed_files import read_task_files, write_task_files

SEED_FORM = {"1415863": {"seed": [1473, 1528], "parent": 1415862, "aggregate": [1407, 1472, 1473, 1528]}}


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path)
    folder.task_vol.write_text('{"1415863": "123276"}')
    folder.task_data.write_text(json.dumps(SEED_FORM))
    return folder


def test_the_seed_systems_form_is_read_and_written_back_exactly(folder: DataFolder) -> None:
    write_task_files(folder, read_task_files(folder))
    assert json.loads(folder.task_vol.read_text()) == {"1415863": "123276"}
    assert json.loads(folder.task_data.read_text()) == SEED_FORM


def test_ids_may_be_strings_or_numbers_and_further_keys_are_ignored(folder: DataFolder) -> None:
    folder.task_vol.write_text('{"7": 9, "8": "9"}')
    folder.task_data.write_text(
        '{"7": {"seed": ["5", 3, 3], "parent": "8", "aggregate": {"5": 0.5, "3": 1}, "note": {"a": [1]}},'
        ' "8": {"seed": [], "aggregate": null}}'
    )
    files = read_task_files(folder)
    assert files.ids.tolist() == [7, 8]
    assert files.volume.tolist() == [9, 9]
    assert files.parent.tolist() == [8, -1]
    assert files.seeds[0].tolist() == [3, 5]
    assert files.aggregates[0].tolist() == [3, 5]
    assert files.answered.tolist() == [True, False]


def test_a_task_in_one_file_only_does_not_count(folder: DataFolder) -> None:
    folder.task_vol.write_text('{"1415863": "123276", "1": "2"}')
    assert read_task_files(folder).ids.tolist() == [1415863]


def test_many_tasks_are_written_in_blocks_sorted_by_id(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {str(task): {"seed": [task], "parent": None, "aggregate": [task, task + 1]} for task in (5, 30, 12, 7, 100)}
    folder.task_vol.write_text(json.dumps(dict.fromkeys(tasks, "1")))
    folder.task_data.write_text(json.dumps(tasks))
    monkeypatch.setattr("ewval.core.tasks.seed_files.ROWS_A_BLOCK", 2)
    write_task_files(folder, read_task_files(folder))
    assert list(json.loads(folder.task_vol.read_text())) == ["5", "7", "12", "30", "100"]
    assert json.loads(folder.task_data.read_text()) == tasks


def test_no_tasks_are_two_empty_objects(folder: DataFolder) -> None:
    folder.task_vol.write_text("{}")
    folder.task_data.write_text("{}")
    files = read_task_files(folder)
    write_task_files(folder, files)
    assert len(files.ids) == 0
    assert folder.task_vol.read_bytes() == folder.task_data.read_bytes() == b"{}"


@pytest.mark.parametrize("name", ["task_vol.json", "task_data.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"x": 1}', b'{"1415863": {"seed": ["y"]}}'])
def test_a_damaged_file_is_named(folder: DataFolder, name: str, content: bytes) -> None:
    (folder.root / name).write_bytes(content)
    with pytest.raises(DamagedError, match=f"{name} is damaged"):
        read_task_files(folder)


@pytest.mark.parametrize(
    "entry",
    [
        {"seed": 5},
        {"seed": [70_000_000_000]},
        {"seed": [-1]},
        {"seed": [1], "parent": "x"},
        {},
        [],
        3,
        {"seed": [1], "aggregate": 4},
    ],
)
def test_a_task_of_another_form_is_named(folder: DataFolder, entry: object) -> None:
    folder.task_data.write_text(json.dumps({"1415863": entry}))
    with pytest.raises(DamagedError, match=r"task_data\.json is damaged: task 1415863"):
        read_task_files(folder)


@pytest.mark.parametrize("name", ["task_vol.json", "task_data.json"])
def test_a_missing_file_is_named(folder: DataFolder, name: str) -> None:
    (folder.root / name).unlink()
    with pytest.raises(MissingError, match=f"{name} not found; `ewval index` makes it"):
        read_task_files(folder)


def test_ids_beyond_int64_are_damage(folder: DataFolder) -> None:
    folder.task_vol.write_text(json.dumps({str(2**70): "1"}))
    folder.task_data.write_text(json.dumps({str(2**70): {"seed": [1]}}))
    with pytest.raises(DamagedError, match=r"task_vol\.json is damaged"):
        read_task_files(folder)
