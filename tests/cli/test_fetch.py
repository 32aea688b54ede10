"""`ewval fetch` as its users meet it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from ewval.cli.fetch import _write_failed
from ewval.core.errors import ReplyError
from ewval.core.fetch.request import FetchSummary
from ewval.core.folder import DataFolder
from ewval.core.sim.faults import Faults
from ewval.core.sim.server import WireServer

TOKEN = "s3ntinel/t+k"
FAST = ("--api-rate", 2000, "--bucket-rate", 5000)
Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wire-format folder with tasks and no volumes."""
    folder = tmp_path_factory.mktemp("small")
    for task in range(11, 31):
        reply = {
            "id": task,
            "cell": 5,
            "parent": None,
            "prior": {"segments": {"3": 1}},
            "data": {"segmentation": {"id": 900 + task}},
            "full_path": f"{{BUCKET}}/Volume-{task}/",
            "bounds": {"min": {"x": 0, "y": 0, "z": 0}},
        }
        write(folder / f"api/1.0/task/{task}.json", reply)
        write(folder / f"api/1.0/task/{task}/aggregate.json", {"segments": {"3": 1.0}})
    write(folder / "api/1.0/cell/5/tasks.json", {"tasks": [{"id": task} for task in range(11, 15)]})
    (folder / "volumes").mkdir()
    return folder


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


@pytest.fixture
def server(small: Path) -> Iterator[WireServer]:
    with WireServer(small, token=TOKEN) as running:
        yield running


@pytest.fixture
def run(cli: Cli, server: WireServer) -> Cli:
    """Run `ewval fetch` against the server, fast."""
    return lambda *words, **options: cli(
        "fetch", *words, *FAST, env={"EWVAL_API": server.api_url, "EWVAL_TOKEN": TOKEN}, **options
    )


def test_a_fetch_says_what_it_did_and_the_next_that_there_is_nothing_to_do(run: Cli) -> None:
    first = run("--cell", 5, "--metadata-only")
    assert first.exit_code == 0
    assert re.fullmatch(r"fetched 4 tasks and 0 volumes, 0\.0 MB, in \d+\.\d s\n", first.stdout)
    second = run("--cell", 5, "--metadata-only")
    assert second.exit_code == 0
    assert second.stdout == "nothing to do: 4 tasks and all that belongs to them are there\n"


def test_json_is_one_document_in_the_form_of_the_contract(run: Cli) -> None:
    result = run(11, 99, "--metadata-only", "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert {"done": 1, "skipped": 0, "absent": 0}.items() <= document.items()
    assert document["seconds"] > 0
    assert document["bytes"] > 0
    assert [(item["id"], item["kind"]) for item in document["failed"]] == [(99, "task")]


def test_quiet_prints_the_ids_that_are_there_and_nothing_else(run: Cli) -> None:
    result = run(12, 11, "--metadata-only", "-q")
    assert (result.stdout, result.stderr) == ("11\n12\n", "")


def test_ids_come_from_stdin_with_comments(run: Cli) -> None:
    assert run("-", "--metadata-only", "-q", input="12  # twelve\n\n# none\n13\n").stdout == "12\n13\n"


def test_what_failed_is_listed_in_a_file_that_the_next_run_takes(run: Cli, server: WireServer, tmp_path: Path) -> None:
    result = run(11, 98, 99, "--metadata-only")
    assert result.exit_code == 3
    reason = f"{server.api_url} does not know it"
    assert f"ewval: task 98 failed: {reason}\n" in result.stderr
    listed = (tmp_path / "ewval-data" / "failed.txt").read_text()
    assert listed == f"98  # {reason}\n99  # {reason}\n"
    again = run("-", "--metadata-only", input=listed)
    assert again.exit_code == 6
    assert run(11, "--metadata-only").exit_code == 0
    assert not (tmp_path / "ewval-data" / "failed.txt").exists()


def test_a_task_whose_volume_is_missing_is_listed(run: Cli, tmp_path: Path) -> None:
    result = run(11)
    assert result.exit_code == 3
    assert "ewval: volume 911 failed: segmentation.lzma of volume 911 not found" in result.stderr
    assert (tmp_path / "ewval-data" / "failed.txt").read_text().startswith("11  # segmentation.lzma of volume 911")


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ((), 2, "nothing to fetch: give task ids, --cell ID or --registry CSV"),
        (("x",), 2, "'x' is not a task id: ids are positive whole numbers"),
        (("--cell", "-5"), 2, "'-5' is not a cell id"),
        ((7, "--context", "-1"), 2, "--context must be 0 to 100 ancestors"),
        ((7, "--api-rate", "0"), 2, "--api-rate must be above 0"),
        ((7, "--drop-raw"), 2, "--drop-raw needs packing"),
        ((7, "--api", "eyewire.org"), 2, "--api should be a URL such as https://eyewire.org"),
        (("--registry", "none.csv"), 6, "registry none.csv not found"),
        ((7, "--api", "http://127.0.0.1:9"), 5, "cannot reach http://127.0.0.1:9/1.0/task/7: connection refused"),
        ((99, "--metadata-only"), 6, "task 99 not found"),
        (("--cell", 99), 6, "cell 99 not found"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    cli: Cli, server: WireServer, words: tuple[object, ...], code: int, line: str
) -> None:
    env = {"EWVAL_API": server.api_url, "EWVAL_TOKEN": TOKEN}
    result = cli("fetch", *words, env=env)
    assert result.exit_code == code
    lines = [text for text in result.stderr.splitlines() if text.startswith("ewval: ")]
    assert line in lines[-1]
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("env", "line"), [({"EWVAL_TOKEN": "wrong"}, "the token was refused (403) by"), ({}, "no Eyewire token is set")]
)
def test_a_token_that_is_no_good_is_exit_4(cli: Cli, server: WireServer, env: dict[str, str], line: str) -> None:
    result = cli("fetch", 11, "--api", server.api_url, env=env)
    assert result.exit_code == 4
    assert line in result.stderr


