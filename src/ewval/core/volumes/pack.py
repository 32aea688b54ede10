"""Raw volumes to packed ones: one volume is one call, run by any executor."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ewval.core.constants import CUBE_EDGE, FACTOR
from ewval.core.errors import MissingError, UsageError
from ewval.core.folder import DataFolder
from ewval.core.progress import SILENT, Progress
from ewval.core.storage.files import replacing
from ewval.core.volumes.codec import encode
from ewval.core.volumes.downsample import check_factor, downsample_image, downsample_labels
from ewval.core.volumes.raw import read_image, read_segmentation
from ewval.core.volumes.store import PackedStore, packed_edge, packed_volumes, volume_ids
from ewval.core.workers import Failure, Workers


@dataclass(frozen=True, slots=True)
class PackResult:
    """One volume that is packed now; `bytes` were written for it, 0 where it was packed before."""

    volume: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PackRequest:
    """What to pack.

    Args:
        folder: The data folder.
        volumes: Volume ids; None: every raw volume.
        factor: Raw voxels per packed voxel along each edge: 1, 2, 4 or 8.
        drop_raw: Delete what was downloaded of a volume once it is packed.
        workers: Where the volumes are packed.
    """

    folder: DataFolder
    volumes: Sequence[int] | None = None
    factor: int = FACTOR
    drop_raw: bool = False
    workers: Workers = field(default_factory=Workers)

    def __post_init__(self) -> None:
        check_factor(self.factor)


@dataclass(frozen=True, slots=True)
class PackSummary:
    """What came of a request.

    Args:
        done: The volumes that were packed, in the order in which that ended.
        skipped: How many were packed before.
        failed: Volumes that could not be packed.
        bytes: Written in all.
        seconds: Wall time.
    """

    done: tuple[int, ...]
    skipped: int
    failed: tuple[Failure, ...]
    bytes: int
    seconds: float


def pack(request: PackRequest, *, progress: Progress = SILENT) -> PackSummary:
    """Pack the volumes that are asked for and not packed yet; one that fails does not stop the others.

    Raises:
        UsageError: The folder holds volumes that were packed with another factor.
        ExtraError: A Dask cluster is asked for and Dask is not installed.
        SchedulerError: No Dask scheduler answers.
    """
    began = time.monotonic()
    folder = DataFolder(request.folder.root.absolute())  # workers elsewhere have another current directory
    _check_factor(folder, factor=request.factor)
    if request.drop_raw:
        _sweep_dropped(folder)
    volumes = raw_volumes(folder) if request.volumes is None else sorted(set(request.volumes))
    call = partial(pack_volume, folder, factor=request.factor, drop_raw=request.drop_raw)
    unfinished = _unfinished(folder, volumes, drop_raw=request.drop_raw)
    results, failed = request.workers.collect(call, unfinished, progress=progress)
    done = tuple(result.volume for result in results if result.bytes)
    return PackSummary(
        done=done,
        skipped=len(volumes) - len(done) - len(failed),
        failed=failed,
        bytes=sum(result.bytes for result in results),
        seconds=time.monotonic() - began,
    )


def _unfinished(folder: DataFolder, volumes: Sequence[int], *, drop_raw: bool) -> list[int]:
    """Return the volumes that are not packed, and those whose raw files are still to be dropped."""
    store = PackedStore(folder)
    return [volume for volume in volumes if not store.has(volume) or (drop_raw and folder.raw(volume).is_dir())]


def raw_volumes(folder: DataFolder) -> list[int]:
    """Return the ids of the volumes under `folder`/raw, ascending."""
    return volume_ids(folder.root / "raw")


def pack_volume(folder: DataFolder, volume: int, *, factor: int = FACTOR, drop_raw: bool = False) -> PackResult:
    """Pack one raw volume, unless that is done; a crash at any moment leaves no half volume.

    Raises:
        MissingError: The raw volume, or a file of it, is not there.
        DamagedError: A file does not hold what it should.
        UnsupportedError: It is no 256^3 volume of the mouse data set.
    """
    store = PackedStore(folder, edge=CUBE_EDGE // factor)
    if store.has(volume):
        written = 0
        if drop_raw:  # what replaces the raw files has to be whole
            store.check(volume)
    else:
        written = _pack(folder, volume, factor=factor)
    if drop_raw:
        _drop(folder.raw(volume))
    return PackResult(volume, written)


def _pack(folder: DataFolder, volume: int, *, factor: int) -> int:
    raw = folder.raw(volume)
    if not raw.is_dir():
        raise MissingError(f"volume {volume}", hint="`ewval fetch` downloads the volumes of tasks and cells")
    # The segmentation comes first, with metadata.json: a volume of another kind is refused before 256 files are read.
    segmentation = encode(downsample_labels(read_segmentation(raw), factor=factor))
    image = encode(downsample_image(read_image(raw), factor=factor))
    _write(folder, volume, image=image, segmentation=segmentation)
    return len(image) + len(segmentation)


def _write(folder: DataFolder, volume: int, *, image: bytes, segmentation: bytes) -> None:
    """Write both files; the segmentation appears last, and a volume counts as packed only with both."""
    _sweep(folder.image(volume).parent)
    _sweep(folder.segmentation(volume).parent)
    with (
        replacing(folder.segmentation(volume)) as segmentation_path,
        replacing(folder.image(volume)) as image_path,
    ):
        segmentation_path.write_bytes(segmentation)
        image_path.write_bytes(image)


def _sweep(parent: Path) -> None:
    """Remove what a killed run left half-written."""
    for leftover in parent.glob(".*.incomplete"):
        leftover.unlink(missing_ok=True)


def _drop(raw: Path) -> None:
    """Delete a raw volume; the rename first, so that a crash leaves no raw volume with files missing."""
    if not raw.is_dir():
        return
    dropped = raw.with_name(f".{raw.name}.dropped")
    shutil.rmtree(dropped, ignore_errors=True)
    raw.rename(dropped)
    shutil.rmtree(dropped)


def _sweep_dropped(folder: DataFolder) -> None:
    """Delete what a run that was killed while deleting has left."""
    for leftover in folder.raw(0).parent.glob(".*.dropped"):
        shutil.rmtree(leftover)


def _check_factor(folder: DataFolder, *, factor: int) -> None:
    """Refuse to mix factors in one folder; its first packed volume stands for all."""
    for volume in packed_volumes(folder)[:1]:
        edge = packed_edge(folder, volume)
        if edge is not None and edge != CUBE_EDGE // factor:
            raise UsageError(
                f"{folder.root} holds volumes packed with --factor {CUBE_EDGE // edge};"
                f" use that, or another data folder for --factor {factor}"
            )
