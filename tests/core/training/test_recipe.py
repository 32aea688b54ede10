"""Recipes of forests: the packaged ones are read, and every key of every form is documented."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from ewval.core.errors import RecipeError
from ewval.core.recipe import check_recipe, read_recipe, write_recipe
from ewval.core.sim.lessons import LOOKS
from ewval.core.training.augmented import AugmentedCubes
from ewval.core.training.recipe import GeneratedCubes, GraphRecipe, Look
from ewval.nn.training.recipe import NetworkRecipe, Pretraining

DOCS = Path(__file__).resolve().parents[3] / "docs" / "recipes.md"


@pytest.mark.parametrize("name", ["graph", "graph-packaged"])
def test_packaged_recipes_of_forests_are_whole(name: str) -> None:
    recipe = check_recipe(GraphRecipe, read_recipe(name), name=name)
    assert recipe.arch == "graph"
    assert set(recipe.model_dump(mode="json")) - set(read_recipe(name)) <= {
        "left_out",
        "alike",
        "augmented",
        "generated",
    }


def test_generated_cubes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="cubes and tasks must be at least 1, weight above 0"):
        GeneratedCubes(weight=0)


def test_generated_cubes_have_a_look_that_is_known() -> None:
    assert set(get_args(Look)) == set(LOOKS)
    with pytest.raises(RecipeError, match=r"generated\.green"):
        check_recipe(GraphRecipe, {"generated": {"green": {"cubes": 3}}}, name="mine")


def test_generated_cubes_of_two_looks_share_no_seed() -> None:
    with pytest.raises(RecipeError, match="generated cubes of different looks need different seeds"):
        check_recipe(GraphRecipe, {"generated": {"any": {"cubes": 3}, "retina": {"cubes": 3}}}, name="mine")


def test_generated_cubes_are_written_and_read_by_their_look(tmp_path: Path) -> None:
    recipe = GraphRecipe(generated={"any": GeneratedCubes(cubes=3), "retina": GeneratedCubes(weight=0.3, seed=2)})
    write_recipe(tmp_path / "recipe.toml", recipe)
    assert check_recipe(GraphRecipe, read_recipe(str(tmp_path / "recipe.toml")), name="same") == recipe


def keys(form: type[BaseModel], optional: dict[str, Any]) -> set[str]:
    found = set()
    for name, field in form.model_fields.items():
        table = optional.get(name) or (type(field.default) if is_dataclass(field.default) else None)
        section = "generated.LOOK" if table is GeneratedCubes else name
        found |= {name} if table is None else {f"{section}.{part.name}" for part in fields(table)}
    return found


@pytest.mark.parametrize(
    ("form", "optional"),
    [
        (GraphRecipe, {"augmented": AugmentedCubes, "generated": GeneratedCubes}),
        (NetworkRecipe, {"pretraining": Pretraining}),
    ],
)
def test_every_key_is_documented(form: type[BaseModel], optional: dict[str, Any]) -> None:
    text = DOCS.read_text(encoding="utf-8")

    def is_named(key: str) -> bool:
        section, _, name = key.rpartition(".")
        whole = f"`{section}.*`" in text or f"`{key}`" in text
        return whole or any(f"`{section}." in line and f"`.{name}`" in line for line in text.splitlines())

    assert {key for key in keys(form, optional) if key != "arch" and not is_named(key)} == set()
