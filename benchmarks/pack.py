"""What packing costs, beside the plain forms of the same work, measured in the same run.

    python benchmarks/pack.py [FOLDER]

FOLDER holds raw volumes anywhere below it (default: ../shared/data beside the checkout). One-core figures are CPU
seconds of this process, so that other work on the machine does not count; the two-worker figure is wall time and wants
an idle machine.
"""

import lzma
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ewval.core.folder import DataFolder
from ewval.core.packing.pack import pack_volume
from ewval.core.volumes import raw
from ewval.core.volumes.codec import decode_labels, encode
from ewval.core.volumes.downsample import downsample_image, downsample_labels
from ewval.core.volumes.slices import decode_slice
from ewval.core.volumes.store import PackedStore
from ewval.core.workers import dask_executor, process_pool

T = TypeVar("T")
FACTOR = 4
REPEATS = 5
COPIES = 8


def main() -> None:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    volumes = sorted(path.parent for path in source.rglob("segmentation.lzma"))
    if not volumes:
        sys.exit(f"no raw volumes below {source}")
    print(f"{len(volumes)} volumes below {source}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"simplejpeg: {'yes' if raw.simplejpeg else 'no'}")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        loops = label_mode(volumes)
        whole_volume(volumes, loops, scratch / "whole")
        presets(volumes)
        two_workers(volumes, scratch / "workers")
        dask_cluster(volumes, scratch / "dask")
        bombs(volumes[0], scratch / "bombs")
        reading(volumes, scratch / "reading")


def label_mode(volumes: list[Path]) -> list[float]:
    """Return the seconds that the plain loop takes for each volume."""
    print("\n1. label mode 4^3, whole-volume counts included: CPU s, plain loop / ours")
    loops = []
    for volume in volumes:
        labels = raw.read_segmentation(volume)
        expected, loop_s = timed(partial(plain_modes, labels), repeats=1)
        got, ours_s = timed(partial(downsample_labels, labels, factor=FACTOR))
        same = "bit-equal" if np.array_equal(got, expected) else "DIFFERENT"
        print(f"   {volume.name}: {loop_s:6.2f} / {ours_s:.3f} = {loop_s / ours_s:5.0f}x (limit 50x), {same}")
        loops.append(loop_s)
    return loops


def plain_modes(labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The seed system's rule, block by block."""
    sizes = np.bincount(labels.ravel(), minlength=65536)
    modes = np.zeros((64, 64, 64), np.uint16)
    for z, y, x in np.ndindex(64, 64, 64):
        block = labels[4 * z : 4 * z + 4, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
        found, counts = np.unique(block, return_counts=True)
        if found[0] == 0:
            found, counts = found[1:], counts[1:]
        if found.size:
            tied = found[counts == counts.max()]
            modes[z, y, x] = tied[np.argmin(sizes[tied])]  # argmin takes the first, which is the smaller id
    return modes


def whole_volume(volumes: list[Path], loops: list[float], scratch: Path) -> None:
    print("\n2. whole volume: CPU s, seed's way / ours, ours / floor (JPEG, lzma, two encodes, each alone)")
    for volume, loop_s in zip(volumes, loops, strict=True):
        seeds_s = loop_s + timed(partial(seeds_way, volume, scratch), repeats=1)[1]
        floor_s, parts = floor(volume)
        folder = link_raw(scratch / "data", {1: volume})
        _, ours_s = timed(partial(pack_anew, folder, 1))
        print(
            f"   {volume.name}: {seeds_s:5.1f} / {ours_s:.3f} = {seeds_s / ours_s:4.0f}x (limit 30x);"
            f" {ours_s:.3f} / {floor_s:.3f} = {ours_s / floor_s:.2f} (limit 1.7) [{parts}]"
        )
        shutil.rmtree(scratch)


def seeds_way(volume: Path, scratch: Path) -> None:
    """All steps of the 2019 seed system but its label loop: it keeps the full image as a file on the way."""
    scratch.mkdir(parents=True, exist_ok=True)
    image = np.empty((256, 256, 256), np.uint8)
    for z in range(256):
        image[z] = np.asarray(Image.open(volume / "jpg" / f"{z}.jpg"))
    with lzma.open(scratch / "full.lzma", "wb") as stream:
        stream.write(image.tobytes())
    with lzma.open(scratch / "full.lzma") as stream:
        image = np.frombuffer(stream.read(), np.uint8).reshape(256, 256, 256)
    small = np.rint(image.reshape(64, 4, 64, 4, 64, 4).mean(axis=(1, 3, 5))).astype(np.uint8)
    with lzma.open(volume / "segmentation.lzma") as stream:
        labels = np.frombuffer(stream.read(), np.uint16).reshape(256, 256, 256)
    for name, array in (("image", small), ("segmentation", labels[::4, ::4, ::4])):
        with lzma.open(scratch / name, "wb") as stream:
            stream.write(array.tobytes())


def floor(volume: Path) -> tuple[float, str]:
    """Return the seconds of what cannot be left out, each part timed alone."""
    slices = [(volume / "jpg" / f"{z}.jpg").read_bytes() for z in range(256)]
    blob = (volume / "segmentation.lzma").read_bytes()
    image = downsample_image(raw.read_image(volume), factor=FACTOR)
    labels = downsample_labels(raw.read_segmentation(volume), factor=FACTOR)
    seconds = {
        "JPEG": timed(lambda: [decode_slice(jpeg, what="") for jpeg in slices])[1],
        "lzma": timed(lambda: decode_labels(blob, voxels=256**3, what=""))[1],
        "image": timed(lambda: encode(image))[1],
        "labels": timed(lambda: encode(labels))[1],
    }
    return sum(seconds.values()), ", ".join(f"{name} {value:.3f}" for name, value in seconds.items())


def pack_anew(folder: DataFolder, volume: int) -> None:
    clear(folder)
    pack_volume(folder, volume, graph=False)


def presets(volumes: list[Path]) -> None:
    """What the encoder's settings cost in bytes and spare in time, beside the preset of the seed system."""
    images = [downsample_image(raw.read_image(volume), factor=FACTOR) for volume in volumes]
    labels = [downsample_labels(raw.read_segmentation(volume), factor=FACTOR) for volume in volumes]
    print("\n   encoding, a volume: CPU s and bytes beside lzma preset 6")
    totals = []
    for name, call in (("preset 6", lambda array: lzma.compress(array.tobytes())), ("ours", encode)):
        blobs, seconds = timed(lambda call=call: [call(array) for array in images + labels], repeats=2)
        totals.append(sum(map(len, blobs)))
        share = 100 * totals[-1] / totals[0]
        print(f"   {name}: {seconds / len(volumes):.3f} s, {totals[-1] // len(volumes)} bytes, {share:.1f} %")


def two_workers(volumes: list[Path], scratch: Path) -> None:
    copies = dict(enumerate(volumes * COPIES, start=1))
    folder = link_raw(scratch, copies)
    print(f"\n3. {len(copies)} volumes, warm workers: wall s, one / two; load {os.getloadavg()[0]:.1f}")
    seconds = {count: pool_seconds(folder, list(copies), count=count) for count in (1, 2)}
    (one_s, one_peak), (two_s, two_peak) = seconds[1], seconds[2]
    print(f"   {one_s:.1f} / {two_s:.1f} = {one_s / two_s:.2f}x (limit 1.8x); {len(copies) / two_s:.2f} volumes/s")
    print(f"   peak memory of a worker: {max(one_peak, two_peak) / 2**20:.0f} MB (limit 300 MB)")


def pool_seconds(folder: DataFolder, volumes: list[int], *, count: int) -> tuple[float, int]:
    """Return the wall seconds of packing with `count` warm processes, and the largest peak of their memory."""
    clear(folder)
    with process_pool(count) as pool:
        list(pool.map(warm_up, range(8 * count)))
        began = time.perf_counter()
        list(pool.map(partial(pack_volume, folder, graph=False), volumes))
        seconds = time.perf_counter() - began
        return seconds, max(pool.map(peak_bytes, range(4 * count)))


def warm_up(_: int) -> None:
    time.sleep(0.1)  # long enough that every process of the pool gets a turn


def peak_bytes(_: int = 0) -> int:
    time.sleep(0.05)
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def dask_cluster(volumes: list[Path], scratch: Path) -> None:
    try:
        from distributed import LocalCluster
    except ImportError:
        print("\n4. Dask: not installed")
        return
    folder = link_raw(scratch, dict(enumerate(volumes, start=1)))
    digests = []
    with (
        process_pool(2) as pool,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        dask_executor(cluster.scheduler_address) as dask,
    ):
        for executor in (pool, dask):
            clear(folder)
            list(executor.map(partial(pack_volume, folder, graph=False), range(1, len(volumes) + 1)))
            digests.append(contents(folder))
    print(f"\n4. Dask LocalCluster and local processes: {'same bytes' if digests[0] == digests[1] else 'DIFFERENT'}")


def contents(folder: DataFolder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.root.glob("[is]*/*/*.lzma"))}


REFUSED = """
import sys, time
from pathlib import Path
from ewval.core.errors import DataError
from ewval.core.volumes.raw import read_image, read_segmentation
began = time.perf_counter()
try:
    (read_image if sys.argv[1] == "image" else read_segmentation)(Path(sys.argv[2]))
    print("READ")
except DataError as error:
    print(f"refused in {time.perf_counter() - began:.3f} s", end="")
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(f", {int(peak) // 1024} MB in all")
"""


def bombs(volume: Path, scratch: Path) -> None:
    print("\n5. bombs (limits 1 s, 150 MB)")
    (scratch / "jpg").mkdir(parents=True)
    jpeg = (volume / "jpg" / "0.jpg").read_bytes()
    at = jpeg.index(b"\xff\xc0") + 5  # height and width in the frame header
    (scratch / "jpg" / "0.jpg").write_bytes(jpeg[:at] + struct.pack(">HH", 30_000, 30_000) + jpeg[at + 4 :])
    (scratch / "segmentation.lzma").write_bytes(lzma_bomb())
    for kind, name in (("segmentation", "10 GiB lzma"), ("image", "30,000 x 30,000 JPEG")):
        command = [sys.executable, "-c", REFUSED, kind, str(scratch)]
        print(f"   {name}: {subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()}")


def lzma_bomb() -> bytes:
    """Return 1.5 MB that decode to 10 GiB: ten xz streams of 1 GiB, which is one file to `xz -d`."""
    compressor = lzma.LZMACompressor(preset=0)
    zeros = bytes(1 << 24)
    stream = b"".join(compressor.compress(zeros) for _ in range(64)) + compressor.flush()
    return 10 * stream


def reading(volumes: list[Path], scratch: Path) -> None:
    """30 tasks share a volume: a naive loader decodes it for each of them, the store once."""
    folder = link_raw(scratch, dict(enumerate(volumes, start=1)))
    for volume in range(1, len(volumes) + 1):
        pack_volume(folder, volume, graph=False)
    order = [volume for volume in range(1, len(volumes) + 1) for _ in range(30)]
    _, naive_s = timed(lambda: read_all(PackedStore(folder, cache=0), order), repeats=2)
    _, ours_s = timed(lambda: read_all(PackedStore(folder), order), repeats=2)
    per = 1000 / len(order)
    print(f"\n6. reading, 30 tasks a volume: CPU ms a task, {naive_s * per:.2f} / {ours_s * per:.2f}", end="")
    print(f" = {naive_s / ours_s:.0f}x")


def read_all(store: PackedStore, order: list[int]) -> None:
    for volume in order:
        store.check(volume)


def timed(call: Callable[[], T], *, repeats: int = REPEATS) -> tuple[T, float]:
    """Return what `call` returns and its CPU seconds, the least of `repeats`."""
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        result = call()
        seconds.append(time.process_time() - began)
    return result, min(seconds)


def link_raw(root: Path, volumes: dict[int, Path]) -> DataFolder:
    """Return a data folder whose raw volumes are links to `volumes`."""
    folder = DataFolder(root)
    for volume, path in volumes.items():
        folder.raw(volume).parent.mkdir(parents=True, exist_ok=True)
        folder.raw(volume).symlink_to(path)
    return folder


def clear(folder: DataFolder) -> None:
    for name in ("images", "segmentation"):
        shutil.rmtree(folder.root / name, ignore_errors=True)


if __name__ == "__main__":
    main()
