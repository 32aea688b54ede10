"""Replies are read leniently where something is missing, and refused where something is wrong."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ewval.core.errors import ReplyError
from ewval.core.eyewire.records import AggregateRecord, Bounds, TaskRecord
from ewval.core.eyewire.replies import (
    CellRow,
    CellTask,
    corner_bounds,
    parse_aggregate,
    parse_cell_tasks,
    parse_cells,
    parse_task,
    read_json,
)

URL = "http://api/1.0/task/7"
PLAIN = {"id": 7, "data": {"segmentation": {"id": 90}}, "full_path": "http://bucket/Volume-89-90/"}
BOX = {"min": {"x": 1, "y": 2, "z": 3}, "max": {"x": 257, "y": 258, "z": 259}}


def task(**fields: Any) -> TaskRecord:
    return parse_task(PLAIN | fields, task=7, url=URL)


def test_the_least_that_a_task_needs_is_an_id_a_volume_and_a_path() -> None:
    assert task() == TaskRecord(id=7, cell=None, parent=None, volume=90, path="http://bucket/Volume-89-90/")


def test_every_field_of_a_task_is_read() -> None:
    seen = task(
        cell=5,
        parent=6,
        status=10,
        prior={"segments": {"9": 1, "3": 0.5}, "weight": 4.5},
        weightsum=3,
        bounds=BOX,
        x={},
    )
    assert seen == TaskRecord(
        id=7,
        cell=5,
        parent=6,
        volume=90,
        path="http://bucket/Volume-89-90/",
        status=10,
        seed=(3, 9),
        prior_weight=4.5,
        weightsum=3.0,
        bounds=Bounds((3, 2, 1), (259, 258, 257)),
    )


@pytest.mark.parametrize("nothing", [None, 0, "", "0"])
def test_a_root_has_no_parent(nothing: object) -> None:
    assert task(parent=nothing).parent is None


def test_ids_may_be_text_or_whole_floats() -> None:
    seen = task(id="7", cell=5.0, parent="6", data={"segmentation": {"id": "90"}}, status="11")
    assert (seen.cell, seen.parent, seen.volume, seen.status) == (5, 6, 90, 11)


def test_a_volume_may_stand_beside_data() -> None:
    assert task(data=None, segmentation_id=91).volume == 91


@pytest.mark.parametrize("empty", [None, {}, [], "{}", "[]", "null", ""])
def test_a_seed_may_be_empty_in_many_ways(empty: object) -> None:
    assert task(prior={"segments": empty}).seed == ()


def test_a_seed_may_be_a_list_and_boundary_is_no_segment() -> None:
    assert task(prior={"segments": [8, "2", 0]}).seed == (2, 8)


def test_a_missing_slash_is_added_to_the_path() -> None:
    assert task(full_path="https://bucket/v").path == "https://bucket/v/"


@pytest.mark.parametrize("bounds", [None, {}, [], {"min": None}, {"min": {"x": 1}}])
def test_bounds_that_are_missing_are_unknown(bounds: object) -> None:
    assert task(bounds=bounds).bounds is None


def test_bounds_without_an_end_are_one_cube() -> None:
    assert task(bounds={"min": BOX["min"]}).bounds == Bounds((3, 2, 1), (259, 258, 257))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"id": None}, "id is null, not an id"),
        ({"id": 8}, "it is about task 8, not 7"),
        ({"id": True}, "id is a truth value"),
        ({"cell": "five"}, "cell is text, not an id"),
        ({"parent": -3}, "parent is a number, not an id"),
        ({"parent": 2**70}, "parent is a number, not an id"),
        ({"data": {}}, "data.segmentation.id is null"),
        ({"data": {"segmentation": {"id": [1]}}}, "data.segmentation.id is a list"),
        ({"status": "frozen"}, "status is text"),
        ({"prior": [1]}, "prior is a list, not an object"),
        ({"prior": {"segments": 7}}, "prior.segments is a number, not an object"),
        ({"prior": {"segments": "<b>"}}, "prior.segments is text, not an object"),
        ({"prior": {"segments": {"../x": 1}}}, "prior.segments holds '../x', which is no segment id"),
        ({"prior": {"segments": {"-4": 1}}}, "which is no segment id"),
        ({"prior": {"segments": {"4": "much"}}}, "prior.segments is text, not a number"),
        ({"prior": {"weight": {}}}, "prior.weight is an object, not a number"),
        ({"bounds": {"min": {"x": "a", "y": 0, "z": 0}}}, "a coordinate is text"),
        ({"bounds": 5}, "bounds is a number, not an object"),
        ({"full_path": None}, "full_path is null, not text"),
        ({"full_path": "file:///etc/"}, "full_path is not an http"),
        ({"full_path": "/Volume-89-90/"}, "full_path is not an http"),
        ({"full_path": "http://b/../../etc/"}, "full_path leads out of its folder"),
        ({"full_path": "http://b/%2e%2e/etc/"}, "full_path leads out of its folder"),
        ({"full_path": "http://b/%252e%252e/etc/"}, "full_path leads out of its folder"),
        ({"full_path": "http://b/a/?x=1"}, "full_path has parts"),
        ({"full_path": "http://user:pw@b/a/"}, "full_path has parts"),
        ({"full_path": "http://b/a b/"}, "full_path is not an http"),
        ({"full_path": "http://b:99999999/"}, "full_path is not an http"),
    ],
)
def test_a_task_with_a_wrong_field_is_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ReplyError) as caught:
        task(**fields)
    assert problem in str(caught.value)
    assert caught.value.url == URL


@pytest.mark.parametrize("document", [None, [], 5, "text"])
def test_a_task_is_an_object(document: object) -> None:
    with pytest.raises(ReplyError, match=r"reply is|data.segmentation\.id is null"):
        parse_task(document, task=7, url=URL)


def test_an_aggregate_keeps_its_confidences() -> None:
    seen = parse_aggregate({"segments": {"5": 0.25, "4": None}, "weight": 3, "votes": {"total": 2}, "x": 1}, url=URL)
    assert seen == AggregateRecord({4: 0.0, 5: 0.25}, weight=3.0, votes_total=2.0)


@pytest.mark.parametrize("document", [{}, {"segments": None}, {"segments": []}, {"segments": "{}", "votes": None}])
def test_an_aggregate_may_be_empty(document: Any) -> None:
    assert parse_aggregate(document, url=URL) == AggregateRecord()


def test_a_wrong_aggregate_is_refused() -> None:
    with pytest.raises(ReplyError, match="segments is a number, not an object"):
        parse_aggregate({"segments": 5}, url=URL)


def test_tasks_of_a_cell_are_listed_once_each() -> None:
    rows = [{"id": 7, "status": 10, "bounds": BOX, "weight": 3}, {"id": "8"}, {"id": 7}]
    expected = (CellTask(7), CellTask(8))
    assert parse_cell_tasks({"tasks": rows, "root": {}}, url=URL) == expected
    assert parse_cell_tasks(rows[:1], url=URL) == (CellTask(7, 10, Bounds((3, 2, 1), (259, 258, 257))),)
    assert parse_cell_tasks({"tasks": None}, url=URL) == ()


@pytest.mark.parametrize("document", [{"tasks": 5}, {"tasks": [5]}, {"tasks": [{"id": None}]}, "text"])
def test_a_wrong_list_of_tasks_is_refused(document: Any) -> None:
    with pytest.raises(ReplyError, match="unexpected reply from http://api"):
        parse_cell_tasks(document, url=URL)


def test_cells_are_known_by_either_id() -> None:
    assert parse_cells([{"cell": 4, "name": "a"}, {"id": 5, "name": None}], url=URL) == (CellRow(4, "a"), CellRow(5))


def test_a_cell_without_an_id_is_refused() -> None:
    with pytest.raises(ReplyError, match="id of a cell is null"):
        parse_cells([{"name": "a"}], url=URL)


def test_a_web_page_is_not_an_answer() -> None:
    with pytest.raises(ReplyError, match="a web page instead of an answer"):
        read_json(b" <!DOCTYPE html><p>", url=URL)
    with pytest.raises(ReplyError, match="not JSON"):
        read_json(b'{"id": 7', url=URL)


def test_corners_of_a_description_stand_in_x_y_z() -> None:
    assert corner_bounds([1, 2, 3], [5, 6, 7]) == Bounds((3, 2, 1), (7, 6, 5))
    assert corner_bounds([1, 2, 3]) == Bounds((3, 2, 1), (259, 258, 257))
    assert corner_bounds(["x"]) is corner_bounds(None) is corner_bounds([1, 2, 3], [1, 2, 3]) is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["id", "cell", "parent", "status", "prior", "data", "full_path", "bounds", "weightsum", "tasks"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # others share the machine
@given(st.dictionaries(fields, anything))
def test_whatever_comes_is_read_or_refused(document: dict[str, Any]) -> None:
    with suppress(ReplyError):
        task = parse_task(PLAIN | document, task=7, url=URL)
        assert task.id == 7
    for parse in (
        lambda: parse_aggregate(document, url=URL),
        lambda: parse_cell_tasks(document, url=URL),
        lambda: parse_cells(document.get("tasks"), url=URL),
    ):
        with suppress(ReplyError):
            parse()
