"""Judgements of contacts are kept for the forest and the contacts they belong to, and for no others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ewval.core.forest.boosting import BoostingConfig, Forest, fit_forest
from ewval.core.forest.kept_odds import judged

ROWS = np.random.default_rng(0).normal(size=(700, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def forest() -> Forest:
    config = BoostingConfig(trees=6, depth=3, rate=0.3)
    return fit_forest(ROWS, ROWS[:, 0] > ROWS[:, 1], weight=np.ones(len(ROWS)), config=config)


@pytest.fixture
def kept(forest: Forest, tmp_path: Path) -> Path:
    path = tmp_path / "graphs" / "7.judged.npz"
    path.parent.mkdir()
    judged(forest, ROWS, kept=path)
    return path


def test_what_is_kept_is_what_the_forest_says_and_it_is_not_asked_again(
    forest: Forest, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = forest.log_odds(ROWS)
    assert np.array_equal(judged(forest, ROWS, kept=None), said)
    monkeypatch.setattr(Forest, "log_odds", lambda *_: pytest.fail("asked again"))
    assert np.array_equal(judged(forest, ROWS, kept=kept), said)


def test_another_forest_or_other_contacts_are_judged_anew(forest: Forest, kept: Path) -> None:
    other = replace(forest, leaf=forest.leaf + np.float32(0.5))
    assert np.array_equal(judged(other, ROWS, kept=kept), other.log_odds(ROWS))
    assert np.array_equal(judged(forest, ROWS[::-1], kept=kept), forest.log_odds(ROWS[::-1]))
    assert np.array_equal(judged(forest, ROWS, kept=kept), forest.log_odds(ROWS))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", None], ids=["empty", "cut", "half"])
def test_a_damaged_file_is_written_again(forest: Forest, kept: Path, content: bytes | None) -> None:
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert np.array_equal(judged(forest, ROWS, kept=kept), forest.log_odds(ROWS))
    assert kept.read_bytes() == whole


def test_a_place_that_cannot_be_written_to_is_done_without(forest: Forest, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert np.array_equal(judged(forest, ROWS, kept=tmp_path / "file" / "x.npz"), forest.log_odds(ROWS))
