"""Models whose weights or answers are no numbers are refused by name, and nothing that is written holds NaN."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from bars import write_bar_folder
from ewval.core.models.files import read_weights, write_weights
from ewval.core.models.registry import find_model

Cli = Callable[..., Result]
NO_NUMBERS = [np.nan, np.inf, -np.inf]
COMMANDS = [("predict", 1001, "--json"), ("eval", "--no-report", "--json"), ("predict", 1001, "--out", "answers")]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_bar_folder(tmp_path / "ewval-data")
    return tmp_path / "ewval-data"


def refuses(result: Result, model: str) -> None:
    assert result.exit_code == 6, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith("ewval: ")]
    assert len(lines) == 1
    assert model in lines[0]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["graph", "lwunet"])
def test_weights_that_are_no_numbers_are_refused_at_load(
    cli: Cli, data: Path, tmp_path: Path, name: str, command: tuple[object, ...], value: float
) -> None:
    card, arrays = read_weights(find_model(name))
    key = next(key for key in sorted(arrays) if arrays[key].dtype.kind == "f" and not key.endswith(".bound"))
    spoiled = arrays[key].copy()
    spoiled.flat[0] = value
    write_weights(tmp_path / "spoiled.safetensors", card, {**arrays, key: spoiled})
    refuses(cli(*command, "--model", "spoiled.safetensors"), "spoiled.safetensors")
    assert not list(tmp_path.rglob("prediction.json"))
    assert not list(tmp_path.rglob("metrics.json"))


@pytest.mark.parametrize("command", COMMANDS[:2])
def test_answers_that_are_no_numbers_are_refused_though_the_weights_are(
    cli: Cli, data: Path, tmp_path: Path, command: tuple[object, ...]
) -> None:
    card, arrays = read_weights(find_model("lwunet"))
    huge = {
        key: np.full_like(array, np.finfo(array.dtype).max) if array.dtype.kind == "f" else array
        for key, array in arrays.items()
    }
    write_weights(tmp_path / "huge.safetensors", replace(card, name="huge"), huge)
    refuses(cli(*command, "--model", "huge.safetensors"), "huge")


@pytest.mark.parametrize("field", ["temperature", "add_threshold", "maybe_threshold"])
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", '"x"', "null", "[]"])
def test_cards_that_hold_no_numbers_are_refused(cli: Cli, data: Path, tmp_path: Path, field: str, text: str) -> None:
    packaged = find_model("graph")
    shutil.copy(packaged, tmp_path / "mine.safetensors")
    card = json.loads(packaged.with_suffix(".json").read_bytes())
    line = json.dumps({**card, field: "HERE"}).replace('"HERE"', text)
    (tmp_path / "mine.json").write_text(line, encoding="utf-8")
    refuses(cli("predict", 1001, "--model", "mine.safetensors"), "mine")


def test_a_saved_answer_that_holds_nan_is_found_anew(cli: Cli, data: Path, tmp_path: Path) -> None:
    words = ("predict", 1001, 1002, "--out", "answers", "--json")
    first = cli(*words)
    assert first.exit_code == 0, first.output
    path = tmp_path / "answers" / "1001" / "prediction.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"agreement": ', '"agreement": NaN, "was": '), encoding="utf-8"
    )
    again = cli(*words)
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    assert "NaN" not in path.read_text(encoding="utf-8")


def no_nan(value: Any) -> None:
    raise AssertionError(f"{value} in JSON")


def test_no_json_that_an_evaluation_leaves_holds_nan(cli: Cli, data: Path, tmp_path: Path) -> None:
    assert cli("eval", "--out", "scores", "--no-report").exit_code in (0, 6)
    files = list((tmp_path / "scores").rglob("*.json"))
    assert {path.name for path in files} >= {"metrics.json"}
    for path in files:
        json.loads(path.read_bytes(), parse_constant=no_nan)
