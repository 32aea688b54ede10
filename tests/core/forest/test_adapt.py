"""A start is blended with what new cells teach, or left, by what scores best on cells that were not learned from."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from block_cube import block_volume
from ewval.core.forest import adapt
from ewval.core.forest.adapt import _try, adapt_head, count_adapting_forests, score_on
from ewval.core.forest.boosting import BoostingConfig
from ewval.core.forest.fit import Start, fit_head
from ewval.core.forest.labelled_folder import share_out
from ewval.core.forest.learn import LearnConfig
from ewval.core.forest.model import HeadSettings
from ewval.core.forest.states import SamplingConfig
from ewval.core.forest.tune import is_surely_better

TREES = BoostingConfig(trees=8, depth=3, rate=0.3, row_share=0.7, least_weight=1.0, ridge=1.0)
SMALL = LearnConfig(TREES, TREES, SamplingConfig(growths=2, least=0, states=3), rounds=1, draws=1, away=False)


@pytest.fixture(scope="module")
def start() -> Start:
    fitted = fit_head([block_volume(3)], share_out([block_volume(3)], parts=3), config=SMALL)
    return Start(fitted.head, fitted.tuned.thresholds)


@pytest.mark.parametrize("best", ["blended", "start"])
def test_what_scores_best_is_kept(start: Start, best: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapt, "is_surely_better", lambda *_: best == "start")
    names: list[str] = []

    def keep(name: str, make: Any) -> Any:
        names.append(name)
        return make()

    volumes = [block_volume(4)]
    cells = len(volumes[0].cells)
    adapted = adapt_head(volumes, share_out(volumes, parts=3), config=SMALL, start=start, keep=keep)
    assert adapted.kind == best
    assert adapted.scores.keys() == {"blended", "start"}
    assert len(set(names)) == len(names)
    assert len(names) == count_adapting_forests(volumes, cells=cells, parts=3, config=SMALL, has_start=True)
    trees = len(start.head.pairs.leaf)
    own = 3 * cells * TREES.trees  # three draws of one part a cell
    assert len(adapted.fitted.head.pairs.leaf) == {"blended": 3 * trees + own, "start": trees}[best]


def test_a_start_that_knows_the_cells_surely_does_better_than_one_that_knows_nothing(start: Start) -> None:
    flipped = replace(start.head.pairs, leaf=-start.head.pairs.leaf)
    worse = Start(replace(start.head, pairs=flipped), start.thresholds)
    volumes = [block_volume(3)]
    good, bad = (_try(volumes, model, config=SMALL) for model in (start, worse))
    settings = start.head.settings
    assert is_surely_better(good, settings, bad, settings)
    assert not is_surely_better(bad, settings, good, settings)
    assert not is_surely_better(good, settings, good, settings)


def test_settings_away_from_home_are_not_those_of_the_start(start: Start) -> None:
    away = Start(replace(start.head, away=HeadSettings(nothing=0.05)), start.thresholds)
    volumes = [block_volume(4)]
    assert adapt_head(volumes, share_out(volumes, parts=3), config=SMALL, start=away).fitted.head.away is None


def test_generated_cells_do_not_count_as_known_ones(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    volumes = [block_volume(4), replace(block_volume(5), name="generated/5", kind="generated")]
    own = volumes[0].cells
    monkeypatch.setattr(adapt, "FEW_CELLS", len(own))
    parts = adapt_head(volumes, share_out(volumes, parts=3), config=SMALL, start=start).fitted.courses[0].pairs.parts
    assert parts.keys() == own.keys()
    assert len(set(parts.values())) == len(own)


def test_without_a_start_nothing_is_chosen() -> None:
    volumes = [block_volume(4)]
    parts = share_out(volumes, parts=3)
    adapted, plain = adapt_head(volumes, parts, config=SMALL), fit_head(volumes, parts, config=SMALL)
    assert (adapted.kind, dict(adapted.scores)) == ("own", {})
    assert np.array_equal(adapted.fitted.head.pairs.leaf, plain.head.pairs.leaf)


def test_a_model_scores_well_on_cells_that_it_knows(start: Start) -> None:
    assert score_on([block_volume(3)], start, config=SMALL) > 0.8
