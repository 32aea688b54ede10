import importlib.util
import json
import tempfile
from contextlib import closing
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ewval.core.errors import DamagedError, MissingError, SettingError, UsageError
from ewval.core.eyewire.records import AggregateRecord
from ewval.core.folder import DataFolder
from ewval.core.index.assignment import Fractions
from ewval.core.index.build import IndexRequest, index
from ewval.core.index.split import Split, read_split
from ewval.core.ledger.ledger import Ledger
from ewval.core.tasks.consensus import ConsensusRule
from ewval.core.tasks.seed_files import write_task_files
from ewval.core.tasks.table import TaskTable, files_of
from worlds import Pair, line_of_cells, make_pair, write_volume, write_world

THIRDS = Fractions(0.3, 0.3)


def grid_of_tasks(*shape: int) -> list[Pair]:
    """Return a task in each volume of a grid, each the child of the one before it."""
    places = list(product(*map(range, shape)))
    return [
        make_pair(i + 1, parent=i or None, volume=500 + i, place=place, cell=77_900 + i)
        for i, place in enumerate(places)
    ]


def run(folder: DataFolder, **options: Any) -> Split:
    return index(IndexRequest(folder, **options)).split


def kept(split: Split) -> list[int]:
    return split.side("all").tolist()


def test_the_three_files_are_written_in_their_forms(tmp_path: Path) -> None:
    folder = write_world(tmp_path, [make_pair(7, cell=5, volume=100, seed=(2,), answer=(1, 3)), *line_of_cells(4)])
    summary = index(IndexRequest(folder))
    assert json.loads(folder.task_vol.read_text())["7"] == "100"
    assert json.loads(folder.task_data.read_text())["7"] == {"seed": [2], "parent": None, "aggregate": [1, 2, 3]}
    document = json.loads(folder.split.read_text())
    assert sorted([*document["train"], *document["val"], *document["test"]]) == [1, 2, 3, 4, 7]
    assert summary.files == (folder.task_vol, folder.task_data, folder.split)
    assert summary.bytes == sum(path.stat().st_size for path in summary.files)


def test_what_is_dropped_is_counted_under_its_first_reason_and_not_forgotten(tmp_path: Path) -> None:
    pairs = [
        *line_of_cells(3),
        make_pair(20, status=10),
        make_pair(21, status=11, answer=None),
        make_pair(22, status=6),
        make_pair(23, status=3),
        make_pair(24, answer=()),
        make_pair(25, answer=None),
        make_pair(26, seed=()),
        make_pair(27, seed=(60_000,)),
        make_pair(28, volume=404),
        make_pair(29, cell=50),
        make_pair(30, parent=20),
    ]
    folder = write_world(tmp_path, pairs, volumes=[100])
    with closing(Ledger(folder.ledger)) as ledger:
        ledger.add_tasks([make_pair(40)], wanted=False)
        ledger.mark_task(41, "failed", reason="500", wanted=True)
        with ledger.transaction() as connection:
            connection.execute("INSERT INTO cells(id, dataset, state) VALUES (50, 11, 'done'), (1001, 1, 'done')")
    split = run(folder)
    assert kept(split) == [1, 2, 3, 30]
    assert split.counts["dropped"] == {
        "not_fetched": 1,
        "context_only": 1,
        "status": 4,
        "zebrafish": 1,
        "no_aggregate": 1,
        "empty_aggregate": 1,
        "missing_volume": 1,
        "empty_seed": 2,
    }
    table = TaskTable.load(folder)
    assert table.ids.tolist() == [1, 2, 3, *range(20, 31), 40]
    assert table.parent_row[table.row(30)] == table.row(20)


def test_a_doubted_segment_counts_by_the_rule_that_is_asked_for(tmp_path: Path) -> None:
    task, _ = make_pair(1, seed=(1,))
    folder = write_world(tmp_path, [(task, AggregateRecord({1: 1.0, 2: 0.8, 3: 0.1}, weight=4)), *line_of_cells(3)[1:]])
    found = {}
    for rule in ("rule", "all", 0.9):
        split = run(folder, consensus=ConsensusRule(rule))  # type: ignore[arg-type]
        assert split.consensus == str(rule)
        table = TaskTable.load(folder)
        found[rule] = table.aggregate(table.row(1)).tolist()
    assert found == {"rule": [1, 2], "all": [1, 2, 3], 0.9: [1]}


