"""The ledger read in bulk: millions of rows into columns, without an object a row."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ewval.core.errors import DamagedError
from ewval.core.folder import DataFolder
from ewval.core.ledger.ledger import Ledger
from ewval.core.storage.ragged import Ragged, chain, from_blobs
from ewval.core.tasks.consensus import ConsensusRule, chosen
from ewval.core.tasks.seed_files import TaskFiles

NONE = -1
UNKNOWN = int(np.iinfo(np.int32).min)
ROWS_A_CHUNK = 100_000

Int64s = npt.NDArray[np.int64]
Corners = npt.NDArray[np.int32]

_NUMBERS = f"""id, volume, COALESCE(cell, {NONE}), COALESCE(parent, {NONE}), COALESCE(status, 0), wanted,
    COALESCE(zmin, {UNKNOWN}), COALESCE(ymin, {UNKNOWN}), COALESCE(xmin, {UNKNOWN}), aggregate_ids IS NOT NULL"""
_TASKS = f"""SELECT {_NUMBERS}, COALESCE(aggregate_weight, prior_weight, weightsum, 0.0),
    seed, aggregate_ids, aggregate_confidence FROM tasks WHERE state = 'done' AND volume IS NOT NULL ORDER BY id"""
_PLACES = f"""SELECT id, COALESCE(cell, {NONE}), COALESCE(volume, {NONE}), COALESCE(zmin, {UNKNOWN}),
    COALESCE(ymin, {UNKNOWN}), COALESCE(xmin, {UNKNOWN}) FROM tasks ORDER BY id"""
_VOLUMES = f"""SELECT id, COALESCE(zmin, {UNKNOWN}), COALESCE(ymin, {UNKNOWN}), COALESCE(xmin, {UNKNOWN})
    FROM volumes ORDER BY id"""
NUMBERS = 10
"""Whole-number columns that `_NUMBERS` reads."""


@dataclass(frozen=True, slots=True, eq=False)
class Fetched:
    """What the ledger holds of the tasks whose volume is known, ids ascending.

    Args:
        files: Ids, volumes, parents, seeds, and answers after the consensus rule.
        cell: int64 [n], -1 where unknown.
        corner: int32 [n, 3], z y x, `UNKNOWN` where unknown.
        status: int64 [n], Eyewire's task states.
        wanted: bool [n], asked for, not only fetched as an ancestor.
        weight: float64 [n], the weight of the votes.
        dataset: int64 [n], the data set of the task's cell, -1 where unknown.
        incomplete: Tasks that were asked for and not fetched.
    """

    files: TaskFiles
    cell: Int64s
    corner: Corners
    status: Int64s
    wanted: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]
    dataset: Int64s
    incomplete: int


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger for reading.

    Raises:
        MissingError: There is none.
        DamagedError: It is not a ledger.
    """
    with closing(Ledger.open_existing(path)) as ledger:
        try:
            yield ledger.connection
        except (sqlite3.DatabaseError, ValueError) as error:  # numpy's error where a column holds something else
            raise DamagedError(str(path), str(error)) from error


def read_ledger(path: Path, *, rule: ConsensusRule) -> Fetched:
    """Return the tasks of a ledger with their answers.

    Raises:
        DamagedError: It is not a ledger.
    """
    with reading(path) as connection:
        numbers, weight, seeds, answers = _read_tasks(connection, rule=rule)
        places = _whole(connection.execute(_VOLUMES), count=4)
        datasets = _whole(connection.execute("SELECT id, COALESCE(dataset, -1) FROM cells ORDER BY id"), count=2)
        unread = connection.execute("SELECT COUNT(*) FROM tasks WHERE wanted AND (state <> 'done' OR volume IS NULL)")
        incomplete = int(unread.fetchone()[0])
    ids, volume, cell, parent, status, wanted = numbers[:, :6].T
    corner = _fill(numbers[:, 6:9], volume, [(places[:, 0], places[:, 1:]), _shared(volume, numbers[:, 6:9])])
    dataset = _lookup(cell, datasets[:, 0], datasets[:, 1:])[:, 0]
    return Fetched(
        files=TaskFiles(ids, volume, np.where(parent > 0, parent, NONE), seeds, answers, numbers[:, 9] > 0),
        cell=np.where(cell > 0, cell, NONE),
        corner=corner,
        status=status,
        wanted=wanted > 0,
        weight=weight,
        dataset=np.where(dataset == UNKNOWN, NONE, dataset),
        incomplete=incomplete,
    )


