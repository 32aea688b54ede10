"""Whole tissues left out: what is learned without them stands for the head there."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from block_cube import block_volume
from ewval.core.forest.away import Elsewhere, count_away, courses_of, learn_away
from ewval.core.forest.boosting import BoostingConfig, Forest, merge_forests
from ewval.core.forest.fit import fit_head
from ewval.core.forest.labelled_folder import share_out
from ewval.core.forest.learn import LearnConfig
from ewval.core.forest.states import SamplingConfig
from ewval.core.forest.tune import tune_away

TREES = BoostingConfig(trees=8, depth=3, rate=0.3, row_share=0.7, least_weight=1.0, ridge=1.0)
SMALL = LearnConfig(TREES, TREES, SamplingConfig(growths=2, least=0, states=3), rounds=1, draws=1)
ONE, OTHER = (replace(block_volume(seed), name=f"{name}/{seed}") for name, seed in (("one", 3), ("other", 4)))
MADE = replace(block_volume(5), name="made/5", kind="generated", weight=0.3)
APART = replace(block_volume(6), name="look/6", kind="apart")
VOLUMES = [ONE, OTHER, MADE, APART]
PARTS = share_out(VOLUMES, parts=3)


@pytest.fixture(scope="module")
def kept() -> dict[str, Forest]:
    return {}


@pytest.fixture(scope="module")
def found(kept: dict[str, Forest]) -> list[Elsewhere]:
    def keep(name: str, fit: Callable[[], Forest]) -> Forest:
        kept[name] = fit()
        return kept[name]

    return learn_away(VOLUMES, PARTS, config=SMALL, keep=keep)


def test_each_real_tissue_is_left_out_once(found: list[Elsewhere]) -> None:
    assert [one.tissue for one in found] == ["one", "other"]
    assert [[volume.name for volume in one.others] for one in found] == [["other/4", "made/5"], ["one/3", "made/5"]]
    assert all({trial.dataset for trial in one.trials} == {one.tissue} for one in found)


def test_what_stands_for_the_head_is_the_mean_of_the_same_courses(
    found: list[Elsewhere], kept: dict[str, Forest]
) -> None:
    assert [[v.kind for v in taught] for taught in courses_of([ONE, MADE])] == [["real"], ["real", "generated"]]
    forests = [kept[f"without-one-{course}-pairs-{part}"] for course in (0, 1) for part in range(3)]
    assert np.allclose(
        found[0].pairs.log_odds(ONE.graph.evidence), merge_forests(forests).log_odds(ONE.graph.evidence), atol=1e-5
    )
    assert not np.array_equal(forests[0].leaf, forests[3].leaf)


def test_its_forests_are_counted(found: list[Elsewhere], kept: dict[str, Forest]) -> None:
    assert len(found) == 2
    assert len(kept) == count_away([ONE, OTHER, MADE], parts=3, config=SMALL)


def test_the_head_takes_its_settings_away_from_there(found: list[Elsewhere]) -> None:
    head = fit_head(VOLUMES, PARTS, config=SMALL).head
    assert head.away == tune_away([trial for one in found for trial in one.trials])


def test_with_two_kinds_of_tissue_there_is_too_little_to_tell() -> None:
    assert learn_away([ONE, MADE], PARTS, config=SMALL, keep=lambda _, fit: fit()) == []
