import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ewval.core.errors import MissingError, UsageError
from ewval.core.folder import DataFolder
from ewval.core.index.build import IndexRequest, index
from ewval.core.index.split import Split, read_split
from ewval.core.index.subset import _attachable, copy_subset
from ewval.core.tasks.seed_files import write_task_files
from ewval.core.tasks.table import TaskTable, files_of
from worlds import line_of_cells, make_pair, write_volume, write_world


def run(folder: DataFolder, **options: Any) -> Split:
    return index(IndexRequest(folder, **options)).split


def kept(split: Split) -> list[int]:
    return split.side("all").tolist()


def test_a_subset_folder_stands_by_itself(tmp_path: Path) -> None:
    pairs = [
        make_pair(1, cell=7, volume=100),
        make_pair(2, parent=1, cell=8, volume=101, place=(0, 0, 1)),
        make_pair(3, parent=2, cell=8, volume=102, place=(0, 0, 2)),
        make_pair(4, cell=9, volume=103),
    ]
    source, target = write_world(tmp_path / "all", pairs), DataFolder(tmp_path / "some")
    summary = index(IndexRequest(source, cells=(8,), out=target.root))
    assert summary.files == (target.task_vol, target.task_data, target.split)
    assert not source.split.exists()
    split, table = read_split(target), TaskTable.load(target)
    assert kept(split) == [2, 3]
    assert split.counts["dropped"] == {"context_only": 1}
    assert table.ids.tolist() == [1, 2, 3]
    assert table.cell.tolist() == [7, 8, 8]
    assert table.origin(1) == (0, 0, 224)
    assert sorted(path.name for path in (target.root / "images").iterdir()) == ["100", "101", "102"]
    assert target.segmentation(101).read_bytes() == source.segmentation(101).read_bytes()


def test_a_subset_folder_has_graphs_and_raw_volumes(tmp_path: Path) -> None:
    source, target = write_world(tmp_path / "all", line_of_cells(3)), DataFolder(tmp_path / "some")
    volume = int(TaskTable.load(source).volume[0]) if source.task_data.is_file() else 100
    for path in (source.graph(volume), source.raw(volume) / "jpg" / "0.jpg", source.raw(volume) / "metadata.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    (target.root / "raw" / f".{volume}.linking").mkdir(parents=True)  # a run was killed while linking
    copy_subset(source, target, cells=None)
    assert target.graph(volume).samefile(source.graph(volume))
    assert (target.raw(volume) / "jpg" / "0.jpg").read_bytes() == b"0.jpg"
    assert sorted(path.name for path in (target.root / "raw").iterdir()) == [str(volume)]


def test_a_ledger_in_a_folder_that_cannot_be_written_to_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = write_world(tmp_path / "all", line_of_cells(6)), tmp_path / "some"
    monkeypatch.setattr("ewval.core.index.subset.os.access", lambda path, _: Path(path) != source.root)
    with _attachable(source.ledger) as readable:
        assert readable != source.ledger
        assert sqlite3.connect(readable).execute("SELECT count(*) FROM tasks").fetchone() == (6,)
    assert kept(run(source, cells=(1001,), out=target)) == [1]


def test_a_second_cell_joins_the_first_in_a_subset_folder(tmp_path: Path) -> None:
    source = write_world(tmp_path / "all", line_of_cells(6))
    target = tmp_path / "some"
    run(source, cells=(1001,), out=target)
    assert kept(run(source, cells=(1002, 1003), out=target)) == [1, 2, 3]


def test_a_subset_of_a_folder_without_a_ledger_goes_by_the_roots(tmp_path: Path) -> None:
    source = DataFolder(tmp_path / "all")
    pairs = [make_pair(1), make_pair(2, parent=1), make_pair(3), make_pair(4, parent=3)]
    source.root.mkdir()
    write_task_files(source, files_of(TaskTable.from_records(pairs)))
    write_volume(source, 100)
    assert kept(run(source, cells=(3,), out=tmp_path / "some")) == [3, 4]


def test_cells_without_out_leave_the_others_out(tmp_path: Path) -> None:
    split = run(write_world(tmp_path, line_of_cells(6)), cells=(1002, 1005))
    assert kept(split) == [2, 5]
    assert split.counts["dropped"] == {"other_cell": 4}


@pytest.mark.parametrize("out", [None, "some"])
def test_an_unknown_cell_is_named_before_anything_is_written(tmp_path: Path, out: str | None) -> None:
    folder = write_world(tmp_path / "all", line_of_cells(3))
    with pytest.raises(MissingError, match="cell 5 not found; `ewval fetch` gets its tasks"):
        run(folder, cells=(1001, 5), out=tmp_path / out if out else None)
    assert not folder.split.exists()
    assert not (tmp_path / "some").exists()


def test_a_subset_cannot_replace_its_source(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is the data folder itself"):
        IndexRequest(DataFolder(tmp_path), out=tmp_path / "x" / "..")
