"""Recipes: packaged ones by name, files by path, each mistake by its key, and written as they are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from ewval.core.errors import MissingError, RecipeError
from ewval.core.recipe import Recipe, check_recipe, override, read_recipe, recipe_names, write_recipe


@dataclass(frozen=True, slots=True)
class Rates:
    first: float = 0.5
    note: str | None = None

    def __post_init__(self) -> None:
        if self.first <= 0:
            raise ValueError("first must be > 0")


class Form(Recipe):
    arch: Literal["toy"]
    steps: int = 3
    rates: Rates = Rates()
    widths: tuple[int, ...] = (1, 2)


def test_packaged_recipes_are_found_by_name() -> None:
    assert {"lwunet", "seed-2019"} <= set(recipe_names())
    assert read_recipe("seed-2019")["loss"] == {"name": "bayes"}


def test_a_name_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(MissingError, match=r"recipe mine not found; name a \.toml file or one of: .*lwunet"):
        read_recipe("mine")


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"mine\.toml not found"):
        read_recipe(str(tmp_path / "mine.toml"))


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("arch = ")
    with pytest.raises(RecipeError, match=r"recipe .*mine\.toml: Invalid value"):
        read_recipe(str(path))


def test_values_from_the_command_line_stand_over_those_of_the_recipe() -> None:
    table = {"arch": "toy", "rates": {"first": 0.1}}
    changed = override(table, {"steps": 7, "rates.first": 0.2, "rates.note": None, "other.key": 1})
    assert changed == {"arch": "toy", "steps": 7, "rates": {"first": 0.2}, "other": {"key": 1}}
    assert table == {"arch": "toy", "rates": {"first": 0.1}}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"arch": "toy", "stepz": 1}, r"recipe mine: stepz: Extra inputs are not permitted"),
        ({"arch": "toy", "rates": {"last": 1}}, r"recipe mine: rates\.last: Unexpected keyword argument"),
        ({"arch": "toy", "rates": {"first": 0}}, r"recipe mine: rates: first must be > 0"),
        ({"arch": "other"}, r"recipe mine: arch: Input should be 'toy'"),
        ({}, r"recipe mine: arch: Field required"),
        ({"arch": "toy", "steps": "some"}, r"recipe mine: steps: Input should be a valid integer"),
    ],
)
def test_what_the_form_refuses_is_named_by_its_key(table: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        check_recipe(Form, table, name="mine")


def test_a_written_recipe_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    recipe = check_recipe(Form, {"arch": "toy", "rates": {"note": 'say "so"\n'}, "widths": [4, 8]}, name="mine")
    write_recipe(path, recipe)
    assert check_recipe(Form, read_recipe(str(path)), name="again") == recipe
