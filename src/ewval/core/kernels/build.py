"""Compiles the kernels while the package is built or installed; by hand, `python -m ewval.core.kernels.build`.

Needs nothing but the standard library, since it runs before anything is installed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["build", "library_name"]

HERE = Path(__file__).parent
# No fused multiply-add: numpy rounds after each step, and the bits must be the same. No option for the machine at
# hand: a wheel is used on others.
OPTIONS = ("-O3", "-std=c11", "-fPIC", "-shared", "-ffp-contract=off")
TIMEOUT_S = 120


def library_name(folder: Path = HERE) -> str:
    """Return the library's file name, which holds a digest of its source: one built from other source is not taken."""
    digest = hashlib.sha256()
    for path in _sources(folder, "*.[ch]"):
        digest.update(path.read_bytes())
    return f"_kernels_{digest.hexdigest()[:12]}.so"


def build(folder: Path = HERE, *, into: Path | None = None) -> Path | None:
    """Compile the kernels of `folder` and return the library; None where no C compiler serves."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or sys.platform == "win32" or sys.byteorder == "big":  # eight marks are read as one number
        return None
    target = (into or folder) / library_name(folder)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    command = [compiler, *OPTIONS, *map(str, _sources(folder, "*.c")), "-o", str(partial)]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        partial.unlink(missing_ok=True)
        return None
    partial.replace(target)
    for older in target.parent.glob("_kernels_*.so"):
        if older != target:
            older.unlink(missing_ok=True)
    return target


def _sources(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


if __name__ == "__main__":
    sys.exit(0 if build() else "no C compiler, or it failed: numpy does all the work")
