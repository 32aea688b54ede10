"""The checksum changes with what volumes are read from, and with nothing that an evaluation leaves behind."""

import shutil

import numpy as np
import pytest

from ewval.core.evaluation.at_hand import at_hand
from ewval.core.folder import DataFolder
from ewval.core.graph.graph import build_graph, save_graph
from ewval.core.segments.views import VolumeSource

VOLUMES = np.array([5, 5, 6])


@pytest.fixture
def folder(tmp_path, raw_volume):
    """Volume 5 is at hand as downloaded, 6 is not."""
    shutil.copytree(raw_volume, tmp_path / "raw" / "5")
    return DataFolder(tmp_path)


def small_graph(path):
    save_graph(path, build_graph(np.zeros((8, 8, 8), np.uint8), np.repeat(np.uint16([1, 2]), 256).reshape(8, 8, 8)))


def test_a_graph_that_was_measured_meanwhile_changes_nothing(folder):
    before = at_hand(folder, VOLUMES)
    assert VolumeSource(folder).graph(5, None, None).resolution == "full"
    assert folder.graph(5).is_file()
    assert at_hand(folder, VOLUMES) == before


def test_a_graph_that_is_no_good_is_none(folder):
    before = at_hand(folder, VOLUMES)
    folder.graph(6).parent.mkdir()
    folder.graph(6).write_bytes(b"cut short")
    assert at_hand(folder, VOLUMES) == before
    small_graph(folder.graph(6))
    assert at_hand(folder, VOLUMES) != before


@pytest.mark.parametrize("name", ["segmentation.lzma", "metadata.json", "jpg/200.jpg"])
def test_a_raw_file_that_goes_is_noticed_and_one_that_comes_back(folder, name):
    before = at_hand(folder, VOLUMES)
    file = folder.raw(5) / name
    file.rename(folder.root / "away")
    assert at_hand(folder, VOLUMES) != before
    (folder.root / "away").rename(file)
    assert at_hand(folder, VOLUMES) == before


def test_volumes_of_no_task_do_not_count(folder):
    before = at_hand(folder, VOLUMES)
    small_graph(folder.graph(7))
    assert at_hand(folder, VOLUMES) == before
