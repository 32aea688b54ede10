"""Parts are whole or not there, and belong to one evaluation."""

import numpy as np
import pytest

from ewval.core.errors import DamagedError, UsageError
from ewval.core.evaluation.gathered import Gathered
from ewval.core.evaluation.parts import Part, PartFolder
from ewval.core.evaluation.scoring import COLUMNS


def part(**changes):
    ids = np.array([5, 7])
    rows = {"loops=4": np.arange(2.0 * len(COLUMNS)).reshape(2, -1), "a model, named oddly|": np.full((2, 3), np.nan)}
    values = {"tasks": ids, "cells": ids + 1, "groups": ids + 1, "volumes": ids * 2, "rows": rows}
    return Part(**{**values, "gathered": {name: Gathered() for name in rows}, **changes})


def test_a_part_comes_back_as_it_was(tmp_path):
    parts = PartFolder(tmp_path / "parts", {"model": "a"})
    parts.open()
    parts.write(3, part(failed=((9, "packed volume 9 not found"),)))
    again = parts.read(3)
    assert again.tasks.tolist() == [5, 7]
    assert again.rows.keys() == part().rows.keys()
    for name, rows in part().rows.items():
        assert np.array_equal(again.rows[name], rows, equal_nan=True)
    assert again.failed == ((9, "packed volume 9 not found"),)


def test_parts_of_another_evaluation_are_thrown_away(tmp_path):
    mine, same, other = (PartFolder(tmp_path / "parts", {"model": name}) for name in ("a", "a", "b"))
    mine.open()
    mine.write(0, part())
    same.open()
    assert same.has(0)
    other.open()
    assert not other.has(0)


def test_a_part_with_failed_tasks_is_done_again(tmp_path):
    parts = PartFolder(tmp_path, {})
    parts.open()
    parts.write(0, part(failed=((9, "why"),)))
    assert not parts.has(0)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no archive at all"])
def test_a_damaged_part_is_not_done(tmp_path, content):
    parts = PartFolder(tmp_path, {})
    parts.open()
    (tmp_path / "part-000000.npz").write_bytes(content)
    assert not parts.has(0)
    with pytest.raises(DamagedError, match=r"part-000000\.npz is damaged"):
        parts.read(0)


def test_removing_leaves_nothing(tmp_path):
    parts = PartFolder(tmp_path / "parts", {})
    parts.open()
    parts.write(0, part())
    parts.remove()
    assert not (tmp_path / "parts").exists()


IDENTITY = {"version": "1", "code": 7, "tasks": "0f"}


@pytest.mark.parametrize("name", ["notes.txt", "part-list.npz", "deeper/part-000000.npz"])
def test_files_of_the_user_beside_the_parts_stay(tmp_path, name):
    mine = tmp_path / "parts" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    for identity in (IDENTITY, IDENTITY | {"code": 8}):
        parts = PartFolder(tmp_path / "parts", identity)
        parts.open()
        assert not parts.has(0)
        parts.write(0, part())
    parts.remove()
    assert [path for path in (tmp_path / "parts").rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["part-000000.npz", "identity.json"])
@pytest.mark.parametrize("content", [b"mine", b'{"name": "Ann"}', b"[1]"])
def test_files_of_the_user_under_the_names_of_parts_are_refused(tmp_path, name, content):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / name).write_bytes(content)
    with pytest.raises(UsageError, match=r"parts holds files that are not of an evaluation; move it, or choose"):
        PartFolder(tmp_path / "parts", IDENTITY).open()
    assert (tmp_path / "parts" / name).read_bytes() == content
