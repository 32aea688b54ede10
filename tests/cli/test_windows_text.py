"""Text made on Windows, given to the commands: ids, token, configuration, registry, and the JSON of the folder."""

import codecs
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from worlds import line_of_cells, write_world

Cli = Callable[..., Result]
MARKED = ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"]


@pytest.fixture
def data(tmp_path: Path, raw_volume: Path) -> Path:
    folder = write_world(tmp_path / "ewval-data", line_of_cells(20)).root
    shutil.copytree(raw_volume, folder / "raw" / "5")
    return folder


@pytest.mark.parametrize("encoding", MARKED)
def test_ids_on_stdin(cli: Cli, data: Path, encoding: str) -> None:
    result = cli("pack", "-", "-q", input="5  # caf\u00e9\r\n".encode(encoding))
    assert (result.exit_code, result.stdout) == (0, "5\n")


@pytest.mark.parametrize("text", [b"5 # caf\xe9\n", b"# \xff\xff\n5\n", b"\r\n5\r\r\n", codecs.BOM_UTF8 + b"\n5"])
def test_ids_on_stdin_beside_bytes_of_other_code_pages(cli: Cli, data: Path, text: bytes) -> None:
    assert cli("pack", "-", "-q", input=text).stdout == "5\n"


@pytest.mark.parametrize("encoding", MARKED)
def test_the_configuration_file(cli: Cli, data: Path, tmp_path: Path, encoding: str) -> None:
    data.rename(tmp_path / "other")
    (tmp_path / "ewval.toml").write_bytes('data = "other"  # d\u00e9p\u00f4t\r\n'.encode(encoding))
    assert cli("pack", 5, "-q").stdout == "5\n"


def test_a_comment_of_the_configuration_file_in_latin_1(cli: Cli, data: Path, tmp_path: Path) -> None:
    (tmp_path / "ewval.toml").write_bytes(b'data = "ewval-data"  # d\xe9p\xf4t\r\n')
    assert cli("pack", 5, "-q").stdout == "5\n"


@pytest.mark.parametrize("encoding", MARKED)
def test_a_token_file(
    cli: Cli, tiny_world: Path, tmp_path: Path, wire_server: Callable[..., object], encoding: str
) -> None:
    server = wire_server(tiny_world, token="s3cret")
    task = min(int(path.stem) for path in (tiny_world / "api/1.0/task").glob("*.json"))
    (tmp_path / "token.txt").write_bytes("s3cret\r\n".encode(encoding))
    words = ("fetch", task, "--metadata-only", "--api", server.api_url, "--token-file", "token.txt", "-q")  # type: ignore[attr-defined]
    result = cli(*words)
    assert (result.exit_code, result.stdout) == (0, f"{task}\n"), result.output


@pytest.mark.parametrize("token", [b"one\ntwo", b"na\xefve", b"a\x01b"])
def test_what_can_be_no_token_is_refused_and_not_shown(cli: Cli, tmp_path: Path, token: bytes) -> None:
    (tmp_path / "token.txt").write_bytes(token)
    result = cli("fetch", 7, "--api", "http://127.0.0.1:9", "--token-file", "token.txt")
    assert result.exit_code == 2
    assert (
        result.stderr
        == "ewval: token file token.txt holds more than a token: several lines, or characters that no token has\n"
    )


@pytest.mark.parametrize("encoding", MARKED)
def test_json_of_the_data_folder(cli: Cli, data: Path, encoding: str) -> None:
    assert cli("index").exit_code == 0
    (data / "eyewire.sqlite").unlink()
    for name in ("task_vol.json", "task_data.json", "split.json"):
        text = json.dumps(json.loads((data / name).read_bytes()))
        (data / name).write_bytes(text.encode(encoding))
    assert cli("pack", "--verify", 5, "-q").exit_code == 0
    doctor = cli("doctor")
    assert "problem  task_vol.json" not in doctor.stdout
    result = cli("index", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["done"] == 20


@pytest.mark.parametrize("encoding", MARKED)
def test_metadata_of_a_raw_volume(cli: Cli, data: Path, encoding: str) -> None:
    path = data / "raw" / "5" / "metadata.json"
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    result = cli("pack", 5, "-q")
    assert (result.exit_code, result.stdout) == (0, "5\n")


@pytest.mark.parametrize("encoding", MARKED)
def test_answers_of_the_server(
    cli: Cli, tiny_world: Path, tmp_path: Path, wire_server: Callable[..., object], encoding: str
) -> None:
    world = shutil.copytree(tiny_world, tmp_path / "world")
    path = min((world / "api/1.0/task").glob("*.json"), key=lambda path: int(path.stem))
    reply = path.read_text(encoding="utf-8").replace("{BUCKET}", "http://127.0.0.1:9")  # as UTF-8 the server would
    path.write_bytes(reply.encode(encoding))
    server = wire_server(world, token="s3cret")
    result = cli(
        "fetch",
        path.stem,
        "--metadata-only",
        "--api",
        server.api_url,
        "-q",
        env={"EWVAL_TOKEN": "\ufeffs3cret\r\n"},  # type: ignore[attr-defined]
    )
    assert (result.exit_code, result.stdout) == (0, f"{path.stem}\n"), result.output
