"""Training recipes: TOML files that say how a model is trained, packaged by name or written by the user.

A recipe holds what belongs to the method. What belongs to one run (data, folder, fold, seed, device) stays on the
command line, and the few numbers that a person often changes can be set there over those of the recipe.
"""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ewval.core.errors import MissingError, RecipeError
from ewval.core.storage.files import write_atomically
from ewval.core.storage.text import parse_toml, read_text

SUFFIX = ".toml"
_PACKAGED = "recipes"


class Recipe(BaseModel):
    """Base of the forms: unknown keys are refused, values stay as they were read.

    Fields may be plain dataclasses; these are validated too, and what their own checks raise is reported by key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    arch: str


Form = TypeVar("Form", bound=Recipe)


def recipe_names() -> tuple[str, ...]:
    """Return the names of the packaged recipes, sorted."""
    files = (resources.files("ewval") / _PACKAGED).iterdir()
    return tuple(sorted(file.name.removesuffix(SUFFIX) for file in files if file.name.endswith(SUFFIX)))


def read_recipe(which: str) -> dict[str, Any]:
    """Return the table of a recipe, not validated yet.

    Args:
        which: The name of a packaged recipe, or the path of a file that ends in .toml.

    Raises:
        MissingError: There is none.
        RecipeError: The file cannot be read, or is not TOML.
    """
    try:
        return parse_toml(_text(which))
    except (OSError, ValueError) as error:
        raise RecipeError(which, "", str(error)) from error


def _text(which: str) -> str:
    if which.endswith(SUFFIX):
        path = Path(which)
        if not path.is_file():
            raise MissingError(f"recipe {which}")
        return read_text(path)
    if which not in recipe_names():
        raise MissingError(f"recipe {which}", hint=f"name a .toml file or one of: {', '.join(recipe_names())}")
    return (resources.files("ewval") / _PACKAGED / (which + SUFFIX)).read_text(encoding="utf-8")


def override(table: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `table` with `values` in place of its own; keys are such as `optimizer.learning_rate`, None keeps."""
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in table.items()}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        if value is not None:
            (result.setdefault(section, {}) if section else result)[name] = value
    return result


def check_recipe(form: type[Form], table: Mapping[str, Any], *, name: str) -> Form:
    """Return `table` as a `form`.

    Raises:
        RecipeError: An unknown key, or a value that the form refuses; the first one is named.
    """
    try:
        return form.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RecipeError(name, key, first["msg"].removeprefix("Value error, ")) from error


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write `recipe` as TOML; `read_recipe(str(path))` gives it back."""
    write_atomically(path, "\n".join(_lines(recipe.model_dump(mode="json"))).encode() + b"\n")


def _lines(table: Mapping[str, Any], *, above: str = "") -> list[str]:
    lines = [f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, dict | None)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", f"[{above}{key}]", *_lines(value, above=f"{above}{key}.")]
    return lines


def _value(value: Any) -> str:
    # Strings, booleans, finite numbers and lists of these are written in TOML as in JSON.
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
