"""Files that may not be read: what the system says against it becomes an error that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ewval.core.errors import UnreadableError

__all__ = ["read_bytes", "reading"]


@contextmanager
def reading(path: Path, *, what: str | None = None) -> Iterator[None]:
    """Say of `path`, or of `what`, why the block cannot read it: no permission, a folder, a disk that fails.

    Raises:
        FileNotFoundError: It is not there; what that means is up to the caller.
        UnreadableError: It is there and cannot be read.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
    except OSError as error:
        raise UnreadableError(what or str(path), error.strerror or str(error)) from error


def read_bytes(path: Path, *, what: str | None = None, limit: int = -1) -> bytes:
    """Return the content of a file, at most `limit` bytes of it; raises as `reading`."""
    with reading(path, what=what), path.open("rb") as stream:
        return stream.read(limit)
