"""Files that are either whole or not there."""

from pathlib import Path

import pytest

from ewval.core.storage.files import replacing, write_atomically


def test_the_content_arrives_whole_in_a_new_folder(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b", b"content")
    assert (tmp_path / "a" / "b").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def fail_half_way() -> None:
        with replacing(target) as temporary:
            temporary.write_bytes(b"ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail_half_way()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_others_may_read_the_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode & 0o044 == 0o044
