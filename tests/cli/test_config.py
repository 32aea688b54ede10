"""ewval.toml gives defaults, and a typing error in it is found."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ewval.cli.app import app
from ewval.cli.config import default_map, read_config
from ewval.core.errors import UsageError

OPTIONS = {"fetch": ["data", "api_rate"], "train": ["data", "epochs"]}


def test_a_key_at_the_top_goes_to_every_command_that_takes_it() -> None:
    assert default_map({"data": "d", "epochs": 2}, OPTIONS) == {
        "fetch": {"data": "d"},
        "train": {"data": "d", "epochs": 2},
    }


def test_a_table_goes_to_its_command_alone_and_wins() -> None:
    config = {"data": "d", "fetch": {"api-rate": 2, "data": "e"}}
    assert default_map(config, OPTIONS) == {"fetch": {"data": "e", "api_rate": 2}, "train": {"data": "d"}}


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"dta": "d"}, "no command has an option 'dta'"),
        ({"fetsh": {}}, "no command 'fetsh'"),
        ({"fetch": {"epochs": 2}}, "`ewval fetch` has no option 'epochs'"),
    ],
)
def test_a_key_that_nobody_takes_is_named(config: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        default_map(config, OPTIONS)


def test_no_file_is_no_configuration(tmp_path: Path) -> None:
    assert read_config(tmp_path / "ewval.toml") == {}


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "ewval.toml").write_text("data = ")
    with pytest.raises(UsageError, match=r"ewval\.toml: "):
        read_config(tmp_path / "ewval.toml")


def run_doctor(*arguments: str, env: dict[str, str | None] | None = None) -> str:
    result = CliRunner(env=env or {}).invoke(app, ["doctor", *arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_option_beats_variable_beats_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EWVAL_DATA", raising=False)
    (tmp_path / "ewval.toml").write_text('data = "from-file"\n')
    assert "from-file does not exist yet" in run_doctor()
    assert "from-variable does not exist yet" in run_doctor(env={"EWVAL_DATA": "from-variable"})
    assert "from-option does not exist yet" in run_doctor("--data", "from-option", env={"EWVAL_DATA": "from-variable"})


def test_a_bad_configuration_file_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ewval.toml").write_text("colour = 1\n")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 2
    assert result.stderr == "ewval: ewval.toml: no command has an option 'colour'\n"
