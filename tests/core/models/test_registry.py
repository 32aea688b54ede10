"""Models by name: the packaged ones, and what may not be loaded as one."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ewval.core.errors import DamagedError, UsageError
from ewval.core.forest.decider import ForestDecider, reads, save_forest
from ewval.core.models.ensemble import Ensemble
from ewval.core.models.registry import DEFAULT_MODEL, load_decider, load_ensemble, model_paths, packaged_models


@pytest.fixture(scope="module")
def packaged() -> ForestDecider:
    decider = load_decider()
    assert isinstance(decider, ForestDecider)
    return decider


def test_the_packaged_default_loads_and_says_what_it_is(packaged: ForestDecider) -> None:
    assert DEFAULT_MODEL in packaged_models()
    assert packaged.card.description
    assert packaged.card.data
    assert (packaged.loops, packaged.compared_loops, packaged.context) == (None, (), 0)
    assert model_paths()[DEFAULT_MODEL].stat().st_size < 4 * 2**20


def test_a_forest_is_loaded_without_torch() -> None:
    code = (
        "import sys; from ewval.core.models.registry import load_decider; load_decider(); print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"


def test_a_forest_comes_back_whole(packaged: ForestDecider, tmp_path: Path) -> None:
    save_forest(tmp_path / "again.safetensors", packaged.card, packaged.head)
    again = load_decider(tmp_path / "again.safetensors")
    assert isinstance(again, ForestDecider)
    assert again.identity == packaged.identity


@pytest.mark.parametrize("key", ["graph_form", "contact_numbers", "segment_numbers", "candidate_numbers"])
def test_a_forest_that_learned_from_other_numbers_is_refused(packaged: ForestDecider, tmp_path: Path, key: str) -> None:
    config = dict(packaged.card.config)
    config[key] = 1 if key == "graph_form" else [*config[key], "brightness"]
    save_forest(tmp_path / "odd.safetensors", replace(packaged.card, config=config), packaged.head)
    with pytest.raises(DamagedError, match=f"graphs of another form .*{key}"):
        load_decider(tmp_path / "odd.safetensors")


def test_trees_that_ask_about_a_column_that_is_not_there_are_refused(packaged: ForestDecider, tmp_path: Path) -> None:
    column = packaged.head.pairs.column.copy()
    column[0, 0] = len(reads()["contact_numbers"])
    odd = replace(packaged.head, pairs=replace(packaged.head.pairs, column=column))
    save_forest(tmp_path / "odd.safetensors", packaged.card, odd)
    with pytest.raises(DamagedError, match="more contact numbers than its card names"):
        load_decider(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_leaves_that_are_no_numbers_are_refused(packaged: ForestDecider, tmp_path: Path, value: float) -> None:
    leaf = packaged.head.candidates.leaf.copy()
    leaf[0, 0] = value
    odd = replace(packaged.head, candidates=replace(packaged.head.candidates, leaf=leaf))
    save_forest(tmp_path / "odd.safetensors", packaged.card, odd)
    with pytest.raises(DamagedError, match="its weights are not numbers"):
        load_decider(tmp_path / "odd.safetensors")


def test_a_model_that_wants_other_volumes_is_refused(packaged: ForestDecider, tmp_path: Path) -> None:
    save_forest(tmp_path / "odd.safetensors", replace(packaged.card, factor=2), packaged.head)
    with pytest.raises(UsageError, match="needs volumes packed by 2, not 4"):
        load_decider(tmp_path / "odd.safetensors")


def test_several_names_are_an_ensemble(packaged: ForestDecider) -> None:
    both = load_ensemble([None, None])
    assert isinstance(both, Ensemble)
    assert both.name == "graph+graph"
    assert load_ensemble([None]).identity == packaged.identity
