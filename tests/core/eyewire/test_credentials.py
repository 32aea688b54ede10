"""The token comes from the environment, else from a file."""

from pathlib import Path

import pytest

from ewval.core.errors import MissingError, UsageError
from ewval.core.eyewire.credentials import read_token


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EWVAL_TOKEN", raising=False)
    monkeypatch.delenv("EW_OAUTH2", raising=False)


def test_own_variable_beats_the_old_one_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text("from-file\n")
    assert read_token() is None
    assert read_token(path) == "from-file"
    monkeypatch.setenv("EW_OAUTH2", "from-old-variable")
    assert read_token(path) == "from-old-variable"
    monkeypatch.setenv("EWVAL_TOKEN", " from-variable ")
    assert read_token(path) == "from-variable"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"token file .*none not found"):
        read_token(tmp_path / "none")


def test_an_empty_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with pytest.raises(UsageError, match="is empty"):
        read_token(tmp_path / "token")
