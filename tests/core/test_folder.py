"""Paths of a data folder: the seed system's layout, and nothing is created by asking."""

from pathlib import Path

from ewval.core.folder import DataFolder


def test_packed_volumes_lie_where_the_seed_system_puts_them(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.image(7).relative_to(tmp_path).as_posix() == "images/7/image.lzma"
    assert folder.segmentation(7).relative_to(tmp_path).as_posix() == "segmentation/7/segmentation.lzma"
    assert (folder.task_vol.name, folder.task_data.name) == ("task_vol.json", "task_data.json")
    assert list(tmp_path.iterdir()) == []


def test_a_volume_is_packed_once_both_files_are_there(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.image(7).parent.mkdir(parents=True)
    folder.image(7).write_bytes(b"")
    assert not folder.is_packed(7)
    folder.segmentation(7).parent.mkdir(parents=True)
    folder.segmentation(7).write_bytes(b"")
    assert folder.is_packed(7)
