"""Folders in wire format: the first that answers counts, and nothing outside of them is served."""

import json
from pathlib import Path

import pytest

from ewval.core.errors import MissingError
from ewval.core.sim.wire import WireFolder


def folder(root: Path, **tasks: str) -> Path:
    (root / "api" / "1.0" / "task").mkdir(parents=True)
    (root / "volumes").mkdir()
    for task, text in tasks.items():
        (root / "api" / "1.0" / "task" / f"{task}.json").write_text(text)
    return root


def test_the_first_folder_that_answers_counts(tmp_path: Path) -> None:
    first, second = folder(tmp_path / "a", t1="first"), folder(tmp_path / "b", t1="second", t2="only")
    both = WireFolder.at([first, second])
    assert both.api("1.0/task/t1", bucket_url="") == b"first"
    assert both.api("1.0/task/t2", bucket_url="") == b"only"
    assert both.api("1.0/task/t3", bucket_url="") is None


def test_the_bucket_is_named_by_its_url(tmp_path: Path) -> None:
    wire = WireFolder.at(folder(tmp_path / "a", t1='{"full_path": "{BUCKET}/7/"}'))
    assert wire.api("1.0/task/t1", bucket_url="http://here") == b'{"full_path": "http://here/7/"}'


def test_cells_of_all_folders_are_listed(tmp_path: Path) -> None:
    roots = [folder(tmp_path / name) for name in "ab"]
    for number, root in enumerate(roots):
        (root / "api" / "1.0" / "cell.json").write_text(json.dumps({"1": [{"id": number}]}))
    assert json.loads(WireFolder.at(roots).cells("1")) == [{"id": 0}, {"id": 1}]
    assert json.loads(WireFolder.at(roots).cells("2")) == []


def test_nothing_outside_the_folder_is_served(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("token")
    wire = WireFolder.at(folder(tmp_path / "a"))
    assert wire.file("../../secret") is None
    assert wire.file(str(tmp_path / "secret")) is None


def test_a_folder_without_api_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="it should hold api/ and volumes/"):
        WireFolder.at(tmp_path)
