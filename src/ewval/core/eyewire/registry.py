"""Cell registries: CSV files of cells, of which the finished mouse cells are wanted.

Source: the columns and rules of BLimmie/eyewire_validator `data_scripts/cells_data.py`; data set 1 is the mouse and 11
the zebrafish in Scouts-Log-Server and task_spawner.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ewval.core.errors import MissingError, RegistryError
from ewval.core.eyewire.numerals import read_number, read_whole_number
from ewval.core.storage.text import read_text

COLUMNS = ("Cell ID", "Name", "Status", "Size", "Tags")
FINISHED = "Completed"
FISH_TAG = "mystic"
OTHER_PREFIXES = ("SN-", "DC-", "IO-", "Old", "nMLF", "RC-", "Abd-", "Treach", "Bomni", "aa296")
"""Beginnings of the names of cells from other data sets, and of tests."""
OTHER_NAMES = ("70083", "70087", "70153", "70070", "70067", "70072", "17022", "17013", "17012", "50004")
"""Names, or beginnings of them, of imported cells."""
SEPARATORS = ",;\t|"
OF_SEPARATOR = re.compile(r"sep=.?\s*", re.IGNORECASE)
"""The line by which a spreadsheet tells another which separator it wrote."""
NOT_FINISHED, EMPTY, UNREADABLE, OTHER_DATASET, TAG, NAME, NO_ID, TWICE = (
    "not completed",
    "size 0",
    "unreadable size",
    "other data set",
    "tagged mystic",
    "name of another data set",
    "no cell id",
    "listed twice",
)


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """One row of a registry; `id` is None where the row has no usable one, `size` where it cannot be read."""

    id: int | None
    name: str
    status: str
    size: float | None
    is_mystic: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """The cells that a registry asks for, in its order, and how many rows each rule dropped."""

    cells: tuple[int, ...]
    dropped: Mapping[str, int]


def read_registry(path: Path) -> list[RegistryRow]:
    """Return the rows of a registry.

    Raises:
        MissingError: There is no such file.
        RegistryError: It is not a table with the columns of a registry.
    """
    try:
        return list(_rows(read_text(path), path))
    except OSError as error:
        raise MissingError(f"registry {path}", hint=str(error.strerror or "").lower()) from error
    except csv.Error as error:
        raise RegistryError(str(path), str(error)) from error


def select_cells(
    rows: Iterable[RegistryRow], *, mouse: Collection[int] = (), others: Collection[int] = ()
) -> Selection:
    """Return the completed, non-empty cells of the mouse.

    Args:
        rows: Rows of one registry or several.
        mouse: Cells that the API counts as mouse; they are kept whatever their name says.
        others: Cells that it counts as another data set. Rows in neither are judged by tag and name.
    """
    kept: dict[int, None] = {}
    dropped: Counter[str] = Counter()
    for row in rows:
        if reason := _reason_to_drop(row, mouse=mouse, others=others):
            dropped[reason] += 1
        elif row.id in kept:
            dropped[TWICE] += 1
        elif row.id is not None:
            kept[row.id] = None
    return Selection(tuple(kept), dict(dropped))


def _reason_to_drop(row: RegistryRow, *, mouse: Collection[int], others: Collection[int]) -> str | None:
    if row.id is None:
        return NO_ID
    if row.status.lower() != FINISHED.lower():
        return NOT_FINISHED
    if row.size is None:
        return UNREADABLE
    if not row.size > 0:
        return EMPTY
    if row.id in mouse:
        return None
    if row.id in others:
        return OTHER_DATASET
    if row.is_mystic:
        return TAG
    return NAME if row.name.startswith(OTHER_PREFIXES + OTHER_NAMES) else None


def _rows(text: str, path: Path) -> Iterator[RegistryRow]:
    text = OF_SEPARATOR.sub("", text.lstrip())
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, delimiter=_separator(text))
    if reader.fieldnames is None:  # an empty list of cells, as a filter leaves it
        return
    names = [name.strip() for name in reader.fieldnames]
    if missing := [name for name in COLUMNS if name not in names]:
        raise RegistryError(str(path), f"it has no column {', '.join(map(repr, missing))}")
    reader.fieldnames = names
    for fields in reader:
        texts = {name: (fields.get(name) or "").strip() for name in COLUMNS}
        yield RegistryRow(
            id=_id(texts["Cell ID"]),
            name=texts["Name"],
            status=texts["Status"],
            size=_size(texts["Size"]),
            is_mystic=_is_mystic(texts["Tags"]),
        )


def _id(text: str) -> int | None:
    """Return a cell id, which spreadsheets write as a float or in groups of digits; None where it is none."""
    number = read_whole_number(text)
    return number if number is not None and number > 0 else None


def _size(text: str) -> float | None:
    return read_number(text) if text else 0.0


def _separator(text: str) -> str:
    """Return what parts the columns: of the separators in use the one that shows most of their names."""
    head = text[:10_000]
    return max(SEPARATORS, key=lambda separator: _names_shown(head, separator))


def _names_shown(head: str, separator: str) -> int:
    row = next(csv.reader(io.StringIO(head, newline=""), delimiter=separator, skipinitialspace=True), [])
    return len({name.strip() for name in row} & set(COLUMNS))


def _is_mystic(text: str) -> bool:
    try:
        tags = json.loads(text or "{}")
    except ValueError:
        return f'"{FISH_TAG}"' in text
    return bool(tags.get(FISH_TAG)) if isinstance(tags, dict) else isinstance(tags, list) and FISH_TAG in tags
