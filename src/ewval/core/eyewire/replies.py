"""What Eyewire answers, read leniently into frozen values.

Keys that are not known are ignored and fields that are missing stay unknown, because most of what is known of these
replies comes from clients of 2015 to 2021. What is there has to be of the right kind.

Source: the decoders of seung-lab/omni.play (`desktop/src/task`) and the clients of ChrisRaven and BLimmie.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ewval.core.constants import CUBE_EDGE
from ewval.core.errors import ReplyError
from ewval.core.eyewire.records import AggregateRecord, Bounds, TaskRecord
from ewval.core.eyewire.urls import flaw
from ewval.core.storage.text import parse_json

LARGEST_ID = 2**63 - 1
LARGEST_SEGMENT = 2**32 - 1
LARGEST_COORDINATE = 2**31 - 1


class Unreadable(ValueError):  # noqa: N818 - a step on the way to ReplyError, which knows the URL
    """A field is not of the kind that it should be."""


@dataclass(frozen=True, slots=True)
class CellTask:
    """One row of a cell's task list. Source: GET /1.0/cell/:id/tasks."""

    id: int
    status: int = 0
    bounds: Bounds | None = None


@dataclass(frozen=True, slots=True)
class CellRow:
    """One cell of a data set. Source: GET /1.0/cell?dataset=N."""

    id: int
    name: str = ""


def read_json(body: bytes, *, url: str) -> Any:
    """Return the document in `body`.

    Raises:
        ReplyError: It is not JSON, such as a page that a proxy put in its place.
    """
    try:
        return parse_json(body)
    except ValueError as error:
        start = body[:200].lstrip().lower()
        kind = "a web page" if start.startswith((b"<!doctype", b"<html")) else "not JSON"
        raise ReplyError(url, f"{kind} instead of an answer" if kind == "a web page" else kind) from error


def parse_task(document: Any, *, task: int, url: str) -> TaskRecord:
    """Return the task in the reply to GET /1.0/task/:id.

    Raises:
        ReplyError: It is another task, has no id, volume or path, or a field is of the wrong kind.
    """
    try:
        return _task(_object(document, "reply"), task)
    except Unreadable as error:
        raise ReplyError(url, str(error)) from error


def parse_aggregate(document: Any, *, url: str) -> AggregateRecord:
    """Return the aggregate in the reply to GET /1.0/task/:id/aggregate.

    Raises:
        ReplyError: A field is of the wrong kind.
    """
    try:
        fields = _object(document, "reply")
        votes = fields.get("votes")
        return AggregateRecord(
            segments=_segments(fields.get("segments"), "segments"),
            weight=_number(fields.get("weight"), "weight"),
            votes_total=_number(votes.get("total"), "votes.total") if isinstance(votes, dict) else None,
        )
    except Unreadable as error:
        raise ReplyError(url, str(error)) from error


def parse_cell_tasks(document: Any, *, url: str) -> tuple[CellTask, ...]:
    """Return the rows in the reply to GET /1.0/cell/:id/tasks, each task once.

    Raises:
        ReplyError: A row has no id, or a field is of the wrong kind.
    """
    try:
        rows = document if isinstance(document, list) else _object(document, "reply").get("tasks")
        tasks = (_cell_task(_object(row, "row of tasks")) for row in _list(rows, "tasks"))
        return tuple({task.id: task for task in tasks}.values())
    except Unreadable as error:
        raise ReplyError(url, str(error)) from error


def parse_cells(document: Any, *, url: str) -> tuple[CellRow, ...]:
    """Return the cells in the reply to GET /1.0/cell?dataset=N.

    Raises:
        ReplyError: A row has no id, or a field is of the wrong kind.
    """
    try:
        return tuple(_cell(_object(row, "row of cells")) for row in _list(document, "reply"))
    except Unreadable as error:
        raise ReplyError(url, str(error)) from error


def volume_path(value: Any) -> str:
    """Return the URL of a volume's folder with its trailing slash.

    Raises:
        Unreadable: Not http(s), no host, a `..` in it, or parts that a folder's URL does not have.
    """
    if not isinstance(value, str):
        raise Unreadable(f"full_path is {_kind(value)}, not text")
    if (problem := flaw(value)) is not None:
        raise Unreadable(f"full_path {problem}")
    return value if value.endswith("/") else f"{value}/"


def corner_bounds(minimum: Any, maximum: Any = None) -> Bounds | None:
    """Return the bounds in a volume's `metadata.json`, whose corners are lists x, y, z; None where they are no good."""
    try:
        low = tuple(_coordinate(value) for value in _list(minimum, "minimum"))[::-1]
        high = tuple(_coordinate(value) for value in _list(maximum, "maximum"))[::-1]
    except Unreadable:
        return None
    return _box(low, high or tuple(value + CUBE_EDGE for value in low))


