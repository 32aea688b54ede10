import json
from pathlib import Path

import numpy as np
import pytest

from ewval.core.errors import DamagedError, MissingError
from ewval.core.folder import DataFolder
from ewval.core.index.split import Split, read_split, write_split


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def make_split() -> Split:
    return Split(ids(1, 2), ids(3), ids(5, 9), ids(4), rule="volume", seed=3, fallback="cell", counts={"tasks": 6})


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


@pytest.mark.parametrize("fold", [None, 2])
def test_a_split_comes_back_as_it_was_written(folder: DataFolder, fold: int | None) -> None:
    write_split(make_split(), folder, fold=fold)
    read = read_split(folder, fold=fold)
    assert [read.side(name).tolist() for name in ("train", "val", "test", "gap")] == [[1, 2], [3], [5, 9], [4]]
    assert (read.rule, read.seed, read.consensus, read.fallback) == ("volume", 3, "rule", "cell")
    assert read.counts == {"tasks": 6}


def test_it_is_written_in_the_agreed_form(folder: DataFolder) -> None:
    write_split(make_split(), folder)
    assert json.loads(folder.split.read_text()) == {
        "rule": "volume",
        "seed": 3,
        "consensus": "rule",
        "fallback": "cell",
        "train": [1, 2],
        "val": [3],
        "test": [5, 9],
        "gap": [4],
        "counts": {"tasks": 6},
    }


def test_unknown_keys_are_ignored_and_ids_may_be_strings(folder: DataFolder) -> None:
    folder.split.write_text('{"train": ["7", 2], "note": 1}')
    assert read_split(folder).train.tolist() == [2, 7]


def test_all_is_every_task_on_a_side() -> None:
    assert make_split().side("all").tolist() == [1, 2, 3, 5, 9]
    with pytest.raises(MissingError, match="side 'dev' of the split not found; train, val, test, gap and all exist"):
        make_split().side("dev")


def test_what_is_scored_later_is_withheld_from_learning() -> None:
    split = make_split()
    assert split.withheld_from("train").tolist() == [3, 5, 9]
    assert split.withheld_from("val").tolist() == [5, 9]
    assert split.withheld_from("test").tolist() == []


def test_a_missing_split_says_what_makes_one(folder: DataFolder) -> None:
    with pytest.raises(MissingError, match=r"split\.json not found; `ewval index` makes it"):
        read_split(folder)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "unexpected end"),
        ("[]", "not a split"),
        ('{"train": ["x"]}', "invalid literal"),
        ('{"train": 3}', "iterable"),
    ],
)
def test_a_damaged_split_is_named(folder: DataFolder, content: str, problem: str) -> None:
    folder.split.write_text(content)
    with pytest.raises(DamagedError, match=rf"split\.json is damaged: .*{problem}"):
        read_split(folder)


def test_a_task_on_two_sides_is_damage(folder: DataFolder) -> None:
    folder.split.write_text('{"train": [1, 2], "test": [2]}')
    with pytest.raises(DamagedError, match="a task is on two sides"):
        read_split(folder)
