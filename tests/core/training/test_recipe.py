"""Recipes of forests: the packaged ones are read, and every key of every form is documented."""

import re
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


WRONG = [
    ("parts = 1", "parts: Input should be greater than or equal to 2"),
    ("draws = 0", "draws: Input should be greater than or equal to 1"),
    ("rounds = 0", "rounds: Input should be greater than or equal to 1"),
    ('left_out = ["no_such_number"]', "left_out: no number of contacts or candidates is called no_such_number"),
    ('left_out = ["*"]', "left_out: no number of contacts, or of candidates, is left to learn from"),
    ("[pairs]\nrate = -1.0", "pairs: rate must be above 0 and at most 1, not -1"),
    ("[candidates]\nrate = nan", "candidates: rate must be a finite number, not nan"),
    ("[sampling]\ngrowths = 0", "sampling: growths must be at least 1, not 0"),
    ("[sampling]\nleast = -1", "sampling: least must be at least 0"),
    ("[sampling]\nstates = 0", "sampling: states must be at least 1"),
    ("[sampling]\nnoise = nan", "sampling: noise must be a finite number"),
    ("[sampling]\nmistakes = 2.0", "sampling: mistakes must be at least 0 and at most 1, not 2"),
    ("[sampling]\nhopeless_share = -1.0", "sampling: hopeless_share must be at least 0"),
    ("[bounds]\nvolumes = 0", "bounds: volumes must be at least 1"),
    ("[bounds]\npairs = -5", "bounds: pairs must be at least 1"),
    ("[bounds]\ncells = 0", "bounds: cells must be at least 1"),
    ("[bounds]\ntrials = 0", "bounds: trials must be at least 1"),
    ("[augmented]\nforms = 0", "augmented: forms must be at least 1"),
    ("[augmented]\nweight = inf", "augmented: weight must be a finite number, not inf"),
    ("[augmented]\nseed = -1", "augmented: seed must be at least 0"),
    ("[generated.any]\ncubes = 0", "generated.any: cubes must be at least 1"),
    ("[generated.any]\ntasks = 0", "generated.any: tasks must be at least 1"),
    ("[generated.any]\nweight = nan", "generated.any: weight must be a finite number"),
    ("[generated.any]\nweight = 0.0", "generated.any: weight must be above 0, not 0"),
    ("[generated.any]\nseed = -1", "generated.any: seed must be at least 0"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=lambda value: value.partition(":")[0].replace("\n", " "))
def test_a_value_out_of_range_is_refused_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=re.escape(f"recipe mine: {said}")):
        check_recipe(GraphRecipe, read_recipe(str(path)), name="mine")


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
