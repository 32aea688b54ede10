"""`task_vol.json` and `task_data.json`, the forms of the 2019 seed system.

`task_vol.json` is `{"<task>": "<volume>"}`; `task_data.json` is `{"<task>": {"seed": [ids], "parent": id or null,
"aggregate": [ids]}}`. Read leniently: ids as strings or numbers, further keys ignored. Written sorted by id.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from ewval.core.errors import DamagedError, MissingError
from ewval.core.files import replacing
from ewval.core.folder import DataFolder
from ewval.core.ragged import Ragged, offsets_of

ROWS_A_BLOCK = 20_000
NONE = -1
"""No parent; a server that leaves it out or says 0 means the same."""


@dataclass(frozen=True, slots=True, eq=False)
class TaskFiles:
    """What the two files say, one row a task that stands in both, ids ascending.

    Args:
        ids: int64 [n].
        volume: int64 [n].
        parent: int64 [n], -1 where there is none.
        seeds: Seed segments.
        aggregates: Segments of the answer.
        answered: bool [n], whether an aggregate is given, be it empty.
    """

    ids: npt.NDArray[np.int64]
    volume: npt.NDArray[np.int64]
    parent: npt.NDArray[np.int64]
    seeds: Ragged
    aggregates: Ragged
    answered: npt.NDArray[np.bool_]


def read_task_files(folder: DataFolder) -> TaskFiles:
    """Return the content of both files.

    Raises:
        MissingError: A file is not there.
        DamagedError: A file is not JSON of this form.
    """
    volumes = _read_volumes(folder.task_vol)
    rows = _read_rows(folder.task_data)
    ids = np.array(sorted(rows.keys() & volumes.keys()), dtype=np.int64)
    picked = [rows[task] for task in ids.tolist()]
    return TaskFiles(
        ids=ids,
        volume=np.array([volumes[task] for task in ids.tolist()], dtype=np.int64),
        parent=np.array([row[0] for row in picked], dtype=np.int64),
        seeds=_ragged([row[1] for row in picked]),
        aggregates=_ragged([row[2] or [] for row in picked]),
        answered=np.array([row[2] is not None for row in picked], dtype=bool),
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise MissingError(str(path), hint="`ewval index` makes it") from error
    except orjson.JSONDecodeError as error:
        raise DamagedError(str(path), str(error)) from error
    if not isinstance(document, dict):
        raise DamagedError(str(path), "not a JSON object")
    return document


def _read_volumes(path: Path) -> dict[int, int]:
    try:
        return {_id(task): _id(volume) for task, volume in _load(path).items()}
    except (TypeError, ValueError) as error:
        raise DamagedError(str(path), str(error)) from error


Row = tuple[int, list[int], list[int] | None]


def _read_rows(path: Path) -> dict[int, Row]:
    rows: dict[int, Row] = {}
    for task, entry in _load(path).items():
        try:
            rows[_id(task)] = _parse(entry)
        except (TypeError, ValueError) as error:
            raise DamagedError(str(path), f"task {task}: {error}") from error
    return rows


def _parse(entry: Any) -> Row:
    if not isinstance(entry, dict) or "seed" not in entry:
        raise ValueError("it has no seed")
    parent, aggregate = entry.get("parent"), entry.get("aggregate")
    seed = sorted({_id(value, limit=2**32) for value in entry["seed"]})
    answer = None if aggregate is None else sorted({_id(value, limit=2**32) for value in aggregate})
    return (_id(parent) or NONE if parent is not None else NONE), seed, answer


def _id(value: int | str, *, limit: int = 2**63) -> int:
    number = int(value)
    if not 0 <= number < limit:
        raise ValueError(f"{number} is not an id")
    return number


def _ragged(lists: list[list[int]]) -> Ragged:
    values = np.fromiter((value for row in lists for value in row), dtype=np.uint32)
    return Ragged(values, offsets_of([len(row) for row in lists]))


def write_task_files(folder: DataFolder, files: TaskFiles) -> None:
    """Write both files, sorted by id, each whole or not at all."""
    with replacing(folder.task_vol) as path, path.open("wb") as stream:
        _write_blocks(stream, ({str(t): str(v) for t, v in rows} for rows in _volume_blocks(files)))
    with replacing(folder.task_data) as path, path.open("wb") as stream:
        _write_blocks(stream, _data_blocks(files))


def _volume_blocks(files: TaskFiles) -> Iterator[zip]:  # type: ignore[type-arg]
    for start in range(0, len(files.ids), ROWS_A_BLOCK):
        part = slice(start, start + ROWS_A_BLOCK)
        yield zip(files.ids[part].tolist(), files.volume[part].tolist(), strict=True)


def _data_blocks(files: TaskFiles) -> Iterator[dict[str, Any]]:
    for start in range(0, len(files.ids), ROWS_A_BLOCK):
        rows = range(start, min(start + ROWS_A_BLOCK, len(files.ids)))
        yield {
            str(task): {"seed": files.seeds[row], "parent": None if parent < 0 else parent, "aggregate": aggregate}
            for row, task, parent, aggregate in zip(
                rows,
                files.ids[rows.start : rows.stop].tolist(),
                files.parent[rows.start : rows.stop].tolist(),
                (files.aggregates[row] for row in rows),
                strict=True,
            )
        }


def _write_blocks(stream: BinaryIO, blocks: Iterator[dict[str, Any]]) -> None:
    # In blocks, so that a million tasks need no second copy as Python objects.
    separator = b"{"
    for block in blocks:
        stream.write(separator + orjson.dumps(block, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1])
        separator = b","
    stream.write(b"{}" if separator == b"{" else b"}")
