"""Every foreseen failure has an exit code and one line that says what to do."""

import pickle

import pytest

from ewval.cli.errors import TABLE, Exit, describe, exit_code, report
from ewval.core import errors
from ewval.core.constants import ENV_DEBUG

EXAMPLES = [
    (errors.UsageError("--limit must be positive"), Exit.USAGE),
    (errors.SettingError("0 leaves no task", setting="limit"), Exit.USAGE),
    (errors.RecipeError("mine.toml", "optimizer.clip", "must be a number"), Exit.USAGE),
    (errors.TokenMissingError(), Exit.CREDENTIAL),
    (errors.TokenRefusedError("https://eyewire.org/1.0/task/1", 403), Exit.CREDENTIAL),
    (errors.UnreachableError("https://eyewire.org", "connection refused"), Exit.SERVER),
    (errors.ThrottledError("https://eyewire.org"), Exit.SERVER),
    (errors.ReplyError("https://eyewire.org/1.0/task/1", "HTML, not JSON"), Exit.SERVER),
    (errors.DamagedError("raw/7/jpg/3.jpg", "not a JPEG"), Exit.DATA),
    (errors.MissingError("task 12", hint="check the id"), Exit.DATA),
    (errors.DeviceError("cuda", "no CUDA device"), Exit.UNAVAILABLE),
    (errors.ExtraError("cluster", "distributed"), Exit.UNAVAILABLE),
]


def subclasses(kind: type[errors.EwvalError]) -> set[type[errors.EwvalError]]:
    return {kind, *(deep for child in kind.__subclasses__() for deep in subclasses(child))}


def test_every_class_stands_in_the_table() -> None:
    assert {kind for kind, _, _ in TABLE} == subclasses(errors.EwvalError)


def test_no_class_is_hidden_behind_its_base() -> None:
    for position, (kind, _, _) in enumerate(TABLE):
        assert not any(issubclass(kind, earlier) for earlier, _, _ in TABLE[:position])


@pytest.mark.parametrize(("error", "code"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_each_failure_is_one_line_with_its_exit_code(error: errors.EwvalError, code: Exit) -> None:
    line = describe(error)
    assert exit_code(error) is code
    assert "\n" not in line
    assert error.problem in line if isinstance(error, errors.SettingError) else str(error) in line


@pytest.mark.parametrize(("error", "code"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_failure_survives_the_way_out_of_a_worker_process(error: errors.EwvalError, code: Exit) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)


def test_a_setting_is_named_by_its_option() -> None:
    assert describe(errors.SettingError("3 is odd", setting="batch_size")) == "--batch-size 3 is odd"
    assert describe(errors.SettingError("'exam' is no side", setting="side")) == "--split 'exam' is no side"


def test_an_extra_is_named_in_the_command_that_installs_it() -> None:
    assert describe(errors.ExtraError("cluster", "distributed")).endswith("`pip install 'ewval[cluster]'`")


def test_a_report_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENV_DEBUG, raising=False)
    assert report(errors.MissingError("task 12", hint="check the id")) is Exit.DATA
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "ewval: task 12 not found; check the id\n"


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV_DEBUG, "1")
    report(errors.MissingError("task 12"))
    assert "MissingError" in capsys.readouterr().err