def test_nothing_is_created_where_nothing_can_be_done(cli: Cli, tmp_path: Path) -> None:
    assert cli("fetch", "--registry", "none.csv").exit_code == 6
    assert cli("fetch", "-", input="\n".join(map(str, range(1, 6000)))).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_more_than_ten_thousand_requests_need_yes(run: Cli, server: WireServer) -> None:
    result = run("-", input="\n".join(map(str, range(1, 6001))))
    assert result.exit_code == 2
    expected = "ewval: this takes about 12,000 requests to Eyewire; "
    expected += "`ewval fetch` shows which with --dry-run, and makes them with --yes\n"
    assert result.stderr == expected
    assert server.requests == []


def test_a_dry_run_tells_the_cost_and_fetches_nothing(run: Cli, tmp_path: Path) -> None:
    text = run("--cell", 5, "--dry-run")
    assert text.stdout.startswith("would fetch 4 tasks and up to 4 volumes: 1,040 requests, 1,032 files, 36.0 MB")
    document = json.loads(run("--cell", 5, "--dry-run", "--json").stdout)
    assert {"tasks": 4, "volumes": 4, "files": 1032, "bytes": 36_000_000}.items() <= document.items()
    assert document["seconds"] > 0
    assert not (tmp_path / "ewval-data").exists()


def test_a_dry_run_names_cells_that_it_could_not_ask_about(run: Cli) -> None:
    alone = run("--cell", 999, "--dry-run")
    assert (alone.exit_code, alone.stdout) == (6, "")
    assert "cell 999 not found" in alone.stderr
    some = run("--cell", 5, "--cell", 999, "--dry-run")
    assert some.exit_code == 3
    assert some.stdout.startswith("would fetch 4 tasks")
    assert "ewval: cell 999 failed" in some.stderr


def test_a_dry_run_says_when_the_server_cannot_be_asked(cli: Cli, run: Cli) -> None:
    wrong = cli("fetch", "--cell", 5, "--dry-run", *FAST, "--api", "http://127.0.0.1:9", env={"EWVAL_TOKEN": TOKEN})
    assert (wrong.exit_code, wrong.stdout) == (5, "")
    assert "cannot reach" in wrong.stderr


def test_a_bucket_that_sends_nothing_whole_leaves_what_failed_listed(
    cli: Cli, tiny_world: Path, tmp_path: Path
) -> None:
    task = min(int(path.stem) for path in (tiny_world / "api/1.0/task").glob("*.json"))
    faults = Faults(share=1.0, kinds=("jpeg",), limit=None, hosts=("bucket",))
    with WireServer(tiny_world, token=TOKEN, faults=faults) as server:
        env = {"EWVAL_API": server.api_url, "EWVAL_TOKEN": TOKEN}
        result = cli("fetch", task, *FAST, "--json", env=env)
    assert result.exit_code in (3, 5, 6)
    assert [item["kind"] for item in json.loads(result.stdout)["failed"]] == ["volume"]
    assert (tmp_path / "ewval-data" / "failed.txt").read_text().startswith(f"{task} ")
    assert "as the server sends it" in result.stderr


def test_a_fetch_that_stopped_leaves_the_list_of_what_failed_before(tmp_path: Path) -> None:
    folder, stopped = DataFolder(tmp_path), ReplyError("http://bucket", "no JPEG")
    folder.failed.write_text("4\n")
    summary = FetchSummary((), 1, 0, 0, (), {}, {}, 0, 0, 1, 0.0, stopped=stopped)
    _write_failed(folder, summary)
    assert folder.failed.read_text() == "4\n"
    _write_failed(folder, replace(summary, stopped=None))
    assert not folder.failed.exists()


