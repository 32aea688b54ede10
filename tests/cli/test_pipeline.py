"""`ewval fetch --pack --predict`: volumes are answered while others arrive, and the raw files go."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from ewval.core.sim.server import WireServer

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def tasks(tiny_world: Path) -> list[int]:
    """Tasks of the generated world."""
    return sorted(int(path.stem) for path in (tiny_world / "api/1.0/task").glob("*.json"))[:6]


def fetch(cli: Cli, server: WireServer, tasks: list[int], *words: object) -> Result:
    rates = ("--api-rate", 2000, "--bucket-rate", 5000)
    environment = {"EWVAL_API": server.api_url, "EWVAL_TOKEN": "secret"}
    return cli("fetch", *tasks, *rates, "--pack", *words, env=environment)


def test_what_arrives_is_answered_as_predict_does_it_later_and_goes(
    cli: Cli, tiny_world: Path, tasks: list[int], tmp_path: Path
) -> None:
    with WireServer(tiny_world) as server:
        result = fetch(cli, server, tasks, "--drop-raw", "--predict", "answers", "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["answers"] == len(tasks)
        again = fetch(cli, server, tasks, "--drop-raw", "--predict", "answers", "--json")
        assert (again.exit_code, json.loads(again.stdout)["answers"]) == (0, len(tasks))
    assert not any((tmp_path / "ewval-data/raw").iterdir())
    later = cli("predict", *tasks, "--json", "--workers", 1)
    assert (tmp_path / "answers/predictions.jsonl").read_text() == later.stdout
    assert sorted(path.name for path in (tmp_path / "answers" / str(tasks[0])).iterdir()) == ["prediction.json"]


def test_a_volume_that_cannot_be_had_leaves_its_tasks_without_an_answer(
    cli: Cli, tiny_world: Path, tasks: list[int], tmp_path: Path
) -> None:
    document = json.loads((tiny_world / f"api/1.0/task/{tasks[0]}.json").read_text())
    lost = document["full_path"].rstrip("/").rpartition("/")[2]
    world = tmp_path / "world"
    (world / "volumes").mkdir(parents=True)
    (world / "api").symlink_to(tiny_world / "api")
    result = None
    with WireServer(world) as server:
        result = fetch(cli, server, tasks[:1], "--predict", "answers")
    assert result.exit_code != 0
    assert lost in result.stderr
    assert not (tmp_path / "answers" / str(tasks[0])).exists()


@pytest.mark.parametrize("words", [("--predict", "x"), ("--pack", "--no-graph", "--predict", "x")])
def test_answers_need_packed_volumes_and_graphs(cli: Cli, words: tuple[str, ...]) -> None:
    result = cli("fetch", 1, *words)
    assert result.exit_code == 2
    assert "--predict answers from packed volumes and their graphs" in result.stderr


def test_answers_of_another_kind_are_refused_before_anything_is_asked_for(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers/run.json").write_text('{"model": "another"}')
    result = cli("fetch", 1, "--pack", "--predict", "answers", "--api", "http://127.0.0.1:9")
    assert result.exit_code == 2
    assert "holds answers made with another" in result.stderr
