"""A list of ids that holds none means nothing to do, in every command, and never "all"."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from ewval.core.folder import DataFolder
from worlds import line_of_cells, write_world

Cli = Callable[..., Result]
EMPTY = ["", "\n", "# nothing matched\n", " \n\t\n#12\n"]
NOWHERE = ("--api", "http://127.0.0.1:9")
COUNTS = {"done": 0, "skipped": 0, "absent": 0, "failed": [], "seconds": 0.0, "bytes": 0}


@pytest.fixture
def data(tmp_path: Path, raw_volume: Path) -> Path:
    """The default data folder: six tasks of six cells in the packed volume 100, and the raw volume 5."""
    folder = write_world(tmp_path / "ewval-data", line_of_cells(6)).root
    shutil.copytree(raw_volume, folder / "raw" / "5")
    return folder


def content(folder: Path) -> dict[str, int]:
    """Return what a folder holds, with sizes."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("text", EMPTY)
@pytest.mark.parametrize("words", [("-", "--drop-raw"), ("-",), ("-", "--verify"), ("-", "--drop-raw", "--verify")])
def test_pack_of_an_empty_list_touches_no_volume(cli: Cli, data: Path, words: tuple[str, ...], text: str) -> None:
    before = content(data)
    result = cli("pack", *words, input=text)
    assert (result.exit_code, result.stdout) == (0, "nothing to do: the list holds no volume ids\n")
    assert content(data) == before


@pytest.mark.parametrize(
    "command",
    [
        ("pack", "-", "--drop-raw"),
        ("fetch", "-", *NOWHERE),
        ("fetch", "--cell", "-", *NOWHERE),
        ("index", "--cell", "-"),
        ("index", "--cell", "-", "--out", "some"),
        ("predict", "-", *NOWHERE),
        ("predict", "--cell", "-", *NOWHERE),
        ("predict", "-", "--cell", "-", "--out", "answers", *NOWHERE),
        ("review", "-"),
        ("review", "--cell", "-", "--no-browser"),
        ("review", "--export", "-", "--task-data", "answers.json"),
    ],
)
def test_every_command_has_nothing_to_do_for_an_empty_list(
    cli: Cli, data: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (data / "failed.txt").write_text("7  # of the run before\n")
    before = content(tmp_path)
    shown = cli(*command, input="# none\n")
    assert shown.exit_code == 0, shown.output
    assert "nothing to do" in shown.output
    quiet = cli(*command, "-q", input="")
    assert (quiet.exit_code, quiet.output) == (0, "")
    counted = cli(*command, "--json", input="")
    assert counted.exit_code == 0
    if command[0] in ("predict", "review"):
        assert counted.stdout == ""
    else:
        assert json.loads(counted.stdout) == COUNTS
    assert content(tmp_path) == before


def test_ids_beside_an_empty_list_count(cli: Cli, data: Path) -> None:
    assert cli("index", "--cell", "-", "--cell", 1003, "-q", input="").exit_code == 0
    assert json.loads((data / "task_vol.json").read_bytes()).keys() == {str(task) for task in range(1, 7)}
    assert cli("pack", "-", 5, "-q", input="").stdout == "5\n"


@pytest.mark.parametrize("text", ["", "\n", "Cell ID,Name,Status,Size,Tags\n"])
def test_a_registry_without_cells_asks_for_nothing(cli: Cli, data: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "cells.csv").write_text(text, encoding="utf-8")
    (data / "failed.txt").write_text("7\n")
    result = cli("fetch", "--registry", "cells.csv", *NOWHERE)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("nothing to do")
    assert (data / "failed.txt").exists()


@pytest.mark.parametrize("words", [("predict",), ("fetch",)])
def test_no_list_at_all_is_another_matter(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli(*words).exit_code == 2


def test_no_list_at_all_packs_every_raw_volume(cli: Cli, data: Path) -> None:
    assert cli("pack", "--drop-raw", "-q", input="").stdout == "5\n"
    assert not DataFolder(data).raw(5).exists()


def test_an_empty_list_is_no_list_of_all_in_requests_either(data: Path) -> None:
    from ewval.core.errors import MissingError
    from ewval.core.index.build import IndexRequest, index
    from ewval.core.packing.pack import PackRequest, pack
    from ewval.core.packing.verify import verify

    folder = DataFolder(data)
    assert pack(PackRequest(folder, volumes=(), drop_raw=True)).done == ()
    assert verify(folder, ()).verified == 0
    with pytest.raises(MissingError):
        index(IndexRequest(folder, cells=()))
    assert folder.raw(5).is_dir()
    assert not folder.task_vol.exists()
