from pathlib import Path

import numpy as np
import pytest

from ewval.core.folder import DataFolder
from ewval.core.progress import SILENT, Silent
from ewval.core.storage.ragged import from_lists
from ewval.core.volumes.presence import find_labels
from worlds import write_volume

VOLUMES = np.array([100, 101, 102], dtype=np.int64)


class Decoded(Silent):
    """Records what the progress is told."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def advance(self, count: int = 1) -> None:
        self.steps.append(count)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path)
    write_volume(folder, 100, ids=3)
    write_volume(folder, 102, ids=8)
    return folder


def test_packed_and_missing_volumes_are_told_apart(folder: DataFolder) -> None:
    presence = find_labels(folder, VOLUMES, progress=SILENT)
    assert presence.packed(np.array([100, 101, 102, 100, 999])).tolist() == [True, False, True, True, False]
    assert presence.damaged() == {}


def test_a_seed_shows_when_one_of_its_segments_does(folder: DataFolder) -> None:
    presence = find_labels(folder, VOLUMES, progress=SILENT)
    seeds = from_lists([[1, 70_000], [4], [4], [], [0], [1], [70_000]])
    volumes = np.array([100, 100, 102, 102, 102, 101, 102])
    assert presence.shows_seed(volumes, seeds).tolist() == [True, False, True, False, False, False, False]


def test_a_volume_without_its_image_is_not_packed(folder: DataFolder) -> None:
    folder.image(100).unlink()
    assert find_labels(folder, VOLUMES, progress=SILENT).packed(VOLUMES).tolist() == [False, False, True]


def test_damage_is_told_by_volume(folder: DataFolder) -> None:
    folder.segmentation(100).write_bytes(b"not lzma")
    presence = find_labels(folder, VOLUMES, progress=SILENT)
    assert presence.packed(VOLUMES).tolist() == [False, False, True]
    assert list(presence.damaged()) == [100]
    assert "is damaged" in presence.damaged()[100]


def test_a_volume_is_decoded_again_only_when_it_changed(folder: DataFolder) -> None:
    find_labels(folder, VOLUMES, progress=SILENT)
    again = Decoded()
    find_labels(folder, VOLUMES, progress=again)
    assert again.steps == [1]  # the one that is not packed
    write_volume(folder, 100, ids=5)
    after = find_labels(folder, VOLUMES, progress=SILENT)
    assert after.shows_seed(np.array([100]), from_lists([[5]])).tolist() == [True]


def test_a_damaged_cache_is_made_anew(folder: DataFolder) -> None:
    find_labels(folder, VOLUMES, progress=SILENT)
    (folder.root / "volume_labels.cache").write_bytes(b"nonsense")
    assert find_labels(folder, VOLUMES, progress=SILENT).packed(VOLUMES).tolist() == [True, False, True]


def test_no_volumes_are_no_work(folder: DataFolder) -> None:
    assert find_labels(folder, VOLUMES[:0], progress=SILENT).packed(VOLUMES).tolist() == [False] * 3
