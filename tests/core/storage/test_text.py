"""Text and JSON as Windows tools leave them."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ewval
from ewval.core.storage.text import parse_json, read_text, to_text

SOURCES = Path(ewval.__file__).parent
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_is_read_whatever_it_was_saved_as(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "text").write_bytes("12  # São Paulo €\r\n13\r\n".encode(encoding))
    assert read_text(tmp_path / "text") == "12  # São Paulo €\r\n13\r\n"


def test_marks_where_files_were_joined_are_dropped() -> None:
    assert to_text(b"\xef\xbb\xbf12\n\xef\xbb\xbf13\n") == "12\n13\n"


def test_a_byte_that_is_no_utf8_spoils_nothing_else() -> None:
    assert to_text(b"12  # caf\xe9 \x80\n13\n") == "12  # caf\u00e9 \u20ac\n13\n"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_read_whatever_it_was_saved_as(encoding: str) -> None:
    assert parse_json('{"name": "\u00e9", "id": 7}'.encode(encoding)) == {"name": "\u00e9", "id": 7}


def test_json_with_a_byte_of_latin_1_is_read() -> None:
    assert parse_json(b'{"name": "caf\xe9"}') == {"name": "caf\u00e9"}


@pytest.mark.parametrize("content", [b"", b"{", b"NaN", b"[Infinity]", b"\xff\xfe", b"[" * 100_000, b"\0", b"7 8"])
def test_what_is_no_json_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011, the text is the parser's
        parse_json(content)


@given(st.binary(max_size=64))
def test_any_bytes_are_text(content: bytes) -> None:
    assert "\ufeff" not in to_text(content)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff")), st.sampled_from(ENCODINGS[1:3]))
def test_marked_text_round_trips(text: str, encoding: str) -> None:
    assert to_text(text.encode(encoding)) == text


def test_text_names_its_encoding_and_json_takes_no_nan() -> None:
    needed = {"read_text": "encoding", "write_text": "encoding", "json.dumps": "allow_nan"}
    for path in SOURCES.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                name = "json.dumps" if ast.unparse(call.func) == "json.dumps" else call.func.attr
                words = {keyword.arg for keyword in call.keywords}
                assert needed.get(name) in (None, *words), f"{path}, line {call.lineno}: {name}"