def test_a_registry_without_cells_asks_for_nothing(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("Cell ID,Name,Status,Size,Tags\n")
    result = run("--registry", "cells.csv")
    assert (result.exit_code, result.stdout) == (0, "nothing to do: the request names no task\n")


def test_registry_rows_that_were_left_out_are_counted(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("Cell ID,Name,Status,Size,Tags\n5,a,Completed,9,{}\n6,b,Active,9,{}\n")
    result = run("--registry", "cells.csv", "--metadata-only")
    assert result.exit_code == 0
    assert "registry: left out 1 row: 1 not completed\n" in result.stderr


@pytest.mark.parametrize(("separator", "encoding"), [(";", "utf-16"), ("\t", "cp1252"), ("|", "utf-8-sig")])
def test_a_registry_of_another_country_asks_for_its_cells(
    run: Cli, tmp_path: Path, separator: str, encoding: str
) -> None:
    sizes = {5: "1.234.567", 6: "45\u00a0985", 7: "a lot", 8: "0"}
    rows = [("Cell ID", "Name", "Status", "Size", "Tags")]
    rows += [(str(cell), "Jos\u00e9", "Completed", size, "{}") for cell, size in sizes.items()]
    (tmp_path / "cells.csv").write_bytes("".join(separator.join(row) + "\r\n" for row in rows).encode(encoding))
    result = run("--registry", "cells.csv", "--metadata-only", "--json")
    assert json.loads(result.stdout)["dropped"] == {"unreadable size": 1, "size 0": 1}
    assert "cell 6" in result.stderr  # asked for, which the server does not know
    assert result.exit_code == 3


def test_a_registry_that_is_none_is_said_to_be_none(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("Cell;Size\n5;9\n")
    result = run("--registry", "cells.csv")
    assert result.exit_code == 6
    assert result.stderr.startswith("ewval: registry cells.csv cannot be read: it has no column ")
    assert "save it as CSV with the columns Cell ID, Name, Status, Size and Tags" in result.stderr
    assert "ewval fetch" not in result.stderr


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_server_on_this_machine_needs_no_proxy(run: Cli, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    assert run(11, "--metadata-only").exit_code == 0


def test_a_proxy_that_cannot_be_had_is_named(cli: Cli) -> None:
    env = {"HTTP_PROXY": "http://me:s3cret@127.0.0.1:9", "EWVAL_TOKEN": TOKEN}
    result = cli("fetch", 11, "--api", "http://eyewire.invalid", env=env)
    assert result.exit_code == 5
    assert "through the proxy http://127.0.0.1:9: connection refused; check HTTP_PROXY" in result.stderr
    assert "s3cret" not in result.output


def test_the_contact_is_sent_along(run: Cli, server: WireServer) -> None:
    run(11, "--metadata-only", "--contact", "me@lab.org")
    assert server.requests[0].user_agent.endswith("; me@lab.org)")


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_the_state_and_says_how_to_go_on(server: WireServer, tmp_path: Path, number: int) -> None:
    words = ["fetch", "--cell", "5", "--metadata-only", "--api-rate", "3", "--data", str(tmp_path / "d")]
    env = os.environ | {"EWVAL_API": server.api_url, "EWVAL_TOKEN": TOKEN}
    command = [sys.executable, "-m", "ewval", *words]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while len(server.requests) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.splitlines()[-1] == f"interrupted; finished work is saved; resume with: ewval {' '.join(words)}"
    done = len({request.path for request in server.requests})
    again = subprocess.run([*command, "--api-rate", "1000"], env=env, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0
    assert len(server.requests) <= done + 2 * 4  # what was complete was not asked for again


def test_the_token_stands_nowhere_but_in_the_queries_of_the_api(server: WireServer, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")
    words = ["fetch", "11", "99", "-v", "--data", str(tmp_path / "d"), "--token-file", str(token_file)]
    command = [sys.executable, "-m", "ewval", *words, "--api", server.api_url]
    result = subprocess.run(command, env=os.environ | {"EWVAL_DEBUG": "1"}, capture_output=True, timeout=60)
    assert result.returncode == 3
    written = b"".join(path.read_bytes() for path in (tmp_path / "d").rglob("*") if path.is_file())
    for seen in (result.stdout, result.stderr, written):
        assert b"s3ntinel" not in seen
    assert b"GET http://127.0.0.1" in result.stderr  # the log was on
    for request in server.requests:
        assert request.token == (TOKEN if request.host == "api" else None)
    assert {request.host for request in server.requests} == {"api", "bucket"}