def _task(fields: Mapping[str, Any], task: int) -> TaskRecord:
    if "id" in fields and (told := _id(fields["id"], "id")) != task:
        raise Unreadable(f"it is about task {told}, not {task}")
    prior = _object(fields.get("prior") or {}, "prior")
    return TaskRecord(
        id=task,
        cell=_optional_id(fields.get("cell"), "cell"),
        parent=_optional_id(fields.get("parent"), "parent"),
        volume=_volume(fields),
        path=volume_path(fields.get("full_path")),
        status=_status(fields.get("status")),
        seed=tuple(sorted(_segments(prior.get("segments"), "prior.segments"))),
        prior_weight=_number(prior.get("weight"), "prior.weight"),
        weightsum=_number(fields.get("weightsum", fields.get("weightSum")), "weightsum"),
        bounds=_bounds(fields.get("bounds")),
    )


def _volume(fields: Mapping[str, Any]) -> int:
    data = fields.get("data")
    segmentation = data.get("segmentation") if isinstance(data, dict) else None
    if isinstance(segmentation, dict) and segmentation.get("id") is not None:
        return _id(segmentation["id"], "data.segmentation.id")
    return _id(fields.get("segmentation_id"), "data.segmentation.id")


def _cell_task(fields: Mapping[str, Any]) -> CellTask:
    return CellTask(_id(fields.get("id"), "id of a task"), _status(fields.get("status")), _bounds(fields.get("bounds")))


def _cell(fields: Mapping[str, Any]) -> CellRow:
    identity = fields.get("id") if fields.get("id") is not None else fields.get("cell")
    name = fields.get("name")
    return CellRow(_id(identity, "id of a cell"), name if isinstance(name, str) else "")


def _segments(value: Any, name: str) -> dict[int, float]:
    """Segment ids to confidences; the server's database keeps such maps as text, so text is read once more."""
    if isinstance(value, str):
        try:
            value = parse_json((value or "null").encode())
        except ValueError:
            raise Unreadable(f"{name} is text, not an object") from None
    if isinstance(value, list):
        value = dict.fromkeys((str(item) for item in value), 1.0)
    pairs = {} if value is None else _object(value, name)
    found = {_segment(key, name): _number(weight, name) or 0.0 for key, weight in pairs.items()}
    found.pop(0, None)  # 0 is boundary, never part of a neuron
    return dict(sorted(found.items()))


def _segment(key: Any, name: str) -> int:
    text = str(key)
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= LARGEST_SEGMENT):
        raise Unreadable(f"{name} holds {text[:40]!r}, which is no segment id")
    return int(text)


def _bounds(value: Any) -> Bounds | None:
    if not value:
        return None
    fields = _object(value, "bounds")
    low, high = (_corner(fields.get(side), f"bounds.{side}") for side in ("min", "max"))
    if low is None:
        return None
    return _box(low, high or tuple(value + CUBE_EDGE for value in low))


def _corner(value: Any, name: str) -> tuple[int, ...] | None:
    if not value:
        return None
    fields = _object(value, name)
    if any(fields.get(axis) is None for axis in "zyx"):
        return None
    return tuple(_coordinate(fields[axis]) for axis in "zyx")


def _box(low: tuple[int, ...], high: tuple[int, ...]) -> Bounds | None:
    if len(low) != 3 or len(high) != 3 or any(first >= last for first, last in zip(low, high, strict=True)):
        return None
    return Bounds((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _coordinate(value: Any) -> int:
    number = _integer(value)
    if number is None or abs(number) > LARGEST_COORDINATE:
        raise Unreadable(f"a coordinate is {_kind(value)}, not a whole number")
    return number


def _id(value: Any, name: str) -> int:
    number = _integer(value)
    if number is None or not 0 < number <= LARGEST_ID:
        raise Unreadable(f"{name} is {_kind(value)}, not an id")
    return number


def _optional_id(value: Any, name: str) -> int | None:
    return None if value is None or value in (0, "0", "") else _id(value, name)


def _status(value: Any) -> int:
    number = 0 if value is None else _integer(value)
    if number is None or abs(number) > LARGEST_COORDINATE:
        raise Unreadable(f"status is {_kind(value)}, not a whole number")
    return number


def _integer(value: Any) -> int | None:
    """Return a whole number, which some replies write as text or as a float; None where it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) < 20 and re.fullmatch(r"-?[0-9]+(\.0+)?", value):
        return int(value.partition(".")[0])
    return value if isinstance(value, int) else None


def _number(value: Any, name: str) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return None if value is None else float(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", value):
        return float(value)
    raise Unreadable(f"{name} is {_kind(value)}, not a number")


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if value == []:  # an empty map, as some languages write it
        return {}
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is {_kind(value)}, not an object")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if value is None or value == {}:
        return []
    if not isinstance(value, list):
        raise Unreadable(f"{name} is {_kind(value)}, not a list")
    return value


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "a truth value", int: "a number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "an object")
