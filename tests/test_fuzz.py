"""Whatever stands in the text and JSON that ewval reads: an answer or one of its own errors, never a traceback.

2,000 cases in all, the same ones each time. What a command reads goes through the command where that takes
milliseconds, else through the one function that reads it.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ewval.cli.app import app
from ewval.core.errors import EwvalError
from ewval.core.eyewire.registry import read_registry, select_cells
from ewval.core.eyewire.replies import parse_aggregate, parse_cell_tasks, parse_cells, parse_task, read_json
from ewval.core.folder import DataFolder
from ewval.core.index.split import read_split
from ewval.core.models.card import parse_card
from ewval.core.predict.folder import AnswerFolder
from ewval.core.recipe import check_recipe, read_recipe
from ewval.core.tasks.seed_files import read_task_files
from ewval.core.training.recipe import GraphRecipe
from ewval.core.training.run_folder import RunFolder, read_config, read_metrics
from ewval.core.volumes.checks import metadata_bounds
from ewval.core.volumes.raw import read_metadata
from worlds import line_of_cells, write_world

FORESEEN = {0, 2, 3, 6}
"""Exit codes that text may lead to: all but 1, and those of servers and devices."""
ENCODINGS = ["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"]


def cases(count: int, *strategies: Any, examples: tuple[Any, ...] = ()) -> Callable[[Any], Any]:
    """Run a test on `count` cases, `examples` first."""

    def decorate(test: Any) -> Any:
        test = given(*strategies)(test)
        for value in examples:
            test = example(value)(test)
        shared = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        return settings(max_examples=count, suppress_health_check=shared, deadline=None)(test)

    return decorate


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([0, 1, -1, 5, 2**31, 2**63, 2**64, "5", "0", "-1", "1.0", "", "9" * 5000, 1e308, "NaN"]),
)


def documents(*keys: str) -> st.SearchStrategy[Any]:
    """Values such as JSON holds, whose objects mostly have the keys that a reader looks for."""
    names = st.one_of(st.sampled_from(keys), st.sampled_from(keys), st.text(max_size=5))
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=6)),
        max_leaves=12,
    )


@st.composite
def files(draw: Any, *keys: str) -> bytes:
    """The bytes of a JSON file: whole, in some encoding, cut, or spoiled in one byte."""
    text = json.dumps(draw(documents(*keys)), ensure_ascii=draw(st.booleans()))
    content = text.encode(draw(st.sampled_from(ENCODINGS)), "replace")
    at, kind = draw(st.integers(0, max(0, len(content) - 1))), draw(st.sampled_from(["whole"] * 4 + ["cut", "spoiled"]))
    if kind == "cut":
        return content[:at]
    return content[:at] + draw(st.binary(min_size=1, max_size=2)) + content[at + 1 :] if kind == "spoiled" else content


def texts(*words: str, separators: str = "\n\r\t ,;") -> st.SearchStrategy[bytes]:
    """Lines made of the words that a reader knows, and of others, in some encoding; or mere bytes."""
    pieces = st.one_of(st.sampled_from(words), st.sampled_from(words), st.sampled_from(separators), st.text(max_size=4))
    lines = st.lists(pieces, max_size=24).map("".join)
    encoded = st.tuples(lines, st.sampled_from(ENCODINGS)).map(lambda pair: pair[0].encode(pair[1], "replace"))
    return st.one_of(encoded, encoded, encoded, st.binary(max_size=40))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all cases of this module, with a small data folder in it."""
    place = tmp_path_factory.mktemp("fuzz")
    write_world(place / "data", line_of_cells(6))
    (place / "empty").mkdir()
    return place


def run(*words: object, **options: Any) -> None:
    """Run a command; it ends as foreseen, in lines of ASCII."""
    result = CliRunner().invoke(app, [str(word) for word in words], **options)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code in FORESEEN, result.output
    assert result.stderr.isascii()


