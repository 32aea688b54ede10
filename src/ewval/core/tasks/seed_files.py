"""`task_vol.json` and `task_data.json`, the forms of the 2019 seed system.

`task_vol.json` is `{"<task>": "<volume>"}`; `task_data.json` is `{"<task>": {"seed": [ids], "parent": id or null,
"aggregate": [ids]}}`. Read leniently: ids as strings or numbers, further keys ignored. Written sorted by id.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from ewval.core.errors import DamagedError
from ewval.core.folder import DataFolder
from ewval.core.storage.files import replacing
from ewval.core.storage.json_blocks import map_blocks
from ewval.core.storage.ragged import Ragged, chain, from_lists

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
    tasks, volumes = read_volumes(folder.task_vol)
    rows = read_rows(folder.task_data)
    ids, at_volume, at_row = np.intersect1d(tasks, rows.ids, assume_unique=True, return_indices=True)
    return TaskFiles(
        ids=ids,
        volume=volumes[at_volume],
        parent=rows.parent[at_row],
        seeds=rows.seeds.take(at_row),
        aggregates=rows.aggregates.take(at_row),
        answered=rows.answered[at_row],
    )


def read_volumes(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the tasks in `task_vol.json`, ascending, and the volume of each; raises as `read_task_files`."""

    def parse(block: dict[str, Any]) -> npt.NDArray[np.int64]:
        try:
            pairs = [(_id(task), _id(volume)) for task, volume in block.items()]
        except (TypeError, ValueError) as error:
            raise DamagedError(str(path), str(error)) from error
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    pairs = np.concatenate(map_blocks(path, parse, entry_end=b","))
    kept = _last_of_each(pairs[:, 0])
    return pairs[kept, 0], pairs[kept, 1]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What `task_data.json`, or a block of it, says."""

    ids: npt.NDArray[np.int64]
    parent: npt.NDArray[np.int64]
    seeds: Ragged
    aggregates: Ragged
    answered: npt.NDArray[np.bool_]


def read_rows(path: Path) -> Rows:
    """Return what stands in `task_data.json`; raises as `read_task_files`."""
    blocks = map_blocks(path, lambda block: _parse_block(block, path), entry_end=b"},")
    ids = np.concatenate([block.ids for block in blocks])
    kept = _last_of_each(ids)
    return Rows(
        ids=ids[kept],
        parent=np.concatenate([block.parent for block in blocks])[kept],
        seeds=chain([block.seeds for block in blocks]).take(kept),
        aggregates=chain([block.aggregates for block in blocks]).take(kept),
        answered=np.concatenate([block.answered for block in blocks])[kept],
    )


def _last_of_each(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the position of the last mention of each id, ids ascending."""
    order = np.argsort(ids, kind="stable")
    is_last = np.append(np.diff(ids[order]) != 0, True)[: len(ids)]
    return np.asarray(order[is_last])


def _parse_block(block: dict[str, Any], path: Path) -> Rows:
    rows: list[Row] = []
    for task, entry in block.items():
        try:
            rows.append(_parse(task, entry))
        except (TypeError, ValueError) as error:
            raise DamagedError(str(path), f"task {task}: {error}") from error
    return Rows(
        ids=np.array([row[0] for row in rows], dtype=np.int64),
        parent=np.array([row[1] for row in rows], dtype=np.int64),
        seeds=from_lists([row[2] for row in rows]),
        aggregates=from_lists([row[3] or [] for row in rows]),
        answered=np.array([row[3] is not None for row in rows], dtype=bool),
    )


Row = tuple[int, int, list[int], list[int] | None]
"""Task, parent, seed, aggregate."""


def _parse(task: str, entry: Any) -> Row:
    if not isinstance(entry, dict) or "seed" not in entry:
        raise ValueError("it has no seed")
    parent, aggregate = entry.get("parent"), entry.get("aggregate")
    answer = None if aggregate is None else _segments(aggregate)
    return _id(task), (_id(parent) or NONE if parent is not None else NONE), _segments(entry["seed"]), answer


def _segments(values: Iterable[int | str]) -> list[int]:
    numbers = [int(value) for value in values]
    if numbers and not 0 <= min(numbers) <= max(numbers) < 2**32:
        raise ValueError(f"{min(numbers)} to {max(numbers)} are not segment ids")
    return numbers


def _id(value: int | str) -> int:
    number = int(value)
    if not 0 <= number < 2**63:
        raise ValueError(f"{number} is not an id")
    return number


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
