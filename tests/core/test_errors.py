"""Errors of `core` and `nn` speak of settings by their Python names: only the command line knows its options."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import ewval
from ewval.core.errors import SettingError

SOURCE = Path(ewval.__file__).parent
OPTION = re.compile(r"(?<![\\w`-])--[a-z][a-z-]+")


def raised_texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            for part in ast.walk(node.exc):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def test_no_error_outside_the_command_line_names_an_option() -> None:
    own_parsers = {"make_lessons.py"}  # it is a command line itself
    paths = [path for room in ("core", "nn") for path in (SOURCE / room).rglob("*.py") if path.name not in own_parsers]
    assert {str(path): text for path in paths for text in raised_texts(path) if OPTION.search(text)} == {}


def test_a_setting_is_named_as_in_python() -> None:
    assert str(SettingError("3 cannot be shared by 2 processes", setting="batch_size")).startswith(
        "batch_size 3 cannot"
    )