def attempt(read: Callable[..., object], *values: Any, **named: Any) -> None:
    """Call a reader; it answers, or raises an error of ours."""
    with suppress(EwvalError):
        read(*values, **named)


@cases(
    200, texts("5", "77", "# none", "\ufeff", "0", "-", "99999999999999999999"), examples=(b"\xff\xfe5\0", b"9" * 9000)
)
def test_ids_on_stdin(place: Path, content: bytes) -> None:
    run("pack", "-", "--data", place / "empty", "--workers", 1, input=content)


@cases(60, texts("5", "# none", "\ufeff"))
def test_ids_of_cells_on_stdin(place: Path, content: bytes) -> None:
    run("index", "--cell", "-", "--data", place / "empty", input=content)


@cases(100, texts("s3cret", "\ufeff", "\0", "\x1b[0m"))
def test_token_files(place: Path, content: bytes) -> None:
    (place / "token").write_bytes(content)
    run("fetch", "-", "--data", place / "empty", "--token-file", place / "token", input="")


TOML = (
    "data = ",
    '"empty"',
    "model = ",
    "[pack]\n",
    "cell = ",
    "[5]",
    "quiet = ",
    "true",
    "\n",
    "workers = ",
    "[[",
    "= ",
    "nan",
    "'~x'",
)


@cases(240, texts(*TOML), examples=(b'data = "a\\u0000b"', b'model = "' + b"x" * 5000 + b'"', b"a = " + b"[" * 5000))
def test_configuration_files(place: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.chdir(place)
    (place / "ewval.toml").write_bytes(content)
    try:
        run("pack", "-", "--data", place / "empty", input="")
    finally:
        (place / "ewval.toml").unlink()


VALUES = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(st.text(max_size=3), scalars, max_size=2))


@cases(
    100,
    st.sampled_from(["split", "folds", "seed", "consensus", "min-weight", "cell", "out", "data", "test-fraction"]),
    VALUES,
)
def test_values_of_the_configuration_file(place: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: Any) -> None:
    monkeypatch.chdir(place / "empty")
    text = json.dumps(value, default=str).replace("NaN", "nan").replace("Infinity", "inf")
    (place / "empty" / "ewval.toml").write_text(f"[index]\n{key} = {text}\n", encoding="utf-8", errors="replace")
    try:
        run("index", "--skip-volumes", *(() if key == "data" else ("--data", place / "data")), "--out", place / "out")
    finally:
        (place / "empty" / "ewval.toml").unlink()


HEAD = "Cell ID,Name,Status,Size,Tags\n"
CELLS = (
    HEAD,
    HEAD.replace(",", ";"),
    "77960",
    "Completed",
    "45 985",
    '"1.234.567"',
    '"',
    '{"mystic": true}',
    ",",
    ";",
    "\t",
    "\n",
    "5,a,Completed,9,\n",
)


@cases(200, texts(*CELLS), examples=(HEAD.encode() + b'7,"' + b"x" * 200_000 + b'",Completed,5,',))
def test_registries(place: Path, content: bytes) -> None:
    (place / "cells.csv").write_bytes(content)
    attempt(lambda: select_cells(read_registry(place / "cells.csv")))


TASK_KEYS = ("1", "2", "588174", "seed", "parent", "aggregate")


@cases(200, files(*TASK_KEYS), files(*TASK_KEYS))
def test_task_files(place: Path, volumes: bytes, tasks: bytes) -> None:
    folder = DataFolder(place / "listed")
    folder.root.mkdir(exist_ok=True)
    folder.task_vol.write_bytes(volumes)
    folder.task_data.write_bytes(tasks)
    attempt(read_task_files, folder)


