"""Files that are either whole or not there."""

import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ewval.core.errors import DiskFullError, WriteError
from ewval.core.storage.files import make_folder, remove_folder, replacing, sweep, write_atomically

needs_permissions = pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")


def test_the_content_arrives_whole_in_a_new_folder(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b", b"content")
    assert (tmp_path / "a" / "b").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def fail_half_way() -> None:
        with replacing(target) as temporary:
            temporary.write_bytes(b"ne")
            raise OSError(errno.ENOSPC, "disk full")

    with pytest.raises(DiskFullError, match=r"cannot write .*file: No space left on device; free some room in /"):
        fail_half_way()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_others_may_read_the_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    write_atomically(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode & 0o044 == 0o044


@needs_permissions
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
@pytest.mark.parametrize(
    ("of_folder", "of_file", "of_subfolder"),
    [
        (0o2775, 0o664, 0o2775),
        (0o2770, 0o660, 0o2770),
        (0o775, 0o664, 0o775),
        (0o755, 0o644, 0o755),
        (0o750, 0o640, 0o750),
        (0o700, 0o600, 0o700),
        (0o777, 0o664, 0o775),
    ],
)
def test_files_and_folders_take_the_permissions_of_their_folder(
    tmp_path: Path, umask: int, of_folder: int, of_file: int, of_subfolder: int
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(of_folder)
    before = os.umask(umask)
    try:
        write_atomically(folder / "a", b"")
        write_atomically(folder / "b" / "c" / "d", b"")
    finally:
        os.umask(before)
    found = [stat.S_IMODE((folder / name).stat().st_mode) for name in ("a", "b", "b/c", "b/c/d")]
    assert found == [of_file, of_subfolder, of_subfolder, of_file]


@needs_permissions
def test_a_folder_where_all_keep_to_their_own_hands_nothing_down(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a" / "b", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o640


def test_an_error_about_another_file_is_not_said_of_this_one(tmp_path: Path) -> None:
    def copy() -> None:
        with replacing(tmp_path / "file") as temporary:
            shutil.copyfile(tmp_path / "none", temporary)

    with pytest.raises(FileNotFoundError, match="none"):
        copy()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("in_the_way", ["file", "folder"])
def test_what_stands_in_the_way_is_named(tmp_path: Path, in_the_way: str) -> None:
    target = tmp_path / "a" / "b"
    if in_the_way == "file":
        (tmp_path / "a").write_bytes(b"")
    else:
        (target / "c").mkdir(parents=True)
    with pytest.raises(WriteError, match=r"cannot write .*a/b: (File exists|Not a directory|Is a directory)"):
        write_atomically(target, b"")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that nobody can write")
def test_a_file_system_that_nobody_writes_is_named() -> None:
    with pytest.raises(WriteError, match="cannot write /proc/ewval/file: "):
        write_atomically(Path("/proc/ewval/file"), b"")


@needs_permissions
def test_a_limit_on_the_size_of_files_is_said(tmp_path: Path) -> None:
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from ewval.core.storage.arrays import write_arrays; import numpy as np\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "write_arrays(Path(sys.argv[1]), {'a': np.arange(100_000)})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "file")], capture_output=True, text=True, check=False
    )
    assert f"WriteError: cannot write {tmp_path / 'file'}: File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_only_what_no_living_process_writes_is_swept(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / ".file.abc.incomplete").write_bytes(b"of an older version")
    with replacing(tmp_path / "file") as mine:
        (tmp_path / mine.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")).write_bytes(b"of a run that was killed")
        (tmp_path / mine.name.replace(f"-{os.getpid()}-", "-1-")).write_bytes(b"of another user")
        sweep(tmp_path, "other")
        assert len(list(tmp_path.iterdir())) == 4
        sweep(tmp_path)
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {mine.name, mine.name.replace(f"-{os.getpid()}-", "-1-")}
        mine.write_bytes(b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_two_may_write_the_same_file(tmp_path: Path) -> None:
    with replacing(tmp_path / "file") as first:
        with replacing(tmp_path / "file") as second:
            second.write_bytes(b"second")
        first.write_bytes(b"first")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_of_a_link_to_a_folder_the_link_alone_is_removed(tmp_path: Path) -> None:
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("link", "dangling", "none"):
        remove_folder(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["real"]
    assert (tmp_path / "real" / "inner").is_dir()
    remove_folder(tmp_path / "real")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_may_be_made_twice(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert socket.gethostname() not in str(list(tmp_path.rglob("*")))
