"""Packed volumes: found, read, remembered, and named where they are not whole."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from ewval.core.errors import DamagedError, MissingError
from ewval.core.folder import DataFolder
from ewval.core.storage.files import write_atomically
from ewval.core.volumes.codec import encode
from ewval.core.volumes.store import PackedStore, packed_edge, packed_volumes, volume_ids
from raw_volumes import write_seed_system_folder


def write_packed(folder: DataFolder, volume: int, *, edge: int = 64) -> None:
    image = np.full((edge,) * 3, volume, np.uint8)
    write_atomically(folder.image(volume), encode(image))
    write_atomically(folder.segmentation(volume), encode(image.astype(np.uint16) * 100))


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


def test_a_folder_of_the_seed_system_opens_as_it_is(tmp_path: Path, raw_volume: Path) -> None:
    write_seed_system_folder(tmp_path, raw_volume, volume=123276)
    store = PackedStore(DataFolder(tmp_path))
    assert store.has(123276)
    assert (store.image(123276).dtype, store.image(123276).shape) == (np.uint8, (64, 64, 64))
    assert (store.segmentation(123276).dtype, store.segmentation(123276).shape) == (np.uint16, (64, 64, 64))
    assert store.segmentation(123276).max() == 65535


def test_arrays_come_back_and_cannot_be_written_to(folder: DataFolder) -> None:
    write_packed(folder, 7)
    store = PackedStore(folder)
    assert (store.image(7) == 7).all()
    assert (store.segmentation(7) == 700).all()
    assert not store.image(7).flags.writeable
    assert not store.segmentation(7).flags.writeable


def test_volumes_used_last_stay_decoded(folder: DataFolder) -> None:
    for volume in (1, 2, 3):
        write_packed(folder, volume)
    store = PackedStore(folder, cache=2)
    for volume in (1, 2, 1, 3):
        store.check(volume)
    shutil.rmtree(folder.root / "images")
    assert (store.image(1) == 1).all()
    assert (store.image(3) == 3).all()
    with pytest.raises(MissingError, match="packed volume 2 not found; `ewval pack` makes it"):
        store.image(2)


def test_a_store_without_cache_reads_anew(folder: DataFolder) -> None:
    write_packed(folder, 1)
    store = PackedStore(folder, cache=0)
    store.check(1)
    folder.segmentation(1).unlink()
    with pytest.raises(MissingError, match="packed volume 1 not found"):
        store.segmentation(1)


@pytest.mark.parametrize("missing", ["image", "segmentation"])
def test_a_volume_is_there_only_with_both_files(folder: DataFolder, missing: str) -> None:
    write_packed(folder, 7)
    assert PackedStore(folder).has(7)
    getattr(folder, missing)(7).unlink()
    assert not PackedStore(folder).has(7)
    with pytest.raises(MissingError, match="packed volume 7"):
        PackedStore(folder).check(7)


def test_a_damaged_file_is_named(folder: DataFolder) -> None:
    write_packed(folder, 7)
    path = folder.segmentation(7)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DamagedError, match="truncated") as caught:
        PackedStore(folder).check(7)
    assert caught.value.what == str(path)


def test_volumes_of_another_edge_are_read_by_a_store_that_expects_it(folder: DataFolder) -> None:
    write_packed(folder, 7, edge=32)
    assert PackedStore(folder, edge=32).image(7).shape == (32, 32, 32)
    with pytest.raises(DamagedError, match="decodes to 32768 bytes instead of 262144"):
        PackedStore(folder).image(7)


@pytest.mark.parametrize("edge", [256, 128, 64, 32])
def test_the_edge_of_a_packed_volume_is_found_out(folder: DataFolder, edge: int) -> None:
    write_packed(folder, 7, edge=edge)
    assert packed_edge(folder, 7) == edge


def test_a_volume_that_is_damaged_or_missing_has_no_edge(folder: DataFolder) -> None:
    write_packed(folder, 7)
    folder.image(7).write_bytes(b"?")
    assert packed_edge(folder, 7) is None
    assert packed_edge(folder, 8) is None


def test_volume_ids_are_the_numbered_folders(folder: DataFolder) -> None:
    for volume in (10, 9):
        write_packed(folder, volume)
    (folder.root / "images" / ".DS_Store").touch()
    (folder.root / "images" / "old").mkdir()
    assert packed_volumes(folder) == [9, 10]
    assert volume_ids(folder.root / "nowhere") == []