@cases(60, files(*TASK_KEYS))
def test_task_files_through_the_command(place: Path, tasks: bytes) -> None:
    folder = DataFolder(place / "commanded")
    folder.root.mkdir(exist_ok=True)
    folder.task_vol.write_text('{"1": "5", "2": "5"}', encoding="utf-8")
    folder.task_data.write_bytes(tasks)
    run("index", "--data", folder.root, "--skip-volumes")
    run("pack", "--verify", "--data", folder.root, "--workers", 1, "--json")


@cases(100, files("train", "val", "test", "gap", "rule", "counts", "seed"))
def test_splits(place: Path, content: bytes) -> None:
    folder = DataFolder(place / "split")
    folder.root.mkdir(exist_ok=True)
    folder.split.write_bytes(content)
    attempt(read_split, folder)


@cases(
    140, files("segment_id_type", "image_type", "physical_offset_min", "physical_offset_max"), examples=(b"[" * 99_999,)
)
def test_metadata(place: Path, content: bytes) -> None:
    (place / "metadata.json").write_bytes(content)
    attempt(read_metadata, place)
    attempt(metadata_bounds, content, what="metadata")


REPLY = (
    "id",
    "cell",
    "parent",
    "prior",
    "segments",
    "data",
    "segmentation",
    "full_path",
    "bounds",
    "min",
    "max",
    "x",
    "status",
    "votes",
    "weight",
    "tasks",
)


@cases(300, files(*REPLY), examples=(b'{"id": 7, "prior": {"segments": "[[[["}}',))
def test_replies(content: bytes) -> None:
    url = "http://127.0.0.1/1.0"
    attempt(lambda: parse_task(read_json(content, url=url), task=7, url=url))
    for parse in (parse_aggregate, parse_cell_tasks, parse_cells):
        attempt(lambda parse=parse: parse(read_json(content, url=url), url=url))


CARD = (
    "name",
    "arch",
    "loss",
    "loops",
    "context",
    "factor",
    "temperature",
    "add_threshold",
    "maybe_threshold",
    "config",
    "joining",
    "sha256",
    "cells",
)


@cases(100, files(*CARD))
def test_cards(content: bytes) -> None:
    attempt(parse_card, content.decode("utf-8", "replace"), what="card")


@cases(60, st.sampled_from(CARD), VALUES)
def test_models_whose_card_says_something_else(place: Path, key: str, value: Any) -> None:
    from safetensors.numpy import save

    card = {"name": "x", "arch": "graph", key: value}
    (place / "x.safetensors").write_bytes(save({"settings": np.zeros(4, np.float32)}))
    (place / "x.json").write_text(json.dumps(card), encoding="utf-8")
    run("predict", 7, "--data", place / "empty", "--model", place / "x.safetensors", "--api", "http://127.0.0.1:9")


@cases(100, texts("[pairs]\n", "trees = ", "5", "-1", "nan", "rate = ", '"x"', "\n", "[optimizer]\n", "= "))
def test_recipes(place: Path, content: bytes) -> None:
    (place / "mine.toml").write_bytes(content)
    attempt(lambda: check_recipe(GraphRecipe, read_recipe(str(place / "mine.toml")), name="mine"))


@cases(60, files("step", "loss", "options", "seed"))
def test_run_folders(place: Path, content: bytes) -> None:
    folder = RunFolder(place / "run")
    folder.root.mkdir(exist_ok=True)
    folder.config.write_bytes(content)
    folder.metrics.write_bytes(content)
    attempt(read_config, folder)
    attempt(read_metrics, folder.metrics)


@cases(60, files("task", "add", "model", "weights"))
def test_saved_answers(place: Path, content: bytes) -> None:
    root = place / "answers"
    (root / "7").mkdir(parents=True, exist_ok=True)
    (root / "7" / "prediction.json").write_bytes(content)
    (root / "run.json").write_bytes(content)
    attempt(AnswerFolder, root, made_with={"model": "x"})
    (root / "run.json").unlink()
    folder = AnswerFolder(root, made_with={"model": "x"})
    folder.is_finished(7)
    folder.finish([7], failed={})
