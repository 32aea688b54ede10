"""Options and arguments that more than one command takes, declared once."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ewval.core.constants import DEFAULT_API, DEFAULT_DATA, ENV_API, ENV_DATA, ENV_MODEL
from ewval.core.errors import UsageError
from ewval.core.folder import DataFolder
from ewval.core.storage.text import to_text
from ewval.core.torchrun import place

Data = Annotated[Path, typer.Option("--data", envvar=ENV_DATA, help="Data folder.", show_default=True, metavar="DIR")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only ids or paths to stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print a debug log to stderr.")]
Api = Annotated[str, typer.Option("--api", envvar=ENV_API, help="Base URL of the Eyewire API.", metavar="URL")]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="File with the token, where EWVAL_TOKEN is not set.", metavar="PATH")
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", envvar=ENV_MODEL, help="Packaged name or path.", metavar="NAME|PATH"),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; default: one per core.")]
Dask = Annotated[str | None, typer.Option("--dask", metavar="ADDRESS", help="Dask scheduler to run on.")]
Cells = Annotated[list[str] | None, typer.Option("--cell", help="All tasks of this cell; repeatable.", metavar="ID")]
TaskIds = Annotated[list[str] | None, typer.Argument(metavar="TASK_ID...|-", help="Task ids; - reads them from stdin.")]

Ids = tuple[int, ...] | None
"""Ids that were asked for: None where no list was given, empty where the list that was given holds none."""
LONGEST_ID = len(str(2**63))
LONGEST_SHOWN = 40
"""Characters of a wrong id that its message repeats."""
if TYPE_CHECKING:
    from ewval.core.predict.shards import Shards

DATA_DEFAULT = Path(DEFAULT_DATA)
API_DEFAULT = DEFAULT_API


def data_folder(data: Path, *, must_exist: bool = False) -> DataFolder:
    """Return the data folder at `data`.

    Raises:
        UsageError: It is a file, or it must exist and does not.
    """
    if data.exists() and not data.is_dir():
        raise UsageError(f"--data {data} is not a folder")
    if must_exist and not data.is_dir():
        raise UsageError(f"there is no data folder {data}; `ewval fetch` makes one, --data names another")
    return DataFolder(data)


def parse_ids(words: list[str] | None, *, what: str = "task id") -> Ids:
    """Return the ids in `words`, first mention first; `-` stands for those on stdin.

    Raises:
        UsageError: A word is not a positive whole number, or stdin is to be read and closed.
    """
    if words is None:
        return None
    ids: dict[int, None] = {}
    for word in words:
        for text in _ids_on_stdin() if word == "-" else [word]:
            ids[_parse_id(text, what=what)] = None
    return tuple(ids)


def hold_nothing(*lists: Ids) -> bool:
    """Whether lists of ids were given and none of them holds any: there is nothing to do, which is not "all"."""
    given = [ids for ids in lists if ids is not None]
    return bool(given) and not any(given)


def _ids_on_stdin() -> Iterator[str]:
    if sys.stdin is None:
        raise UsageError("- reads ids from stdin, which is closed")
    try:
        text = to_text(sys.stdin.buffer.read())
    except OSError as error:  # a folder, say
        raise UsageError(f"- reads ids from stdin, which cannot be read: {error.strerror}") from error
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return (text for text in lines if text)


def _parse_id(text: str, *, what: str) -> int:
    # Leading zeros are common in lists; int() refuses thousands of digits, so that the length is looked at first.
    digits = text.lstrip("0")
    if not (text.isascii() and text.isdigit() and 0 < len(digits) <= LONGEST_ID and int(digits) < 2**63):
        shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
        raise UsageError(f"{shown!r} is not a {what}: ids are positive whole numbers")
    return int(digits)


def checked_device(text: str) -> str:
    """Return what `--device` names, once it is known to be there; torch is asked where a GPU is wanted.

    Raises:
        UsageError: `text` names no device.
        DeviceError: The GPU asked for is not there.
    """
    if text not in ("auto", "cpu"):
        from ewval.nn.devices import pick_device

        pick_device(text)
    return text


def shards_of_torchrun() -> "Shards":
    """Return this process's place among those of torchrun."""
    if place().is_shared:
        from ewval.nn.shards import open_shards

        return open_shards()
    from ewval.core.predict.shards import ALONE

    return ALONE
