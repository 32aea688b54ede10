"""Standard streams that are closed, or whose reader has gone: the work goes on, what nobody reads is dropped."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ewval.cli.tables import is_sensible_width
from ewval.core.storage.files import write_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = range(3)


def guard_streams() -> None:
    """Give the process three standard streams that writing to never fails for want of a reader or of a character.

    A descriptor that is closed is held by the null device: else a data file would get its number, and a library that
    writes a warning would write into that file.
    """
    if not is_sensible_width(os.environ.get("COLUMNS", "")):
        os.environ.pop("COLUMNS", None)  # libraries that draw would take it at its word
    for number in (STDIN, STDOUT, STDERR):
        _hold(number)
    sys.stdout = _guarded(STDOUT, sys.stdout)
    sys.stderr = _guarded(STDERR, sys.stderr)


def is_unread() -> bool:
    """Whether the reader of stdout has gone."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Pipe) and raw.is_unread


def _hold(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)


class _Pipe(io.FileIO):
    """A descriptor whose place the null device takes once nobody reads at the other end, or nothing can be written."""

    is_unread = False

    def write(self, data: "ReadableBuffer", /) -> Any:
        """Write, or pretend to.

        Raises:
            WriteError: Results cannot be written where they are to go.
        """
        try:
            return super().write(data)
        except OSError as error:
            place = _leads_to(self.fileno())
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            self.is_unread = isinstance(error, BrokenPipeError)
            if not self.is_unread and self.fileno() == STDOUT:
                raise write_error(place, error) from error  # results are lost, messages may be
            return len(memoryview(data).cast("B"))


def _leads_to(number: int) -> Path:
    """Return the file that a descriptor leads to, or what stands for it where the system does not tell."""
    for place in (f"/proc/self/fd/{number}", f"/dev/fd/{number}"):
        try:
            return Path(place).readlink()
        except OSError:
            continue
    return Path("standard output")


def _guarded(number: int, stream: TextIO | None) -> TextIO:
    """Return a stream like `stream`; what its encoding lacks is written as an escape."""
    raw = _Pipe(number, "w", closefd=False)
    if stream is not None:
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="ascii" if stream is None else stream.encoding,
        errors="backslashreplace",
        line_buffering=number == STDERR or raw.isatty(),
    )
