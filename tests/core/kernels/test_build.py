"""The kernels compile, are told from those of other source, and are not needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ewval.core.kernels.build import HERE, build, library_name
from ewval.core.kernels.library import address
from kernels_at_hand import require_kernels


def copied(folder: Path) -> Path:
    for path in HERE.glob("*.[ch]"):
        shutil.copy(path, folder)
    return folder


def test_a_change_of_the_source_changes_the_name_of_the_library(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    assert library_name(folder) == library_name()
    with (folder / "forest.h").open("a") as stream:
        stream.write("/* */\n")
    assert library_name(folder) != library_name()


def test_one_library_is_left_after_a_build(tmp_path: Path) -> None:
    require_kernels()
    folder = copied(tmp_path)
    (folder / "_kernels_0123456789ab.so").write_bytes(b"of older source")
    library = build(folder)
    assert library is not None
    assert [path.name for path in folder.glob("*.so")] == [library.name] == [library_name(folder)]


def test_source_that_does_not_compile_leaves_no_library(tmp_path: Path) -> None:
    (tmp_path / "bad.c").write_text("int main(")
    assert build(tmp_path) is None
    assert not list(tmp_path.glob("*_kernels_*"))


def test_no_compiler_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert build(copied(tmp_path)) is None


@pytest.mark.parametrize(("setting", "expected"), [("off", "False"), ("", "True")])
def test_the_environment_leaves_the_kernels_aside(setting: str, expected: str) -> None:
    require_kernels()
    code = "from ewval.core.kernels.library import kernels; print(kernels() is not None)"
    environment = os.environ | {"EWVAL_KERNELS": setting}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_arrays_with_gaps_are_refused() -> None:
    import numpy as np

    with pytest.raises(ValueError, match="contiguous arrays only"):
        address(np.zeros((4, 4))[:, ::2])
