"""What may be asked of an evaluation, and what is refused."""

import pytest

from ewval.core.errors import UsageError
from ewval.core.evaluation.request import parse_loops, parse_side
from ewval.core.evaluation.run import EvalRequest


@pytest.mark.parametrize("text", ["", "x", "4,", "-1", "1.5", "4 1"])
def test_loops_that_are_no_numbers_are_refused(text):
    with pytest.raises(UsageError, match="is not a list of whole numbers, such as 4,1"):
        parse_loops(text)


def test_results_never_go_into_a_file(bar_folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file is not a folder"):
        EvalRequest(bar_folder, tmp_path / "file")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loops": (0,)}, "loops wants whole numbers from 1 to 64"),
        ({"loops": (99,)}, "loops wants whole numbers from 1 to 64"),
        ({"loops": (4, 4)}, "loops repeats a number"),
        ({"limit": 0}, "limit 0 leaves no task"),
    ],
)
def test_requests_that_make_no_sense_are_refused(bar_folder, options, message):
    with pytest.raises(UsageError, match=message):
        EvalRequest(bar_folder, **options)


def test_sides_that_do_not_exist_are_refused():
    assert parse_side("val") == "val"
    with pytest.raises(UsageError, match="side 'exam' is none of test, val, train, all"):
        parse_side("exam")
