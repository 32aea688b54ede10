"""What doctor advises is tried: the commands that it names mend what it found."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ewval.core.sim.server import WireServer

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def server(tiny_world: Path) -> Iterator[WireServer]:
    with WireServer(tiny_world, token="secret") as server:
        yield server


@pytest.fixture(scope="module")
def fetching(server: WireServer, tiny_world: Path) -> tuple[object, ...]:
    """The words of an `ewval fetch` of one task and its volume."""
    task = min(int(path.stem) for path in (tiny_world / "api/1.0/task").glob("*.json"))
    rates = ("--api-rate", 5000, "--bucket-rate", 10000)
    return ("fetch", task, "--context", 0, "--api", server.api_url, *rates)


@pytest.fixture
def fetch(cli: Cli, fetching: tuple[object, ...]) -> Callable[..., Result]:
    """Run that fetch, which packs as well with `--pack`."""
    return lambda *more: cli(*fetching, "--data", "data", *more, env={"EWVAL_TOKEN": "secret"})


def findings(cli: Cli) -> dict[str, dict[str, str]]:
    document = json.loads(cli("doctor", "--data", "data", "--json").stdout)
    return {found["name"]: found for found in document["findings"]}


def problems(cli: Cli) -> list[str]:
    return [name for name, found in findings(cli).items() if found["state"] == "problem"]


def follow(cli: Cli, fetch: Callable[..., Result], advice: str) -> None:
    """Do what `advice` says, in its order."""
    if "move " in advice:
        moved = Path(advice.partition("move ")[2].partition(" away")[0])
        moved.rename(moved.with_name("moved-away"))
    steps = {"`ewval fetch`": fetch, "`ewval pack`": lambda: cli("pack", "--data", "data", "--workers", 1)}
    steps["`ewval index`"] = lambda: cli("index", "--data", "data")
    for name, step in sorted(steps.items(), key=lambda item: advice.find(item[0])):
        if name in advice:
            result = step()
            assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def healthy(fetching: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which doctor finds nothing, before and after it is copied; never write into it."""
    from ewval.cli.app import app

    data = tmp_path_factory.mktemp("healthy") / "data"
    for words in ((*fetching, "--pack", "--no-graph"), ("index",)):
        result = CliRunner().invoke(app, [*map(str, words), "--data", str(data)], env={"EWVAL_TOKEN": "secret"})
        assert result.exit_code == 0, result.output
    return data


@pytest.fixture
def data(healthy: Path, cli: Cli, tmp_path: Path) -> Path:
    copy = shutil.copytree(healthy, tmp_path / "data")
    assert problems(cli) == []
    return copy


DAMAGE = {
    "task_vol.json": ['{"1": ', "[]", '{"1": "x"}', ""],
    "task_data.json": ['{"1": {"seed": ', '{"1": {}}', "7"],
    "split.json": ["{", '{"train": [1], "val": [1]}', '{"train": ["x"]}'],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in DAMAGE.items() for text in texts])
def test_advice_on_a_damaged_file_of_the_index(
    cli: Cli, fetch: Callable[..., Result], data: Path, name: str, text: str
) -> None:
    (data / name).write_text(text, encoding="utf-8")
    found = findings(cli)[name]
    assert found["state"] == "problem"
    follow(cli, fetch, found["fix"])
    assert problems(cli) == []


@pytest.mark.parametrize("name", ["task_vol.json", "task_data.json"])
def test_advice_on_a_damaged_file_where_nothing_was_fetched(
    cli: Cli, fetch: Callable[..., Result], data: Path, name: str
) -> None:
    (data / "eyewire.sqlite").unlink()
    (data / name).write_text("{", encoding="utf-8")
    follow(cli, fetch, findings(cli)[name]["fix"])
    assert problems(cli) == []


def test_advice_on_a_damaged_ledger(cli: Cli, fetch: Callable[..., Result], data: Path) -> None:
    (data / "eyewire.sqlite").write_bytes(b"not a database, but long enough to look like one" * 40)
    follow(cli, fetch, findings(cli)["ledger"]["fix"])
    assert problems(cli) == []


@pytest.mark.parametrize("has_raw", [True, False])
def test_advice_on_half_a_packed_volume(cli: Cli, fetch: Callable[..., Result], data: Path, has_raw: bool) -> None:
    path = min(data.glob("images/*/image.lzma"))
    path.unlink()
    if not has_raw:
        shutil.rmtree(data / "raw" / path.parent.name)
    follow(cli, fetch, findings(cli)["packed volumes"]["fix"])
    assert problems(cli) == []
    assert path.is_file()


def test_advice_on_failed_tasks(cli: Cli, tiny_world: Path, wire_server: Callable[..., Any], tmp_path: Path) -> None:
    world = shutil.copytree(tiny_world, tmp_path / "world")
    path = min((world / "api/1.0/task").glob("*.json"), key=lambda path: int(path.stem))
    hidden = path.rename(path.with_suffix(".hidden"))
    server = wire_server(world, token="secret")
    words = ("fetch", path.stem, "--metadata-only", "--data", "data", "--api", server.api_url, "--api-rate", 5000)
    assert cli(*words, env={"EWVAL_TOKEN": "secret"}).exit_code == 6
    found = findings(cli)["ledger"]
    assert found["state"] == "warning"
    assert "run the same `ewval fetch` again" in found["fix"]
    hidden.rename(path)
    assert cli(*words, env={"EWVAL_TOKEN": "secret"}).exit_code == 0
    assert findings(cli)["ledger"]["state"] == "ok"
