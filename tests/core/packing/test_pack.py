"""Packing: exact, resumable, and never half done."""

import lzma
import shutil
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from ewval.core.errors import DamagedError, MissingError, UnsupportedError, UsageError
from ewval.core.folder import DataFolder
from ewval.core.graph.graph import build_graph, load_graph
from ewval.core.packing.pack import PackRequest, PackSummary, pack, pack_and_then, pack_volume
from ewval.core.volumes.raw import read_image, read_segmentation
from ewval.core.volumes.store import PackedStore
from ewval.core.workers import Workers
from raw_volumes import METADATA, make_labels, write_seed_system_folder

INLINE = Workers(1)


@pytest.fixture
def folder(tmp_path: Path, raw_volume: Path) -> DataFolder:
    """A data folder of one raw volume, 5."""
    folder = DataFolder(tmp_path / "data")
    add_raw(folder, raw_volume, 5)
    return folder


def add_raw(folder: DataFolder, raw_volume: Path, *volumes: int) -> None:
    for volume in volumes:
        shutil.copytree(raw_volume, folder.raw(volume))


def files(root: Path) -> dict[str, bytes]:
    """Every packed file and leftover under `root`, by its path."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for name in ("images", "segmentation", "graphs")
        for path in (root / name).rglob("*")
        if path.is_file()
    }


def run(folder: DataFolder, *volumes: int, **options: object) -> PackSummary:
    return pack(PackRequest(folder, volumes or None, **({"workers": INLINE} | options)))


def test_packed_volumes_equal_those_of_the_seed_system(folder: DataFolder, raw_volume: Path, tmp_path: Path) -> None:
    write_seed_system_folder(tmp_path / "seed", raw_volume, volume=5)
    expected, got = PackedStore(DataFolder(tmp_path / "seed")), PackedStore(folder)
    result = pack_volume(folder, 5)
    assert np.array_equal(got.image(5), expected.image(5))
    assert np.array_equal(got.segmentation(5), expected.segmentation(5))
    assert result.bytes == sum(map(len, files(folder.root).values()))


def test_packed_files_open_the_way_the_seed_system_opens_them(folder: DataFolder) -> None:
    pack_volume(folder, 5)
    with lzma.open(folder.image(5)) as stream:
        assert len(stream.read()) == 64**3
    with lzma.open(folder.segmentation(5)) as stream:
        assert len(stream.read()) == 2 * 64**3


@pytest.mark.parametrize("factor", [1, 2, 8])
def test_other_factors_pack_to_other_edges(folder: DataFolder, factor: int) -> None:
    pack_volume(folder, 5, factor=factor)
    store = PackedStore(folder, edge=256 // factor)
    assert store.image(5).shape == store.segmentation(5).shape == (256 // factor,) * 3


def test_what_is_packed_is_skipped(folder: DataFolder, raw_volume: Path) -> None:
    first = run(folder)
    before = files(folder.root)
    add_raw(folder, raw_volume, 6)
    second, third = run(folder), run(folder)
    assert (first.done, first.skipped, first.failed) == ((5,), 0, ())
    assert (second.done, second.skipped) == ((6,), 1)
    assert (third.done, third.skipped, third.bytes) == ((), 2, 0)
    assert before.items() <= files(folder.root).items()


def test_two_processes_pack_to_the_same_bytes(folder: DataFolder, raw_volume: Path) -> None:
    add_raw(folder, raw_volume, 6)
    run(folder)
    alone = files(folder.root)
    for name in ("images", "segmentation", "graphs"):
        shutil.rmtree(folder.root / name)
    assert set(run(folder, workers=Workers(2)).done) == {5, 6}
    assert files(folder.root) == alone


def test_a_dask_cluster_packs_to_the_same_bytes(folder: DataFolder, raw_volume: Path) -> None:
    distributed = pytest.importorskip("distributed")
    add_raw(folder, raw_volume, 6, 7)
    (folder.raw(7) / "segmentation.lzma").write_bytes(b"?")
    run(folder)
    alone = files(folder.root)
    for name in ("images", "segmentation", "graphs"):
        shutil.rmtree(folder.root / name)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster:
        summary = run(folder, workers=Workers(dask=cluster.scheduler_address))
    assert files(folder.root) == alone
    assert set(summary.done) == {5, 6}
    (failure,) = summary.failed
    assert failure.item == 7
    assert isinstance(failure.error, DamagedError)


def test_a_damaged_volume_is_named_and_the_others_go_on(folder: DataFolder, raw_volume: Path) -> None:
    add_raw(folder, raw_volume, 4, 6)
    (folder.raw(4) / "jpg" / "9.jpg").write_bytes(b"")
    (folder.raw(6) / "segmentation.lzma").unlink()
    summary = run(folder)
    assert summary.done == (5,)
    assert {failure.item: type(failure.error) for failure in summary.failed} == {4: DamagedError, 6: MissingError}
    assert all(f"/raw/{failure.item}/" in str(failure.error) for failure in summary.failed)
    assert not any("/4/" in path or "/6/" in path for path in files(folder.root))


def test_a_volume_that_was_never_fetched_is_named(folder: DataFolder) -> None:
    summary = run(folder, 5, 99)
    assert summary.done == (5,)
    assert str(summary.failed[0].error).startswith("volume 99 not found; `ewval fetch` downloads")


def test_a_volume_of_another_kind_is_refused_before_its_slices_are_read(folder: DataFolder) -> None:
    shutil.rmtree(folder.raw(5) / "jpg")
    metadata = str(METADATA | {"physical_offset_max": [466 + 2048, 754, 562]}).replace("'", '"')
    (folder.raw(5) / "metadata.json").write_text(metadata)
    with pytest.raises(UnsupportedError, match="a cube of 2048 x 256 x 128 voxels instead of 256 x 256 x 256"):
        pack_volume(folder, 5)


def test_raw_volumes_are_dropped_once_they_are_packed(folder: DataFolder, raw_volume: Path) -> None:
    add_raw(folder, raw_volume, 6)
    (folder.raw(6) / "jpg" / "0.jpg").unlink()
    (folder.root / "raw" / ".4.dropped" / "jpg").mkdir(parents=True)  # a run was killed while deleting
    run(folder, drop_raw=True)
    assert not folder.raw(5).exists()
    assert folder.raw(6).is_dir()
    assert [path.name for path in (folder.root / "raw").iterdir()] == ["6"]
    assert run(folder, 5, drop_raw=True).skipped == 1


def test_raw_volumes_packed_before_are_dropped_only_where_the_packed_ones_are_whole(
    folder: DataFolder, raw_volume: Path
) -> None:
    add_raw(folder, raw_volume, 6)
    run(folder)
    folder.image(6).write_bytes(folder.image(6).read_bytes()[:-1])
    summary = run(folder, drop_raw=True)
    assert (summary.done, summary.skipped) == ((), 1)
    assert [failure.item for failure in summary.failed] == [6]
    assert not folder.raw(5).exists()
    assert folder.raw(6).is_dir()


def test_what_follows_the_packing_has_the_segmentation_that_was_read_for_it(folder: DataFolder) -> None:
    given: list[np.ndarray | None] = []
    expected = read_segmentation(folder.raw(5))
    for _ in range(2):
        pack_and_then(folder, 5, graph=True, drop_raw=False, then=lambda *volume: given.append(volume[2]))
    np.testing.assert_array_equal(given[0], expected)
    assert given[1] is None  # it was packed before


def test_two_factors_in_one_folder_are_refused(folder: DataFolder) -> None:
    run(folder, factor=8)
    with pytest.raises(UsageError, match="holds volumes packed with factor 8; use that, or another data folder"):
        run(folder)


def test_a_factor_that_makes_no_sense_is_refused(folder: DataFolder) -> None:
    with pytest.raises(UsageError, match="factor 3 is none of 1, 2, 4, 8"):
        run(folder, factor=3)


def test_half_a_volume_is_packed_again_and_leftovers_go(folder: DataFolder) -> None:
    pack_volume(folder, 5)
    whole = files(folder.root)
    folder.segmentation(5).unlink()
    (folder.image(5).parent / ".image.lzma.abc.incomplete").write_bytes(b"half")
    assert run(folder).done == (5,)
    assert files(folder.root) == whole


KILLED_AT_STEP = """
import os, signal, sys
from pathlib import Path
from ewval.core.folder import DataFolder
from ewval.core.graph.graph import build_graph, load_graph
from ewval.core.packing.pack import pack_volume

