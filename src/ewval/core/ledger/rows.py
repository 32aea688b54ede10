"""Rows of the ledger to records and back; lists of segment ids are little-endian blobs."""

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from ewval.core.eyewire.records import AggregateRecord, Bounds, TaskRecord


def task_row(task: TaskRecord, aggregate: AggregateRecord | None, *, wanted: bool) -> tuple[Any, ...]:
    """Return the values of `SAVE_TASK`."""
    segments = sorted(aggregate.segments.items()) if aggregate else []
    return (
        task.id,
        task.cell,
        task.parent,
        task.volume,
        task.status,
        task.path,
        _pack("I", sorted(task.seed)),
        task.prior_weight,
        task.weightsum,
        *box(task.bounds),
        _pack("I", [segment for segment, _ in segments]) if aggregate else None,
        _pack("d", [confidence for _, confidence in segments]) if aggregate else None,
        aggregate.weight if aggregate else None,
        aggregate.votes_total if aggregate else None,
        int(wanted),
    )


def read_task(row: Sequence[Any]) -> TaskRecord:
    """Return the task in a row of `TASK_COLUMNS`."""
    identity, cell, parent, volume, status, path, seed, prior_weight, weightsum = row[:9]
    return TaskRecord(
        id=identity,
        cell=cell,
        parent=parent,
        volume=volume,
        path=path,
        status=status or 0,
        seed=tuple(_unpack("I", seed)),
        prior_weight=prior_weight,
        weightsum=weightsum,
        bounds=read_bounds(row[9:15]),
    )


def read_aggregate(row: Sequence[Any]) -> AggregateRecord | None:
    """Return the aggregate in a row of `AGGREGATE_COLUMNS`, None where there is none."""
    ids, confidences, weight, votes_total = row
    if ids is None:
        return None
    return AggregateRecord(dict(zip(_unpack("I", ids), _unpack("d", confidences), strict=True)), weight, votes_total)


def read_bounds(row: Sequence[Any]) -> Bounds | None:
    """Return the bounds in a row of `BOX`, None where they are not known."""
    return None if None in row else Bounds((row[0], row[1], row[2]), (row[3], row[4], row[5]))


def box(bounds: Bounds | None) -> tuple[int | None, ...]:
    """Return the values of `BOX`, all None where the bounds are not known."""
    return (*bounds.minimum, *bounds.maximum) if bounds else (None,) * 6


def _pack(kind: str, values: Iterable[float]) -> bytes:
    packed = array(kind, values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpack(kind: str, blob: bytes | None) -> list[Any]:
    unpacked = array(kind)
    unpacked.frombytes(blob or b"")
    if sys.byteorder == "big":
        unpacked.byteswap()
    return unpacked.tolist()
