"""A volume as predict needs it, at the best resolution at hand."""

import shutil

import numpy as np
import pytest

from ewval.core.errors import DamagedError
from ewval.core.segments.views import VolumeSource, graph_of_packed, view_volume
from ewval.core.volumes.downsample import downsample_labels
from ewval.core.volumes.raw import read_segmentation
from worlds import write_world


def boxes(edge=32):
    labels = np.ones((edge,) * 3, np.uint16)
    labels[edge // 2 :] = 2
    return labels


def test_without_the_raw_volume_sizes_are_estimates():
    view = view_volume(5, boxes(), full=None)
    assert view.resolution == "packed"
    assert view.sizes[[1, 2]].tolist() == [32**3 * 32, 32**3 * 32]
    assert view.pairs.tolist() == [[1, 2]]


def test_a_segment_that_vanishes_in_the_packed_cube_is_seen_and_touches_what_hides_it():
    full = np.repeat(np.repeat(np.repeat(boxes(8), 4, 0), 4, 1), 4, 2)
    full[1, 1, 1] = 900
    packed = downsample_labels(full, factor=4)
    assert 900 not in packed
    view = view_volume(5, packed, full=full)
    assert view.resolution == "full"
    assert view.sizes[900] == 1
    assert view.pairs.tolist() == [[1, 2], [1, 900]]


@pytest.fixture
def folder(tmp_path, raw_volume):
    folder = write_world(tmp_path, [])
    shutil.copytree(raw_volume, folder.raw(5))
    return folder


def test_the_source_reads_the_raw_volume_once(folder):
    labels = read_segmentation(folder.raw(5))
    packed = downsample_labels(labels, factor=4)
    source = VolumeSource(folder)
    view = source.view(5, packed)
    assert view.resolution == "full"
    assert view.sizes.sum() == np.count_nonzero(labels)
    shutil.rmtree(folder.raw(5))
    assert source.view(5, packed) is view
    assert VolumeSource(folder).view(5, packed).resolution == "packed"


def test_a_segmentation_that_was_read_is_not_read_again(folder):
    labels = read_segmentation(folder.raw(5))
    shutil.rmtree(folder.raw(5))
    source = VolumeSource(folder)
    source.take_labels(5, labels)
    view = source.view(5, downsample_labels(labels, factor=4))
    assert view.resolution == "full"
    assert view.sizes.sum() == np.count_nonzero(labels)


def test_the_source_leaves_raw_alone_when_told_to(folder):
    packed = downsample_labels(read_segmentation(folder.raw(5)), factor=4)
    source = VolumeSource(folder, full_resolution=False)
    assert source.view(5, packed).resolution == "packed"
    assert source.image(5) is None
    assert source.graph(5, np.zeros((64,) * 3, np.uint8), packed).resolution == "packed"


def test_a_damaged_raw_segmentation_is_named(folder):
    (folder.raw(5) / "segmentation.lzma").write_bytes(b"nothing")
    with pytest.raises(DamagedError, match=r"raw/5/segmentation\.lzma is damaged"):
        VolumeSource(folder).view(5, np.ones((64,) * 3, np.uint16))


def test_a_graph_that_was_kept_is_read_again_and_a_broken_one_is_not(folder):
    packed = downsample_labels(boxes(256), factor=4)
    image = np.full((64,) * 3, 100, np.uint8)
    small = graph_of_packed(image, packed)
    assert small.voxels.tolist() == [256**3 // 2] * 2
    folder.graph(5).parent.mkdir()
    from ewval.core.graph.graph import save_graph

    save_graph(folder.graph(5), small.graph)
    kept = VolumeSource(folder).graph(5, image, packed)
    assert (kept.resolution, kept.graph.ids.tolist()) == ("full", [1, 2])
    shutil.rmtree(folder.raw(5))
    folder.graph(5).write_bytes(b"no graph")
    assert VolumeSource(folder).graph(5, image, packed).resolution == "packed"