def _read_tasks(
    connection: sqlite3.Connection, *, rule: ConsensusRule
) -> tuple[Int64s, npt.NDArray[np.float64], Ragged, Ragged]:
    numbers, weights = [np.empty((0, NUMBERS), dtype=np.int64)], [np.empty(0)]
    seeds, answers = [from_blobs([])], [from_blobs([])]
    cursor = connection.execute(_TASKS)
    while rows := cursor.fetchmany(ROWS_A_CHUNK):
        columns: list[Any] = list(zip(*rows, strict=True))
        numbers.append(np.array(columns[:NUMBERS], dtype=np.int64).T)
        weights.append(np.array(columns[NUMBERS], dtype=np.float64))
        seeds.append(from_blobs(columns[NUMBERS + 1]))
        answers.append(_answers(columns[NUMBERS + 2], columns[NUMBERS + 3], weights[-1], rule=rule))
    return np.concatenate(numbers), np.concatenate(weights), chain(seeds), chain(answers)


def _answers(
    ids: list[bytes | None], confidences: list[bytes | None], weights: npt.NDArray[np.float64], *, rule: ConsensusRule
) -> Ragged:
    listed = from_blobs(ids)
    values = np.frombuffer(b"".join(blob or b"" for blob in confidences), dtype="<f8")
    if len(values) != len(listed.values):
        raise ValueError("an aggregate has not one confidence for each segment")
    return listed.where(chosen(values, listed.lengths, weights, rule=rule))


def read_places(folder: DataFolder, *, tasks: Int64s, volumes: Int64s) -> tuple[Int64s, Corners]:
    """Return the cell (-1 unknown) of each task and the corner of its volume, z y x (`UNKNOWN` where unknown).

    A task's own bounds come first, then those of its volume, then those of another task in it. Without a ledger all
    is unknown.
    """
    if not folder.ledger.is_file():
        return np.full(len(tasks), NONE, dtype=np.int64), np.full((len(tasks), 3), UNKNOWN, dtype=np.int32)
    with reading(folder.ledger) as connection:
        known = _whole(connection.execute(_PLACES), count=6)
        places = _whole(connection.execute(_VOLUMES), count=4)
    own = _lookup(tasks, known[:, 0], known[:, 1:])
    others = [(places[:, 0], places[:, 1:]), _shared(known[:, 2], known[:, 3:])]
    return np.where(own[:, 0] > 0, own[:, 0], NONE), _fill(own[:, 2:], volumes, others)


def _whole(cursor: sqlite3.Cursor, *, count: int) -> Int64s:
    chunks = [np.empty((0, count), dtype=np.int64)]
    while rows := cursor.fetchmany(ROWS_A_CHUNK):
        chunks.append(np.array(rows, dtype=np.int64))
    return np.concatenate(chunks)


def _shared(volume: Int64s, corner: Int64s) -> tuple[Int64s, Int64s]:
    """Return volumes, ascending, and for each the corner that the first of its tasks with bounds states."""
    placed = (corner != UNKNOWN).all(axis=1) & (volume != NONE)
    volumes, first = np.unique(volume[placed], return_index=True)
    return volumes, corner[placed][first]


def _fill(corner: Int64s, volumes: Int64s, sources: list[tuple[Int64s, Int64s]]) -> Corners:
    """Return `corner` with what is unknown taken from the first of `sources` (volume ids, corners) that knows it."""
    for ids, corners in sources:
        unknown = (corner == UNKNOWN).any(axis=1)[:, None]
        corner = np.where(unknown, _lookup(volumes, ids, corners), corner)
    unknown = (corner == UNKNOWN).any(axis=1)[:, None]
    return np.where(unknown, UNKNOWN, corner).astype(np.int32)


def _lookup(wanted: Int64s, ids: Int64s, values: Int64s) -> Int64s:
    if not len(ids):
        return np.full((len(wanted), values.shape[1]), UNKNOWN, dtype=np.int64)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where((ids[at] == wanted)[:, None], values[at], UNKNOWN)