def test_an_answer_that_the_rule_empties_is_empty(tmp_path: Path) -> None:
    task, _ = make_pair(9, seed=(1,))
    folder = write_world(tmp_path, [(task, AggregateRecord({2: 0.1}, weight=4)), *line_of_cells(3)])
    assert run(folder).counts["dropped"] == {"empty_aggregate": 1}
    assert json.loads(folder.task_data.read_text())["9"]["aggregate"] == []


def test_empty_answers_may_stay_on_the_test_side_only(tmp_path: Path) -> None:
    empty = [make_pair(100 + i, cell=2000 + i, answer=()) for i in range(12)]
    folder = write_world(tmp_path, [*line_of_cells(12), *empty])
    split = run(folder, keep_empty=True, fractions=THIRDS)
    noise = [task for task in kept(split) if task >= 100]
    assert noise
    assert set(noise) <= set(split.test.tolist())
    assert split.counts["dropped"] == {"empty_aggregate": 12 - len(noise)}
    assert not [task for task in kept(run(folder, fractions=THIRDS)) if task >= 100]


def test_tasks_with_few_votes_may_be_dropped(tmp_path: Path) -> None:
    folder = write_world(tmp_path, [*line_of_cells(3), make_pair(9, weight=2.5), make_pair(10, weight=3)])
    split = run(folder, min_weight=3)
    assert split.counts["dropped"] == {"low_weight": 1}
    assert 10 in kept(split)


def test_one_cube_is_split_by_cell_and_says_so(tmp_path: Path) -> None:
    split = run(write_world(tmp_path, line_of_cells(20)))
    assert (split.rule, split.fallback) == ("volume", "cell")
    assert len(split.gap) == 0
    assert min(len(split.train), len(split.val), len(split.test)) > 0


@pytest.mark.parametrize("seed", range(3))
def test_a_split_by_volume_parts_volumes_and_what_overlaps_them(tmp_path: Path, seed: int) -> None:
    pairs = grid_of_tasks(5, 5, 5)
    split = run(
        write_world(tmp_path, pairs, volumes=()), check_volumes=False, fractions=Fractions(0.2, 0.02), seed=seed
    )
    bounds = {task.id: task.bounds for task, _ in pairs}
    assert split.fallback is None
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        a, b = split.side(first).tolist(), split.side(second).tolist()
        assert a
        assert b
        assert not any(bounds[i].overlaps(bounds[j]) for i in a for j in b)  # type: ignore[union-attr,arg-type]
    assert split.counts["gap"] == len(split.gap) > 0
    assert split.counts["tasks"] == 125 == sum(split.counts[side] for side in ("train", "val", "test", "gap"))


def test_answers_that_are_scored_are_counted_where_they_would_be_context(tmp_path: Path) -> None:
    pairs = [make_pair(i, parent=i - 1 or None, cell=i, seed=(1,)) for i in range(1, 9)]
    split = run(write_world(tmp_path, pairs), split="cell", fractions=Fractions(0.3, 0))
    scored = set(split.test.tolist())
    assert split.counts["withheld_context"] == sum({i - 1, i - 2} & scored != set() for i in split.train.tolist()) > 0


def test_questions_that_training_and_test_share_are_counted(tmp_path: Path) -> None:
    twins = [make_pair(i, cell=i, seed=(1, 2)) for i in range(1, 9)]
    others = [make_pair(i, cell=i, seed=(i % 8 + 1,), volume=101) for i in range(11, 19)]
    split = run(write_world(tmp_path, [*twins, *others]), split="cell", fractions=Fractions(0.4, 0.1))
    asked = {task: task if task > 10 else 1 for task in range(1, 19)}
    scored = {asked[task] for task in split.test.tolist()}
    expected = sum(asked[task] in scored for task in split.train.tolist())
    assert split.counts["shared_questions"] == expected > 0


def test_the_seed_systems_threshold_parts_the_cells(tmp_path: Path) -> None:
    pairs = [make_pair(i, cell=cell) for i, cell in enumerate((77_000, 77_959, 77_960, 80_000, 76_000, 77_000), 1)]
    split = run(write_world(tmp_path, pairs), split="cell:77960", fractions=Fractions(0.1, 0.1))
    assert split.test.tolist() == [3, 4]
    assert sorted([*split.train.tolist(), *split.val.tolist()]) == [1, 2, 5, 6]
    assert len(split.val) > 0
    assert ({1, 6} <= set(split.train.tolist())) or ({1, 6} <= set(split.val.tolist()))


