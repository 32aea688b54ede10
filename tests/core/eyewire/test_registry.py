"""A registry asks for finished cells of the mouse, and says how many rows each rule left out."""

from pathlib import Path

import pytest

from ewval.core.errors import MissingError, RegistryError
from ewval.core.eyewire.registry import COLUMNS, RegistryRow, Selection, read_registry, select_cells

HEAD = "Cell ID,Name,Status,Size,Tags,Notes\n"


def registry(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cells.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_ids_may_be_floats_and_tags_are_json(tmp_path: Path) -> None:
    rows = read_registry(
        registry(tmp_path, HEAD + '63728.0,a,Completed,"6,887","{""mystic"": 1}",\n7,b,Active,,{},x\n')
    )
    assert rows == [RegistryRow(63728, "a", "Completed", 6887.0, True), RegistryRow(7, "b", "Active", 0.0, False)]


def test_a_mark_of_byte_order_and_spaces_are_no_part_of_the_names(tmp_path: Path) -> None:
    path = registry(tmp_path, "\ufeffCell ID, Name , Status,Size,Tags\n5, a ,Completed,1,\n")
    assert read_registry(path) == [RegistryRow(5, "a", "Completed", 1.0, False)]


@pytest.mark.parametrize("text", ["", "x", "12.5", "-4", "0", "0x10", "12;5"])
def test_a_row_without_a_usable_id_is_counted(tmp_path: Path, text: str) -> None:
    rows = read_registry(registry(tmp_path, HEAD + f"{text},a,Completed,5,{{}},\n"))
    assert select_cells(rows) == Selection((), {"no cell id": 1})


def row(cell: int, *, name: str = "a", status: str = "Completed", size: float = 5, mystic: bool = False) -> RegistryRow:
    return RegistryRow(cell, name, status, size, mystic)


def test_each_rule_counts_what_it_drops() -> None:
    rows = [
        row(1),
        row(2, status="Active"),
        row(3, size=0),
        row(4, mystic=True),
        row(5, name="SN-3"),
        row(6, name="70083 left"),
        row(1),
        row(7, status="completed"),
    ]
    dropped = {"not completed": 1, "size 0": 1, "tagged mystic": 1, "name of another data set": 2, "listed twice": 1}
    assert select_cells(rows) == Selection((1, 7), dropped)


def test_what_the_api_says_of_a_data_set_beats_tag_and_name() -> None:
    rows = [row(1, name="SN-1"), row(2), row(3, mystic=True), row(4, mystic=True)]
    assert select_cells(rows, mouse={1, 3}, others={2}) == Selection((1, 3), {"other data set": 1, "tagged mystic": 1})


def test_tags_that_are_not_json_are_searched(tmp_path: Path) -> None:
    path = registry(tmp_path, HEAD + '1,a,Completed,5,"{\'x\'} ""mystic""",\n2,a,Completed,5,"[""mystic""]",\n')
    assert [item.is_mystic for item in read_registry(path)] == [True, True]


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="it has no column 'Status', 'Tags'"):
        read_registry(registry(tmp_path, "Cell ID,Name,Size\n1,a,5\n"))
    with pytest.raises(RegistryError, match="it has no column"):
        read_registry(registry(tmp_path, "1234\n"))


@pytest.mark.parametrize("text", ["", "\n", " \n\n", HEAD])
def test_a_file_that_holds_nothing_asks_for_no_cells(tmp_path: Path, text: str) -> None:
    assert read_registry(registry(tmp_path, text)) == []


def test_a_byte_of_another_code_page_spoils_no_row(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_bytes(b"Cell ID,Name,Status,Size,Tags\n7,Jos\xe9,Completed,5,\n\xff\xfe,,,,\n")
    assert [(row.id, row.name) for row in read_registry(path)] == [(7, "Jos\u00e9"), (None, "")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_any_separator_in_any_encoding_is_read(tmp_path: Path, separator: str, encoding: str) -> None:
    lines = [COLUMNS, ("77960", "Jos\u00e9", "Completed", "1.234.567", "{}")]
    path = tmp_path / "cells.csv"
    path.write_bytes("".join(separator.join(line) + "\r\n" for line in lines).encode(encoding))
    assert read_registry(path) == [RegistryRow(77960, "Jos\u00e9", "Completed", 1234567.0, False)]


def test_a_separator_may_stand_in_a_value(tmp_path: Path) -> None:
    path = registry(tmp_path, 'Cell ID;Name;Status;Size;Tags\n7;"a;b, c";Completed;1,5;"{""mystic"": 1}"\n')
    assert read_registry(path) == [RegistryRow(7, "a;b, c", "Completed", 1.5, True)]


def test_the_line_that_names_the_separator_is_no_row(tmp_path: Path) -> None:
    path = registry(tmp_path, "sep=;\r\nCell ID;Name;Status;Size;Tags\r\n7;a;Completed;5;\r\n")
    assert [row.id for row in read_registry(path)] == [7]


def test_a_size_that_cannot_be_read_is_counted_as_such_and_never_as_zero(tmp_path: Path) -> None:
    lines = "".join(f'{cell},a,Completed,"{size}",{{}},\n' for cell, size in enumerate(("many", "0", "5", "1.2 M"), 1))
    selection = select_cells(read_registry(registry(tmp_path, HEAD + lines)))
    assert selection == Selection((3,), {"unreadable size": 2, "size 0": 1})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"registry .*none.csv not found; no such file"):
        read_registry(tmp_path / "none.csv")


def test_the_real_registry_keeps_the_mouse(shared: Path) -> None:
    selection = select_cells(read_registry(shared / "data" / "fib25" / "cells.csv"))
    assert 61947 in selection.cells
    assert {61677, 62934} & set(selection.cells) == set()
    assert set(selection.dropped) == {"not completed", "size 0", "tagged mystic", "name of another data set"}
