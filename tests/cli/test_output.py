"""Results on stdout, messages on stderr."""

import json

import pytest

from ewval.cli.output import Output, message


def show(output: Output, capsys: pytest.CaptureFixture[str]) -> str:
    output.result({"done": 2}, text="two done", ids=[1, 2])
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_a_result_is_text_json_or_ids(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(Output(), capsys) == "two done\n"
    assert json.loads(show(Output(json=True), capsys)) == {"done": 2}
    assert show(Output(quiet=True), capsys) == "1\n2\n"


def test_messages_are_ascii_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    message("caf\u00e9")
    assert capsys.readouterr() == ("", "caf\\xe9\n")


def test_notes_are_left_out_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    Output(quiet=True).note("hello")
    Output().note("hello")
    assert capsys.readouterr().err == "hello\n"


def test_json_refuses_what_is_not_json() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        Output(json=True).json_line({"iou": float("nan")})


def test_a_table_is_ascii_with_numbers_to_the_right(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    Output().table(["id", "verdict"], [[7, "add"], [1407, "reject"]], title="segments")
    assert capsys.readouterr().out == (
        "segments\n"
        "+------+---------+\n"
        "|   id | verdict |\n"
        "+------+---------+\n"
        "|    7 | add     |\n"
        "| 1407 | reject  |\n"
        "+------+---------+\n"
    )
    monkeypatch.setenv("COLUMNS", "12")
    Output().table(["id", "verdict"], [[7, "add"], [1407, "reject"]], title="segments")
    assert capsys.readouterr().out == "segments\nid: 7\nverdict: add\n\nid: 1407\nverdict: reject\n"
