"""Raw volumes to packed ones and their segment graphs: one volume is one call, run by any executor."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import CUBE_EDGE, FACTOR
from ewval.core.errors import MissingError, UsageError, WriteError
from ewval.core.folder import DataFolder
from ewval.core.graph.graph import build_graph, has_graph, load_graph, save_graph
from ewval.core.progress import SILENT, Progress
from ewval.core.storage.files import remove_folder, replacing, sweep, writing
from ewval.core.volumes.codec import encode
from ewval.core.volumes.downsample import check_factor, downsample_image, downsample_labels
from ewval.core.volumes.raw import read_image, read_segmentation
from ewval.core.volumes.store import PackedStore, packed_edge, packed_volumes, volume_ids
from ewval.core.workers import Failure, Workers

Then = Callable[[DataFolder, int, NDArray[np.uint16] | None], None]
"""Done with a volume that is packed: its id, and its segmentation at full resolution where that was read just now."""


@dataclass(frozen=True, slots=True)
class PackResult:
    """One volume that is packed now, and has its graph where that was asked for.

    Args:
        volume: Its id.
        bytes: Written for its packed files and its graph, 0 where all of it was there.
        graph_bytes: Those of the graph.
    """

    volume: int
    bytes: int
    graph_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PackRequest:
    """What to pack.

    Args:
        folder: The data folder.
        volumes: Volume ids; None: every raw volume.
        factor: Raw voxels per packed voxel along each edge: 1, 2, 4 or 8.
        graph: Measure each volume's segment graph, too.
        drop_raw: Delete what was downloaded of a volume once it is packed.
        workers: Where the volumes are packed.
    """

    folder: DataFolder
    volumes: Sequence[int] | None = None
    factor: int = FACTOR
    graph: bool = True
    drop_raw: bool = False
    workers: Workers = field(default_factory=Workers)

    def __post_init__(self) -> None:
        check_factor(self.factor)


@dataclass(frozen=True, slots=True)
class PackSummary:
    """What came of a request.

    Args:
        done: The volumes that were packed, or gained a graph, in the order in which that ended.
        skipped: How many had all of it before.
        failed: Volumes that could not be packed.
        bytes: Written in all.
        seconds: Wall time.
        graphs: How many graphs were measured.
        graph_bytes: Written for them.
        without_graph: Volumes that are packed and have neither a graph nor the raw files to measure it in.
    """

    done: tuple[int, ...]
    skipped: int
    failed: tuple[Failure, ...]
    bytes: int
    seconds: float
    graphs: int = 0
    graph_bytes: int = 0
    without_graph: tuple[int, ...] = ()


def pack(request: PackRequest, *, progress: Progress = SILENT) -> PackSummary:
    """Pack the volumes that are asked for and not packed yet; one that fails does not stop the others.

    Raises:
        UsageError: The folder holds volumes that were packed with another factor.
        WriteError: A file cannot be written, so that no other could.
        ExtraError: A Dask cluster is asked for and Dask is not installed.
        SchedulerError: No Dask scheduler answers.
    """
    began = time.monotonic()
    # Workers elsewhere have another current directory.
    request = replace(request, folder=DataFolder(request.folder.root.absolute()))
    folder = request.folder
    _check_factor(folder, factor=request.factor)
    if request.drop_raw:
        _sweep_dropped(folder)
    volumes = raw_volumes(folder) if request.volumes is None else sorted(set(request.volumes))
    call = partial(pack_volume, folder, factor=request.factor, graph=request.graph, drop_raw=request.drop_raw)
    unfinished = [volume for volume in volumes if _is_unfinished(request, volume)]
    results, failed = request.workers.collect(call, unfinished, progress=progress, ends_at=WriteError)
    done = tuple(result.volume for result in results if result.bytes)
    return PackSummary(
        done=done,
        skipped=len(volumes) - len(done) - len(failed),
        failed=failed,
        bytes=sum(result.bytes for result in results),
        seconds=time.monotonic() - began,
        graphs=sum(result.graph_bytes > 0 for result in results),
        graph_bytes=sum(result.graph_bytes for result in results),
        without_graph=_without_graph(folder, request.volumes) if request.graph else (),
    )


def _is_unfinished(request: PackRequest, volume: int) -> bool:
    """Tell whether a volume is not packed, could gain its graph, or has raw files that are to be dropped."""
    folder = request.folder
    if not folder.is_packed(volume):
        return True
    raw = folder.raw(volume)
    if request.drop_raw and (raw.is_dir() or raw.is_symlink()):
        return True
    return raw.is_dir() and request.graph and not has_graph(folder.graph(volume))


def _without_graph(folder: DataFolder, volumes: Sequence[int] | None) -> tuple[int, ...]:
    asked = packed_volumes(folder) if volumes is None else sorted(set(volumes))
    packed = [volume for volume in asked if folder.is_packed(volume)]
    return tuple(v for v in packed if not folder.raw(v).is_dir() and not has_graph(folder.graph(v)))


def raw_volumes(folder: DataFolder) -> list[int]:
    """Return the ids of the volumes under `folder`/raw, ascending."""
    return volume_ids(folder.root / "raw")


def pack_volume(
    folder: DataFolder, volume: int, *, factor: int = FACTOR, graph: bool = True, drop_raw: bool = False
) -> PackResult:
    """Pack one raw volume and measure its graph, unless that is done; a crash at any moment leaves no half file.

    Raises:
        MissingError: The raw volume, or a file of it, is not there.
        DamagedError: A file does not hold what it should.
        UnsupportedError: It is no 256^3 volume of the mouse data set.
    """
    return _pack_raw(folder, _Raw(folder, volume), factor=factor, graph=graph, drop_raw=drop_raw)


def _pack_raw(folder: DataFolder, raw: "_Raw", *, factor: int, graph: bool, drop_raw: bool) -> PackResult:
    volume = raw.volume
    try:
        return _packed_once(folder, raw, factor=factor, graph=graph, drop_raw=drop_raw)
    except (MissingError, FileNotFoundError):
        # Another run may have packed it and dropped its raw files meanwhile.
        if not folder.is_packed(volume) or (graph and not has_graph(folder.graph(volume))):
            raise
        return PackResult(volume, 0)


def pack_and_then(
    folder: DataFolder,
    volume: int,
    *,
    graph: bool,
    drop_raw: bool,
    then: Then | None = None,
) -> None:
    """Pack one raw volume, do `then` with it, and only then drop its raw files; raises as `pack_volume`."""
    if then is not None:
        raw = _Raw(folder, volume)
        _pack_raw(folder, raw, factor=FACTOR, graph=graph, drop_raw=False)
        then(folder, volume, raw.labels_read)
    if then is None or drop_raw:
        pack_volume(folder, volume, graph=graph, drop_raw=drop_raw)


def _packed_once(folder: DataFolder, raw: "_Raw", *, factor: int, graph: bool, drop_raw: bool) -> PackResult:
    volume, store = raw.volume, PackedStore(folder, edge=CUBE_EDGE // factor)
    is_packed, has_its_graph = store.has(volume), has_graph(folder.graph(volume))
    measured = 0 if has_its_graph or not graph else _measure(folder.graph(volume), raw)
    written = 0 if is_packed else _pack(folder, raw, factor=factor)
    if drop_raw:
        # What replaces the raw files has to be whole.
        if is_packed:
            store.check(volume)
        if has_its_graph and graph:
            load_graph(folder.graph(volume))
        _drop(folder.raw(volume))
    return PackResult(volume, written + measured, measured)


class _Raw:
    """The arrays of a raw volume, each read once and only when it is asked for."""

    def __init__(self, folder: DataFolder, volume: int) -> None:
        self.volume, self._path = volume, folder.raw(volume)

    @cached_property
    def labels(self) -> NDArray[np.uint16]:
        """The segmentation, uint16 256^3."""
        if not self._path.is_dir():
            raise MissingError(f"volume {self.volume}", hint="`ewval fetch` downloads the volumes of tasks and cells")
        return read_segmentation(self._path)

    @property
    def labels_read(self) -> NDArray[np.uint16] | None:
        """The segmentation where somebody has asked for it."""
        return self.__dict__.get("labels")

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The image, uint8 256^3."""
        # The segmentation comes first, with metadata.json: others are refused before 256 files are read.
        _ = self.labels
        return read_image(self._path)


