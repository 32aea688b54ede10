"""Ids and folders as the user gives them."""

import io
from pathlib import Path

import pytest

from ewval.cli.options import data_folder, hold_nothing, parse_ids
from ewval.core.errors import UsageError


def stdin(text: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode()))


def test_ids_keep_their_order_and_lose_their_repetitions() -> None:
    assert parse_ids(["3", "1", "3", "2"]) == (3, 1, 2)


def test_no_list_and_an_empty_one_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", stdin("# none\n"))
    nothing_given, none_in_it = parse_ids(None), parse_ids(["-"])
    assert (nothing_given, none_in_it) == (None, ())
    assert [hold_nothing(*lists) for lists in ((None,), ((),), (None, ()), ((), (3,)), (None, None))] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_a_closed_stdin_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="- reads ids from stdin, which is closed"):
        parse_ids(["-"])


def test_leading_zeros_are_read_and_thousands_of_digits_are_refused_in_a_short_line() -> None:
    assert parse_ids(["007", "0" * 5000 + "7"]) == (7,)
    with pytest.raises(UsageError) as caught:
        parse_ids(["9" * 5000])
    assert len(str(caught.value)) < 120


def test_a_dash_reads_ids_from_stdin_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", stdin("# failed yesterday\n12\n\n 13 # 404\n"))
    assert parse_ids(["11", "-"]) == (11, 12, 13)


@pytest.mark.parametrize("word", ["x", "-3", "0", "1.5", "1e3", "", "\u0663", str(2**63)])
def test_nonsense_ids_are_named(word: str) -> None:
    with pytest.raises(UsageError, match="is not a task id"):
        parse_ids([word])


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is not a folder"):
        data_folder(tmp_path / "file")


def test_a_data_folder_that_must_exist_is_missed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no data folder"):
        data_folder(tmp_path / "none", must_exist=True)
