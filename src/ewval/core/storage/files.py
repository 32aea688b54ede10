"""Files that are either whole or not there, with the permissions of the folder that they lie in."""

import errno
import hashlib
import os
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from ewval.core.errors import DiskFullError, WriteError

INCOMPLETE = ".incomplete"
FULL = (errno.ENOSPC, errno.EDQUOT)
ONLY_WRITING = (*FULL, errno.EROFS, errno.EFBIG)
"""What no reading is refused with."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there, synced, once the block ends without an error.

    A crash at any moment leaves the old file or the new one, never a part of either. Others may write the same file
    meanwhile: each has a temporary file of its own, and the last one counts.

    Raises:
        WriteError: It cannot be written; what the block raises about other files is left as it is.
    """
    temporary = path.with_name(f".{path.name}.{_owner()}-{secrets.token_hex(4)}{INCOMPLETE}")
    try:
        with writing(path, temporary, path.parent):
            make_folder(path.parent)
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            share(temporary)
            yield temporary
            _sync(temporary)
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that no reader ever sees a part of it; raises as `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def writing(path: Path, *others: Path) -> Iterator[None]:
    """Say of `path` what the system has against writing it, what is in it, or `others` on its behalf, in the block.

    Raises:
        WriteError: It cannot be written.
    """
    try:
        yield
    except OSError as error:
        named = [error.filename2, error.filename]  # a copy that fails names its source as well
        about = next((Path(os.fsdecode(name)) for name in named if name is not None), path)
        is_ours = about in (path, *others, *path.parents) or path in about.parents
        if not (is_ours or error.errno in ONLY_WRITING):
            raise  # another file, such as one that is read meanwhile
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> WriteError:
    """Return our name for what the system has against writing `path`."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in FULL or (error.errno is None and _is_full(path)):  # numpy tells that bytes are missing, not why
        return DiskFullError(str(path), reason, str(_mount_of(path)))
    return WriteError(str(path), reason)


def make_folder(path: Path) -> None:
    """Make the folder `path`, and those above it, where there is none."""
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    try:
        path.mkdir()
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        share(path)


def share(path: Path) -> None:
    """Let those use a new file or folder who may use the folder that it lies in; who may not write there may not here.

    So the members of a group share a data folder, whatever the umask of each is. A folder such as /tmp, where everybody
    keeps to his own, hands nothing down.
    """
    with suppress(OSError):  # some file systems know no permissions
        above, own = (stat.S_IMODE(place.stat().st_mode) for place in (path.parent, path))
        if above & stat.S_ISVTX:
            return
        allowed = 0o775 if path.is_dir() else 0o664
        wanted = (own & 0o7000) | ((0o700 | above) & allowed)
        if wanted != own:
            path.chmod(wanted)


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what killed runs left half-written of the files named `name` (a pattern) in `folder`.

    What a living process of this machine is writing stays.
    """
    for leftover in folder.glob(f".{name}.*{INCOMPLETE}"):
        if not _is_in_use(leftover):
            leftover.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Delete a folder with what is in it; of a link to one the link alone. Others may be deleting it as well."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
        return
    while path.is_dir():
        with suppress(FileNotFoundError):  # another process was faster
            shutil.rmtree(path)


def _is_in_use(leftover: Path) -> bool:
    host, _, rest = leftover.name.removesuffix(INCOMPLETE).rpartition(".")[2].partition("-")
    number = rest.partition("-")[0]
    if host != _host() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it lives, and is another user's
        return True
    return True


def _owner() -> str:
    return f"{_host()}-{os.getpid()}"


@cache
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < 1 << 20
    except OSError:
        return False


def _mount_of(path: Path) -> Path:
    """Return the top folder of the file system that `path` lies on."""
    with suppress(OSError):
        place = path.parent.resolve()
        while not os.path.ismount(place) and place != place.parent:
            place = place.parent
        return place
    return path.parent
