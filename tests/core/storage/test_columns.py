from pathlib import Path

import numpy as np
import pytest

from ewval.core.storage.columns import file_stamp, map_columns, write_columns

COLUMNS = {"a": np.arange(7, dtype=np.int64), "b": np.zeros((0, 3), np.int32), "c": np.array([[1, 2]], np.uint16)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "table.cache"
    write_columns(path, COLUMNS, stamp=[[1, 2], None])
    return path


def test_columns_come_back_mapped_and_read_only(path: Path) -> None:
    columns = map_columns(path, stamp=[[1, 2], None])
    assert columns is not None
    for name, array in COLUMNS.items():
        assert columns[name].dtype == array.dtype
        assert np.array_equal(columns[name], array)
    with pytest.raises(ValueError, match="read-only"):
        columns["a"][0] = 1


def test_columns_of_another_stamp_do_not_count(path: Path) -> None:
    assert map_columns(path, stamp=[[1, 3], None]) is None


def test_columns_that_are_not_there_do_not_count(tmp_path: Path) -> None:
    assert map_columns(tmp_path / "none") is None


@pytest.mark.parametrize("length", [0, 5, 40, -1])
def test_a_file_that_was_cut_does_not_count(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    assert map_columns(path) is None


@pytest.mark.parametrize(
    "content", [b"other\n", b"ewval columns 1\n{}\n", b"ewval columns 1\n[]\n", b"ewval columns 1\nx"]
)
def test_a_file_of_another_form_does_not_count(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert map_columns(path) is None


def test_a_stamp_tells_a_rewrite_of_the_same_size_within_the_same_clock_tick(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    before, time_ns = file_stamp(path), path.stat().st_mtime_ns
    path.write_bytes(b"two")
    import os

    os.utime(path, ns=(time_ns, time_ns))
    assert file_stamp(path) != before


def test_what_is_not_there_has_no_stamp(tmp_path: Path) -> None:
    assert file_stamp(tmp_path / "none") is None
