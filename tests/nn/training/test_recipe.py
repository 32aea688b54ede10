"""Recipes of networks: the packaged ones are what they say they are."""

import json
from importlib import resources
from itertools import pairwise

import pytest

from ewval.core.recipe import check_recipe, read_recipe
from ewval.nn.training.recipe import NetworkRecipe, Pretraining


def packaged(name: str) -> NetworkRecipe:
    return check_recipe(NetworkRecipe, read_recipe(name), name=name)


def test_the_recipe_called_lwunet_is_how_the_packaged_lwunet_was_trained() -> None:
    card = json.loads((resources.files("ewval") / "core/models/weights/lwunet.json").read_text())
    recipe = packaged("lwunet")
    first, second = (words.split() for words in card["training"]["commands"])
    stages = ((recipe.first_stage(), first), (recipe, second))
    for stage, words in stages:
        said = dict(pairwise(words))
        assert int(said["--steps"]) == stage.length.steps
        assert float(said["--learning-rate"]) == stage.optimizer.learning_rate
        assert int(said["--vary-seed"]) == stage.samples.vary_seed
        assert (int(said["--crop"]), int(said["--batch-size"])) == (stage.samples.crop, stage.samples.batch_size)
        assert (said["--optimizer"], said["--schedule"]) == (stage.optimizer.name, stage.optimizer.schedule)
        assert (int(said["--warmup"]), float(said["--ema"])) == (stage.optimizer.warmup_steps, stage.optimizer.ema)
        assert (said["--loss"], said["--precision"]) == (stage.loss.name, stage.compute.precision)
    assert card["config"] == recipe.model_dump(mode="json")["network"]


def test_the_seed_systems_recipe_is_its_own() -> None:
    recipe = packaged("seed-2019")
    assert (recipe.loss.name, recipe.network.loops, recipe.network.context) == ("bayes", 4, 2)
    assert (recipe.optimizer.name, recipe.optimizer.learning_rate, recipe.optimizer.weight_decay) == (
        "adam",
        1e-3,
        5e-4,
    )
    assert (recipe.optimizer.schedule, recipe.optimizer.step_epochs, recipe.optimizer.gamma) == ("step", 2, 0.1)
    assert (recipe.samples.batch_size, recipe.samples.sample_fraction) == (16, 0.25)
    assert (recipe.length.epochs, recipe.length.patience, recipe.augment.symmetries) == (4, 4, "none")


def test_the_first_stage_differs_in_what_the_recipe_names() -> None:
    recipe = packaged("lwunet")
    first = recipe.first_stage()
    assert (first.length.steps, first.optimizer.learning_rate, first.samples.vary_seed) == (7500, 0.002, 1)
    assert first.pretraining is None
    assert (first.loss, first.network, first.samples.crop) == (recipe.loss, recipe.network, recipe.samples.crop)
    with pytest.raises(ValueError, match="this recipe has no pretraining"):
        first.first_stage()


@pytest.mark.parametrize(
    ("values", "said"), [({"cubes": 1}, "cubes must be >= 2"), ({"magnify": 3}, "magnify 3 is not 1, 2 or 4")]
)
def test_a_pretraining_that_makes_no_sense_is_refused(values: dict[str, int], said: str) -> None:
    plain = {"cubes": 2, "tasks": 1, "steps": 1, "learning_rate": 0.1, "vary_seed": 1}
    with pytest.raises(ValueError, match=said):
        Pretraining(**{**plain, **values})  # type: ignore[arg-type]