steps = iter(range(100))

def dying(call):
    def step(*args):
        if next(steps) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args)
    return step

os.fsync, os.replace = dying(os.fsync), dying(os.replace)
pack_volume(DataFolder(Path(sys.argv[1])), 5)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX only")
@pytest.mark.parametrize("step", range(6))  # three files, each synced and then moved to its place
def test_a_run_that_is_killed_leaves_no_half_volume_and_the_next_one_finishes(folder: DataFolder, step: int) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED_AT_STEP, str(folder.root), str(step)])
    assert killed.returncode == -signal.SIGKILL
    assert not PackedStore(folder).has(5)
    assert run(folder).done == (5,)
    PackedStore(folder).check(5)
    load_graph(folder.graph(5))
    assert len(files(folder.root)) == 3


def test_the_graph_of_a_volume_is_the_one_that_raw_files_give(folder: DataFolder, raw_volume: Path) -> None:
    summary = run(folder, drop_raw=True)
    assert not folder.raw(5).exists()
    assert (summary.graphs, summary.graph_bytes) == (1, folder.graph(5).stat().st_size)
    kept, built = load_graph(folder.graph(5)), build_graph(read_image(raw_volume), make_labels())
    assert all(np.array_equal(getattr(kept, f.name), getattr(built, f.name)) for f in fields(built))


def test_volumes_packed_before_gain_their_graphs_where_raw_files_are_at_hand(
    folder: DataFolder, raw_volume: Path
) -> None:
    add_raw(folder, raw_volume, 6)
    assert run(folder, graph=False).graphs == 0
    shutil.rmtree(folder.raw(6))
    before = files(folder.root)
    summary = run(folder)
    assert (summary.done, summary.skipped, summary.graphs, summary.without_graph) == ((5,), 0, 1, (6,))
    assert before.items() <= files(folder.root).items()
    assert run(folder, graph=False).without_graph == ()


def test_raw_files_stay_where_the_graph_that_replaces_them_is_damaged(folder: DataFolder) -> None:
    run(folder)
    blob = bytearray(folder.graph(5).read_bytes())
    blob[len(blob) // 2] ^= 255
    folder.graph(5).write_bytes(bytes(blob))
    summary = run(folder, drop_raw=True)
    assert [type(failure.error) for failure in summary.failed] == [DamagedError]
    assert folder.raw(5).is_dir()