def _measure(path: Path, raw: _Raw) -> int:
    sweep(path.parent, path.name)
    save_graph(path, build_graph(raw.image, raw.labels))
    return path.stat().st_size


def _pack(folder: DataFolder, raw: _Raw, *, factor: int) -> int:
    segmentation = encode(downsample_labels(raw.labels, factor=factor))
    image = encode(downsample_image(raw.image, factor=factor))
    _write(folder, raw.volume, image=image, segmentation=segmentation)
    return len(image) + len(segmentation)


def _write(folder: DataFolder, volume: int, *, image: bytes, segmentation: bytes) -> None:
    """Write both files; the segmentation appears last, and a volume counts as packed only with both."""
    sweep(folder.image(volume).parent)
    sweep(folder.segmentation(volume).parent)
    with (
        replacing(folder.segmentation(volume)) as segmentation_path,
        replacing(folder.image(volume)) as image_path,
    ):
        segmentation_path.write_bytes(segmentation)
        image_path.write_bytes(image)


def _drop(raw: Path) -> None:
    """Delete a raw volume; the rename first, so that a crash leaves no raw volume with files missing.

    Of a link to a folder elsewhere the link alone goes.
    """
    dropped = raw.with_name(f".{raw.name}.dropped")
    with writing(raw):
        remove_folder(dropped)
        if raw.is_symlink():
            raw.unlink(missing_ok=True)
            return
        with suppress(FileNotFoundError):  # another process drops it as well
            raw.rename(dropped)
        remove_folder(dropped)


def _sweep_dropped(folder: DataFolder) -> None:
    """Delete what a run that was killed while deleting has left."""
    for leftover in folder.raw(0).parent.glob(".*.dropped"):
        with writing(leftover):
            remove_folder(leftover)


def _check_factor(folder: DataFolder, *, factor: int) -> None:
    """Refuse to mix factors in one folder; its first packed volume stands for all."""
    for volume in packed_volumes(folder)[:1]:
        edge = packed_edge(folder, volume)
        if edge is not None and edge != CUBE_EDGE // factor:
            raise UsageError(
                f"{folder.root} holds volumes packed with factor {CUBE_EDGE // edge};"
                f" use that, or another data folder for factor {factor}"
            )
