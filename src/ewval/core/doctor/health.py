"""Whether this installation and this data folder are in order, and how to mend what is not."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from ewval.core.errors import DamagedError, DataError, UsageError
from ewval.core.folder import DataFolder
from ewval.core.index.split import read_split
from ewval.core.ledger.ledger import Ledger
from ewval.core.tasks.seed_files import read_rows, read_volumes

State = Literal["ok", "warning", "problem"]
PACKAGES = (
    *("torch", "numpy", "scipy", "scikit-image", "safetensors", "matplotlib", "pillow", "simplejpeg"),
    *("aiohttp", "aiolimiter", "orjson", "pydantic", "platformdirs", "typer", "rich"),
)
EXTRAS = {"cluster": "distributed", "tb": "tensorboard", "view": "neuroglancer"}
GPU_DEVICES = Path("/dev")
LOW_DISK_BYTES = 20 * 10**9
"""The packed data set takes 14 GB; what is being downloaded comes on top."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `detail` says what was seen, `fix` what to do about it."""

    name: str
    state: State
    detail: str
    fix: str = ""

    def __post_init__(self) -> None:
        if self.state != "ok" and not self.fix:
            raise ValueError(f"finding {self.name!r} names a problem without its fix")


def check_versions() -> Iterator[Finding]:
    """Yield the versions of Python and of the packages that ewval needs, and which extras are there."""
    yield Finding("python", "ok", sys.version.split()[0])
    for package in PACKAGES:
        version = _version(package)
        if version is None:
            yield Finding(package, "problem", "not installed", f"pip install {package}")
        else:
            yield Finding(package, "ok", version)
    installed = [extra for extra, package in EXTRAS.items() if _version(package)]
    yield Finding("extras", "ok", ", ".join(installed) or "none installed (cluster, fast, tb, view)")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_device() -> Finding:
    """Return what networks would compute on, as far as it can be told without loading torch, which takes seconds."""
    version = _version("torch") or ""
    gpus = len(list(GPU_DEVICES.glob("nvidia[0-9]*")))
    if not gpus:
        return Finding("device", "ok", f"cpu, {os.cpu_count()} cores (no NVIDIA GPU)")
    count = "1 NVIDIA GPU" if gpus == 1 else f"{gpus} NVIDIA GPUs"
    if version.endswith("+cpu"):
        fix = "install a CUDA build of torch to train networks on it; forests need none"
        return Finding("device", "warning", f"{count}, but torch {version} is built without CUDA", fix)
    return Finding("device", "ok", f"cuda: {count}")


def check_disk(folder: DataFolder) -> Finding:
    """Return how much room the data folder's disk has."""
    existing = next(path for path in (folder.root.absolute(), *folder.root.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / 1e9:.0f} GB free at {existing}"
    if free < LOW_DISK_BYTES:
        return Finding("disk", "warning", detail, "free some space, or fetch with --pack --drop-raw (14 GB, not 500)")
    return Finding("disk", "ok", detail)


def check_token(token: str | None) -> Finding:
    """Return whether a token is set; its value is shown nowhere."""
    if token:
        return Finding("token", "ok", "set")
    return Finding(
        "token",
        "warning",
        "none set, so nothing can be fetched",
        "ask Eyewire for API access (support@eyewire.org, or a developer in the game's chat), then set EWVAL_TOKEN "
        "to the access token, or write it to a file and use --token-file",
    )


def check_folder(folder: DataFolder) -> Iterator[Finding]:
    """Yield the state of each part of the data folder; a folder that is not there yet is no problem."""
    if not folder.root.is_dir():
        yield Finding("data folder", "ok", f"{folder.root} does not exist yet; `ewval fetch` makes it")
        return
    raw, packed = (_count(folder.root / name) for name in ("raw", "images"))
    yield Finding("data folder", "ok", f"{folder.root}: {raw} raw and {packed} packed volumes")
    if folder.ledger.exists():
        yield _check_ledger(folder.ledger)
    yield from _check_task_files(folder)
    unpaired = _holding(folder.root, "images/*/image.lzma") ^ _holding(folder.root, "segmentation/*/segmentation.lzma")
    if unpaired:
        detail = f"{len(unpaired)} have only an image or only a segmentation, such as {min(unpaired)}"
        fix = "run the same `ewval fetch` again, which downloads those whose raw files are gone, then `ewval pack`"
        yield Finding("packed volumes", "problem", detail, fix)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()


def _holding(root: Path, pattern: str) -> set[str]:
    return {path.parent.name for path in root.glob(pattern)}


def _count(folder: Path) -> int:
    return len(_names(folder))


def _check_ledger(path: Path) -> Finding:
    try:
        with closing(Ledger.open_existing(path)) as ledger:
            states = ledger.count_tasks()
    except DamagedError as error:
        fix = f"move {path} away and run `ewval fetch` again; complete files are not fetched twice"
        return Finding("ledger", "problem", str(error), fix)
    except UsageError as error:
        return Finding(
            "ledger", "problem", str(error), "check that you may read it and that no other program has it open"
        )
    counts = ", ".join(f"{count} {state}" for state, count in states.items()) or "no tasks"
    if states.get("failed"):
        return Finding("ledger", "warning", counts, "run the same `ewval fetch` again; failed.txt says why each failed")
    return Finding("ledger", "ok", counts)


def _check_task_files(folder: DataFolder) -> Iterator[Finding]:
    """Yield whether the files that `ewval index` writes hold what they should."""
    checks: dict[Path, Callable[[], object]] = {
        folder.task_vol: lambda: read_volumes(folder.task_vol),
        folder.task_data: lambda: read_rows(folder.task_data),
        folder.split: lambda: read_split(folder),
    }
    for path, read in checks.items():
        if path.exists():
            # The ledger says again what stood in the task files, and the split is only ever written.
            from_where = (
                "" if folder.ledger.exists() or path == folder.split else "fetch its tasks with `ewval fetch`, "
            )
            yield _check_file(path, read, fix=f"move {path} away, {from_where}then run `ewval index` again")


def _check_file(path: Path, read: Callable[[], object], *, fix: str) -> Finding:
    try:
        read()
    except (DataError, OSError) as error:
        return Finding(path.name, "problem", str(error), fix)
    return Finding(path.name, "ok", f"{path.stat().st_size / 1e6:.1f} MB")