def test_folds_are_written_beside_the_split(tmp_path: Path) -> None:
    folder = write_world(tmp_path, line_of_cells(12))
    summary = index(IndexRequest(folder, folds=3))
    folds = [read_split(folder, fold=fold) for fold in range(3)]
    assert sorted(task for fold in folds for task in fold.test.tolist()) == list(range(1, 13))
    assert {fold.rule for fold in folds} == {"cell"}
    assert summary.files[3:] == tuple(folder.root / f"split-{fold}.json" for fold in range(3))


def test_folds_of_an_earlier_run_do_not_stay_behind(tmp_path: Path) -> None:
    folder = write_world(tmp_path, line_of_cells(12))
    run(folder, folds=5)
    run(folder, folds=2)
    assert sorted(path.name for path in tmp_path.glob("split*")) == ["split-0.json", "split-1.json", "split.json"]
    run(folder)
    assert [path.name for path in tmp_path.glob("split*")] == ["split.json"]


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_a_seed_that_no_file_can_hold_is_refused_before_anything_is_written(tmp_path: Path, seed: int) -> None:
    folder = write_world(tmp_path, line_of_cells(12))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SettingError, match="takes more than 64 bits"):
        index(IndexRequest(folder, seed=seed))
    assert sorted(tmp_path.iterdir()) == before


def test_the_same_again_changes_no_file(tmp_path: Path) -> None:
    folder = write_world(tmp_path, line_of_cells(12))
    first = {path: path.read_bytes() for path in index(IndexRequest(folder)).files}
    assert {path: path.read_bytes() for path in index(IndexRequest(folder)).files} == first


def test_a_folder_of_the_seed_system_is_indexed_as_it_is(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    write_task_files(folder, files_of(TaskTable.from_records(line_of_cells(6))))
    write_volume(folder, 100)
    before = folder.task_data.read_bytes()
    split = run(folder)
    assert (split.rule, split.fallback, split.consensus) == ("volume", "cell", "all")
    assert kept(split) == [1, 2, 3, 4, 5, 6]
    assert folder.task_data.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"consensus": ConsensusRule(0.5)}, "consensus 0.5: the JSON files hold what was chosen, no confidences"),
        ({"min_weight": 2.0}, "min_weight cannot be used: the JSON files hold no weights"),
        ({"split": "cell:77960"}, "split cell:77960: the cells of some tasks are unknown here; use cell"),
    ],
)
def test_what_the_json_files_cannot_tell_is_refused(tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    folder = DataFolder(tmp_path)
    write_task_files(folder, files_of(TaskTable.from_records(line_of_cells(6))))
    write_volume(folder, 100)
    with pytest.raises(UsageError, match=problem):
        run(folder, **options)


def test_tasks_that_only_the_json_files_hold_stay_when_more_are_fetched(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    write_task_files(folder, files_of(TaskTable.from_records(line_of_cells(6))))
    write_world(tmp_path, [make_pair(3, cell=3, answer=(1, 5)), make_pair(50, cell=3)])
    assert kept(run(folder)) == [1, 2, 3, 4, 5, 6, 50]
    table = TaskTable.load(folder)
    assert table.aggregate(table.row(3)).tolist() == [1, 5]
    assert table.aggregate(table.row(4)).tolist() == [1, 2, 5]


def test_a_damaged_volume_costs_its_tasks_and_is_named(tmp_path: Path) -> None:
    folder = write_world(tmp_path, [*line_of_cells(5), make_pair(9, volume=101, cell=9)])
    folder.segmentation(101).write_bytes(b"x")
    summary = index(IndexRequest(folder))
    assert summary.split.counts["dropped"] == {"damaged_volume": 1}
    assert list(summary.damaged) == [101]


def test_nothing_fit_for_learning_says_why_and_writes_nothing(tmp_path: Path) -> None:
    folder = write_world(tmp_path, line_of_cells(3), volumes=())
    with pytest.raises(
        MissingError,
        match="any task fit for learning not found; dropped: 3 missing_volume; `ewval fetch` and `ewval pack`",
    ):
        run(folder)
    assert not folder.task_vol.exists()
    with pytest.raises(MissingError, match="dropped: 1 status; `ewval fetch` gets more"):
        run(write_world(tmp_path / "frozen", [make_pair(1, status=10)]))


def test_an_empty_folder_says_what_fills_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"any task in .* not found; `ewval fetch` gets tasks"):
        run(DataFolder(tmp_path))
    Ledger(tmp_path / "eyewire.sqlite").close()
    with pytest.raises(MissingError, match=r"any task in .* not found; `ewval fetch` gets tasks"):
        run(DataFolder(tmp_path))


def test_one_json_file_is_made_anew_from_the_ledger_and_missed_without_it(tmp_path: Path) -> None:
    folder = write_world(tmp_path, line_of_cells(6))
    run(folder)
    folder.task_vol.unlink()
    assert kept(run(folder)) == [1, 2, 3, 4, 5, 6]
    folder.task_data.unlink()
    folder.ledger.unlink()
    with pytest.raises(MissingError, match=r"task_data\.json not found"):
        run(folder)


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "eyewire.sqlite").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(DamagedError, match=r"eyewire\.sqlite is damaged"):
        run(DataFolder(tmp_path))


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("aggregate_confidence", b"12345678", "an aggregate has not one confidence for each segment"),
        ("aggregate_ids", b"123", "a list of segments is cut"),
        ("seed", b"12345", "a list of segments is cut"),
        ("volume", "x", "invalid literal"),
    ],
)
def test_a_ledger_with_a_damaged_row_is_named(tmp_path: Path, column: str, value: object, problem: str) -> None:
    folder = write_world(tmp_path, line_of_cells(3))
    with closing(Ledger(folder.ledger)) as ledger, ledger.transaction() as connection:
        connection.execute(f"UPDATE tasks SET {column} = ? WHERE id = 2", (value,))
    with pytest.raises(DamagedError, match=rf"eyewire\.sqlite is damaged: {problem}"):
        run(folder)


