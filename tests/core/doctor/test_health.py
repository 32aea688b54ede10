"""Each problem of a data folder is found and comes with its fix."""

import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from ewval.core.doctor.health import PACKAGES, Finding, check_disk, check_folder, check_token, check_versions
from ewval.core.folder import DataFolder
from ewval.core.ledger.ledger import Ledger
from worlds import make_pair, write_world


def states(folder: DataFolder) -> dict[str, str]:
    return {finding.name: finding.state for finding in check_folder(folder)}


def test_a_folder_that_is_not_there_yet_is_no_problem(tmp_path: Path) -> None:
    (finding,) = check_folder(DataFolder(tmp_path / "none"))
    assert finding.state == "ok"
    assert "does not exist yet" in finding.detail


def test_a_broken_ledger_and_a_broken_index_are_problems(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.ledger.write_bytes(b"not a database, but long enough to look like one" * 40)
    folder.task_vol.write_text('{"1": ')
    assert states(folder) == {"data folder": "ok", "ledger": "problem", "task_vol.json": "problem"}


def test_failed_tasks_are_a_warning(tmp_path: Path) -> None:
    folder = write_world(tmp_path, [make_pair(7), make_pair(8)])
    with closing(Ledger(folder.ledger)) as ledger:
        ledger.mark_task(9, "failed", reason="not found", wanted=True)
    (finding,) = (finding for finding in check_folder(folder) if finding.name == "ledger")
    assert (finding.state, finding.detail) == ("warning", "2 done, 1 failed")


def test_a_database_of_another_kind_is_a_problem(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with closing(sqlite3.connect(folder.ledger)) as connection, connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    (finding,) = (finding for finding in check_folder(folder) if finding.name == "ledger")
    assert finding.state == "problem"
    assert f"cannot use {folder.ledger}: no such table: cells" in finding.detail


def test_a_segmentation_without_its_image_is_a_problem(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.segmentation(7).parent.mkdir(parents=True)
    folder.segmentation(7).touch()
    assert states(folder)["packed volumes"] == "problem"


def test_the_token_is_never_shown() -> None:
    finding = check_token("sentinel")
    assert finding.state == "ok"
    assert "sentinel" not in repr(finding)
    assert "EWVAL_TOKEN" in check_token(None).fix


def test_every_package_is_there_in_a_working_installation() -> None:
    assert {finding.state for finding in check_versions()} == {"ok"}


def test_every_package_that_ewval_depends_on_is_looked_at() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text())["project"]
    assert sorted(PACKAGES) == [line.partition(">=")[0] for line in sorted(project["dependencies"])]


def test_the_disk_of_a_folder_that_is_not_there_yet_is_measured(tmp_path: Path) -> None:
    assert str(tmp_path) in check_disk(DataFolder(tmp_path / "a" / "b")).detail


def test_a_problem_without_a_fix_is_refused() -> None:
    with pytest.raises(ValueError, match="without its fix"):
        Finding("disk", "problem", "full")
