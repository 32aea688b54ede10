import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from ewval.core.folder import DataFolder
from ewval.core.tasks.seed_files import write_task_files
from ewval.core.tasks.table import TaskTable, files_of
from worlds import make_pair, write_volume, write_world

Cli = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    pairs = [make_pair(i, cell=1000 + i, seed=(i % 8 + 1,)) for i in range(1, 31)]
    return write_world(
        tmp_path / "ewval-data", [*pairs, make_pair(40, status=10), make_pair(41, volume=404)], volumes=[100]
    )


def test_the_sides_and_what_was_dropped_are_shown(cli: Cli, folder: DataFolder) -> None:
    result = cli("index")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines() if "|" in line] == [
        ["|", "side", "|", "tasks", "|"],
        ["|", "train", "|", "26", "|"],
        ["|", "val", "|", "1", "|"],
        ["|", "test", "|", "3", "|"],
        ["|", "gap", "|", "0", "|"],
        ["|", "dropped", "because", "|", "tasks", "|"],
        ["|", "status", "|", "1", "|"],
        ["|", "missing_volume", "|", "1", "|"],
    ]
    assert "split by cell instead, so train and test may share images" in result.stderr
    assert "the val side holds 1 of 30 tasks; raise --val-fraction" in result.stderr


def test_json_is_one_document_on_stdout(cli: Cli, folder: DataFolder) -> None:
    result = cli("index", "--json", "--folds", 2, "--test-fraction", "0.2", "--val-fraction", "0.1")
    document = json.loads(result.stdout)
    seconds, size = document.pop("seconds"), document.pop("bytes")
    examples = document.pop("examples")
    assert (examples["tasks"], examples["graphs"], examples["contacts"]) == (24, 0, None)
    assert seconds >= 0
    assert size > 1000
    assert document == {
        "done": 30,
        "skipped": 2,
        "absent": 1,
        "failed": [],
        "rule": "volume",
        "fallback": "cell",
        "consensus": "rule",
        "counts": {
            "tasks": 30,
            "train": 21,
            "val": 3,
            "test": 6,
            "gap": 0,
            "dropped": {"status": 1, "missing_volume": 1},
            "withheld_context": 0,
            "shared_questions": 15,
        },
        "files": [
            f"ewval-data/{name}"
            for name in ("task_vol.json", "task_data.json", "split.json", "split-0.json", "split-1.json")
        ],
    }


def test_quiet_shows_paths_and_nothing_else(cli: Cli, folder: DataFolder) -> None:
    result = cli("index", "-q")
    assert result.stdout.split() == [f"ewval-data/{n}" for n in ("task_vol.json", "task_data.json", "split.json")]
    assert result.stderr == ""


def test_a_subset_goes_to_its_own_folder(cli: Cli, folder: DataFolder) -> None:
    result = cli("index", "--cell", 1003, "--cell", 1004, "--out", "some", "-q")
    assert result.exit_code == 0
    assert result.stdout.split() == [f"some/{name}" for name in ("task_vol.json", "task_data.json", "split.json")]
    assert list(json.loads(Path("some/task_vol.json").read_text())) == ["3", "4"]


def test_a_damaged_volume_is_named_and_the_rest_is_done(cli: Cli, folder: DataFolder) -> None:
    write_volume(folder, 404)
    folder.segmentation(404).write_bytes(b"x")
    result = cli("index", "--json")
    assert result.exit_code == 3
    assert [row["id"] for row in json.loads(result.stdout)["failed"]] == [404]
    assert "404/segmentation.lzma is damaged" in result.stderr
    assert "Traceback" not in result.output


def test_a_folder_of_the_seed_system_needs_no_ledger(cli: Cli, tmp_path: Path) -> None:
    old = DataFolder(tmp_path / "old")
    old.root.mkdir()
    write_task_files(old, files_of(TaskTable.from_records([make_pair(i, cell=i) for i in range(1, 9)])))
    write_volume(old, 100)
    result = cli("index", "--data", "old", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["consensus"] == "all"
    assert "the JSON files hold no confidences: every segment that they list counts" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["--split", "task"], 2, "ewval: --split task: it is volume, cell or cell:NUMBER, such as cell:77960"),
        (["--consensus", "most"], 2, "ewval: consensus 'most' is neither 'rule', 'all' nor a number in [0, 1)"),
        (["--test-fraction", "2"], 2, "ewval: --test-fraction 2.0 is not in [0, 1)"),
        (["--folds", "99"], 2, "ewval: --folds 99: at least 2 and at most one for each of the 30 cells"),
        (["--cell", "x"], 2, "ewval: 'x' is not a cell id: ids are positive whole numbers"),
        (["--cell", "5"], 6, "ewval: cell 5 not found; `ewval fetch` gets its tasks"),
        (["--out", "ewval-data"], 2, "ewval: --out ewval-data is the data folder itself"),
        (["--data", "none"], 2, "ewval: there is no data folder none; `ewval fetch` makes one"),
        (["--min-weight", "1e9"], 6, "ewval: any task fit for learning not found; dropped: "),
    ],
)
def test_nonsense_is_one_line_with_what_to_do(
    cli: Cli, folder: DataFolder, words: list[str], code: int, problem: str
) -> None:
    result = cli("index", *words)
    assert result.exit_code == code
    assert result.stderr.splitlines()[-1].startswith(problem)
    assert result.stdout == ""
    assert not folder.split.exists()


def test_a_damaged_file_is_named(cli: Cli, folder: DataFolder) -> None:
    folder.task_vol.write_text("{}")
    folder.task_data.write_text("{")
    result = cli("index")
    assert result.exit_code == 6
    assert "task_data.json is damaged" in result.stderr


def test_the_split_of_real_tasks_conforms(cli: Cli, shared: Path, folder: DataFolder) -> None:
    assert cli("index", "--folds", 3).exit_code == 0
    for name in ("split", "split-0", "split-1", "split-2"):
        check = [sys.executable, str(shared / "tools" / "conform.py"), "split", str(folder.root / f"{name}.json")]
        assert subprocess.run(check, capture_output=True, text=True, check=False).stderr == ""
