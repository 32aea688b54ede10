"""What doctor says of the server, the token and the data folder, and how it ends."""

import json
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest


def test_without_a_token_nobody_is_asked(cli: Callable[..., Any], tiny_world: Path, wire_server: Any) -> None:
    server = wire_server(tiny_world)
    result = cli("doctor", "--api", server.api_url)
    assert result.exit_code == 0
    assert "warning  token: none set" in result.stdout
    assert server.requests == []


def test_a_token_that_is_taken_is_fine(cli: Callable[..., Any], tiny_world: Path, wire_server: Any) -> None:
    server = wire_server(tiny_world, token="sentinel")
    result = cli("doctor", "--api", server.api_url, env={"EWVAL_TOKEN": "sentinel"})
    assert result.exit_code == 0
    assert "answers and takes the token" in result.stdout
    assert "sentinel" not in result.output


def test_a_refused_token_is_a_problem(cli: Callable[..., Any], tiny_world: Path, wire_server: Any) -> None:
    server = wire_server(tiny_world)
    result = cli("doctor", "--api", server.api_url, env={"EWVAL_TOKEN": "sentinel"})
    assert result.exit_code == 4
    assert "problem  server: the token was refused (403)" in result.stdout
    assert "sentinel" not in result.output


def test_a_server_of_another_kind_is_a_problem(cli: Callable[..., Any], tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        result = cli("doctor", "--api", f"http://127.0.0.1:{server.server_port}", env={"EWVAL_TOKEN": "any"})
        server.shutdown()
    assert "answers, but knows no task 1 and no cells" in result.stdout
    assert "takes the token" not in result.stdout


def test_a_server_that_is_down_is_a_problem(cli: Callable[..., Any], tiny_world: Path, wire_server: Any) -> None:
    server = wire_server(tiny_world)
    server.stop()
    result = cli("doctor", "--api", server.api_url, env={"EWVAL_TOKEN": "any"})
    assert result.exit_code == 5
    assert "problem  server: cannot reach" in result.stdout


def test_json_holds_every_finding_with_its_fix(cli: Callable[..., Any]) -> None:
    findings = {finding["name"]: finding for finding in json.loads(cli("doctor", "--json").stdout)["findings"]}
    assert findings["torch"]["state"] == "ok"
    assert "EWVAL_TOKEN" in findings["token"]["fix"]


def test_a_broken_ledger_ends_with_the_code_for_data(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "eyewire.sqlite").write_bytes(b"not a database at all" * 60)
    result = cli("doctor", "--data", "data")
    assert result.exit_code == 6
    assert "problem  ledger: " in result.stdout


def test_quiet_shows_only_what_needs_attention(cli: Callable[..., Any]) -> None:
    lines = cli("doctor", "-q").stdout.splitlines()
    assert lines
    assert all(line.startswith(("warning", "problem", " ")) for line in lines)


@pytest.mark.parametrize("api", ["nonsense", "ftp://eyewire.org"])
def test_a_server_that_is_no_web_address_is_a_usage_error(cli: Callable[..., Any], api: str) -> None:
    result = cli("doctor", "--api", api, env={"EWVAL_TOKEN": "any"})
    assert result.exit_code == 2
    assert result.stderr == "ewval: --api should be a URL such as https://eyewire.org\n"
