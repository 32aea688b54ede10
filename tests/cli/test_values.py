"""One value means the same from an option, a variable and ewval.toml."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from ewval.cli.values import typed
from ewval.core.errors import UsageError
from worlds import line_of_cells, write_world

Cli = Callable[..., Result]
SOURCES = ["option", "variable", "file", "table"]


@pytest.fixture
def give(cli: Cli, tmp_path: Path) -> Callable[..., Result]:
    """Run a command that gets one value by `source`: `give("variable", "predict", 7, model="a b")`."""

    def run(source: str, command: str, *words: object, **values: str) -> Result:
        ((name, value),) = values.items()
        if source == "option":
            return cli(command, *words, f"--{name}", value)
        if source == "variable":
            return cli(command, *words, env={f"EWVAL_{name.upper()}": value})
        head = f"[{command}]\n" if source == "table" else ""
        (tmp_path / "ewval.toml").write_text(f"{head}{name} = {json.dumps(value)}\n", encoding="utf-8")
        return cli(command, *words)

    return run


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("command", [("predict", 7), ("eval",)])
@pytest.mark.parametrize("model", ["my model", " two  blanks ", "a,b", "a:b", "a;b"])
def test_a_model_whose_name_holds_separators_is_one_model(
    give: Callable[..., Result], tmp_path: Path, command: tuple[object, ...], model: str, source: str
) -> None:
    (tmp_path / "ewval-data").mkdir()
    result = give(source, *command, model=model)
    assert result.exit_code == 6, result.output
    assert result.stderr.startswith(f"ewval: model {' '.join(model.split())} not found; ")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("data", ["~/eyewire", "~/", "~"])
@pytest.mark.parametrize("command", ["index", "doctor", "pack"])
def test_a_folder_below_home(
    give: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    data: str,
    source: str,
) -> None:
    home = tmp_path / "home"
    write_world(home / data.removeprefix("~").strip("/"), line_of_cells(3))
    monkeypatch.setenv("HOME", str(home))
    result = give(source, command, "-q", data=data)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("words", [("--out", "~/out"), ("--out=~/out",)])
def test_every_path_may_lie_below_home(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    write_world(tmp_path / "ewval-data", line_of_cells(3))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cli("index", "--cell", 1001, *words).exit_code == 0
    assert (tmp_path / "home" / "out" / "task_vol.json").is_file()
    assert not (tmp_path / "~").exists()


def test_a_model_may_lie_below_home(
    give: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    result = give("variable", "predict", 7, model="~/none.safetensors")
    assert result.exit_code == 6
    assert str(tmp_path / "home" / "none.safetensors") in result.stderr


def test_a_home_that_nobody_knows_is_named(cli: Cli, tmp_path: Path) -> None:
    result = cli("doctor", "--data", "~nobody-of-this-name/data")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("ewval: ~nobody-of-this-name/data: no such home folder is known")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("cell = 1001", 0),
        ('cell = "1001"', 0),
        ("cell = [1001, 1002]", 0),
        ("[index]\ncell = 1001", 0),
        ("test-fraction = 0.2", 0),
        ('test-fraction = "0.2"', 0),
        ("cell = []", 2),
        ("cell = true", 2),
        ("cell = 2026-01-01", 2),
        ("data = 5", 2),
        ('data = ["a", "b"]', 2),
        ("quiet = 1", 2),
        ('json = "yes"', 2),
        ("test-fraction = nan", 2),
        ("test-fraction = true", 2),
        ("folds = 1.5", 2),
        ("folds = 99999999999999999999999999", 2),
        ("model = []", 0),  # another command's
    ],
)
def test_values_of_the_file_are_read_as_if_they_were_typed(cli: Cli, tmp_path: Path, text: str, code: int) -> None:
    write_world(tmp_path / "ewval-data", line_of_cells(20))
    (tmp_path / "ewval.toml").write_text(text, encoding="utf-8")
    result = cli("index")
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output


def test_values_that_no_option_takes_are_named() -> None:
    with pytest.raises(UsageError, match=r"ewval\.toml: cell is an empty list; name something, or leave cell out"):
        typed([], "many", key="cell")
    with pytest.raises(UsageError, match=r"ewval\.toml: json is true or false"):
        typed("yes", "flag", key="json")
    with pytest.raises(UsageError, match=r"ewval\.toml: data takes text or a number"):
        typed({}, "one", key="data")