@settings(max_examples=15)
@given(
    tasks=st.lists(
        st.tuples(st.integers(0, 6), st.tuples(*[st.integers(0, 5)] * 3), st.integers(1, 40)), min_size=1, max_size=40
    ),
    split=st.sampled_from(["volume", "cell", "cell:1003"]),
)
def test_in_random_worlds_nothing_stands_on_two_sides(
    tasks: list[tuple[int, tuple[int, int, int], int]], split: str
) -> None:
    pairs = [
        make_pair(i, parent=parent, cell=1000 + cell, place=place, volume=100 + 36 * place[0] + 6 * place[1] + place[2])
        for i, (cell, place, parent) in enumerate(tasks, 1)
    ]
    with tempfile.TemporaryDirectory() as root:
        drawn = run(write_world(Path(root), pairs, volumes=()), split=split, check_volumes=False, fractions=THIRDS)
    record = {task.id: task for task, _ in pairs}
    sides = [[record[i] for i in drawn.side(name).tolist()] for name in ("train", "val", "test")]
    assert sum(map(len, sides)) + len(drawn.gap) == len(pairs)
    for first, second in combinations(sides, 2):
        if (drawn.fallback or split) == "volume":
            assert not any(a.bounds.overlaps(b.bounds) for a in first for b in second)  # type: ignore[union-attr,arg-type]
        else:
            assert not {task.cell for task in first} & {task.cell for task in second}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"split": "task"}, "split task: it is volume, cell or cell:NUMBER"),
        ({"split": "cell:"}, "split cell:: it is volume"),
        ({"split": "cell:x"}, "split cell:x: it is volume"),
        ({"split": "volume:3"}, "split volume:3: it is volume"),
        ({"folds": 1}, "folds 1: at least 2"),
        ({"min_weight": -1.0}, "min_weight -1.0 is not a weight"),
        ({"min_weight": float("nan")}, "min_weight nan is not a weight"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        IndexRequest(DataFolder(tmp_path), **options)


def test_the_answers_of_real_tasks_are_those_of_the_scorer(shared: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("score", shared / "tools" / "score.py")
    assert spec is not None
    assert spec.loader is not None
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    records, expected = [], {}
    for path in sorted((shared / "data/pinky/api/1.0/task").glob("*.json")):
        task = json.loads(path.read_text())
        aggregate = json.loads((path.with_suffix("") / "aggregate.json").read_text())
        seed = {int(segment) for segment in task["prior"]["segments"] or {}}
        expected[task["id"]] = sorted(score.consensus(aggregate, task) | seed)
        prior = task["prior"].get("weight")
        pair = make_pair(task["id"], volume=task["data"]["segmentation"]["id"], seed=seed, cell=task["cell"])
        record = replace(pair[0], prior_weight=prior, weightsum=task.get("weightsum"))
        confidences = {int(k): v for k, v in (aggregate["segments"] or {}).items() if v is not None}
        records.append((record, AggregateRecord(confidences, weight=aggregate.get("weight"))))
    folder = write_world(tmp_path, records, volumes=())
    run(folder, check_volumes=False)
    table = TaskTable.load(folder)
    assert {int(task): table.aggregate(row).tolist() for row, task in enumerate(table.ids)} == expected
    assert len(np.unique(table.cell)) > 100
