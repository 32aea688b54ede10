"""`ewval demo`: what it refuses, and one small run of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from ewval.cli.demo import Shell
from ewval.cli.output import Output

Run = Callable[..., Result]


def test_a_file_is_no_folder(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    result = cli("demo", "--out", "taken")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "ewval: --out taken is not a folder\n"
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_folder_with_other_things_is_left_alone(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    result = cli("demo", "--out", "mine")
    assert result.exit_code == 2
    assert result.stderr == "ewval: --out mine holds other things than a demo; choose a new or an empty folder\n"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made_is_said_in_one_line(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = cli("demo", "--out", "file/below")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("ewval: cannot write file/below: ")


@pytest.mark.parametrize("content", ["{", "[]", '{"ports": 3}', '{"ports": ["a", "b"]}'])
def test_a_damaged_marker_is_said_in_one_line(cli: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "demo.json").write_text(content)
    result = cli("demo", "--out", "demo")
    assert result.exit_code == 2
    assert result.stderr == "ewval: demo/demo.json is damaged; delete it or choose another --out\n"


def test_a_command_that_fails_ends_the_demo_with_its_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import typer

    with pytest.raises(typer.Exit) as ended:
        Shell(tmp_path, "http://127.0.0.1:9", Output()).run("fetch", "7", "--api-rate", "1000")
    assert ended.value.exit_code == 5
    out, err = capfd.readouterr()
    assert "$ ewval fetch 7 --api-rate 1000" in out
    assert "ewval: `ewval fetch` ended with exit code 5, so the demo ends too" in err


@pytest.mark.timeout(1200)  # seven processes, one of which trains: about a minute on two idle cores
def test_a_small_demo_runs_to_its_end_and_is_not_repeated(cli: Run, tmp_path: Path) -> None:
    result = cli("demo", "--small", "--json")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert {*said["found"], *said["missed"]} < set(said["truth"])
    assert not set(said["wrong"]) & set(said["truth"])
    assert 0 <= said["score_before"] <= said["score_after"] <= 1
    with Image.open(tmp_path / said["picture"]) as picture:
        assert picture.width > 4 * 256
    for name in ("scores", "predictions", "run", "data", "world"):
        assert (tmp_path / said[name]).exists()
    again = cli("demo", "--small")
    assert again.exit_code == 0, again.stderr
    assert "Where the results are:" in again.stdout
    assert "slices.png: image, seed (blue), truth (cyan) and prediction" in again.stdout
