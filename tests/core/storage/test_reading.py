"""Files that cannot be read are named, those that are not there are missing."""

from pathlib import Path

import pytest

from ewval.core.errors import UnreadableError
from ewval.core.storage.reading import read_bytes


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    assert read_bytes(path) == b"abcdef"
    assert read_bytes(path, limit=2) == b"ab"


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="the list"):
        read_bytes(tmp_path, what="the list")


def test_a_file_below_a_file_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "file" / "below")
