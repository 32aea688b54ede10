import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path

import aiohttp
import pytest

from ewval.core.errors import MissingError
from ewval.core.sim.faults import FAULTS, Faults
from ewval.core.sim.server import WireServer
from ewval.core.sim.wire import WireFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    api = tmp_path / "api" / "1.0"
    (api / "task" / "7").mkdir(parents=True)
    (api / "task" / "7.json").write_text('{"id": 7, "full_path": "{BUCKET}/Volume-1-2/"}')
    (api / "task" / "7" / "aggregate.json").write_text('{"segments": {"3": 0.5}}')
    (api / "cell" / "5").mkdir(parents=True)
    (api / "cell" / "5.json").write_text('{"id": 5, "name": "five"}')
    (api / "cell" / "5" / "tasks.json").write_text('{"tasks": [{"id": 7}]}')
    (api / "cell.json").write_text('{"1": [{"id": 5}], "11": []}')
    (tmp_path / "volumes" / "Volume-1-2" / "jpg").mkdir(parents=True)
    (tmp_path / "volumes" / "Volume-1-2" / "jpg" / "0.jpg").write_bytes(bytes(range(200)))
    (tmp_path / "volumes" / "Volume-1-2" / "segmentation.lzma").write_bytes(bytes(range(150)))
    return tmp_path


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as reply:
        return reply.read()


def status(url: str) -> int:
    try:
        get(url)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return 200


def test_it_answers_every_route_of_the_api(folder: Path) -> None:
    with WireServer(folder, token="t") as server:
        replies = {
            path: json.loads(get(f"{server.api_url}/1.0/{path}access_token=t"))
            for path in (
                "task/7?",
                "task/7/aggregate?",
                "cell/5?",
                "cell/5/tasks?",
                "cell?dataset=1&",
                "cell?dataset=2&",
            )
        }
    assert replies == {
        "task/7?": {"id": 7, "full_path": f"{server.bucket_url}/Volume-1-2/"},
        "task/7/aggregate?": {"segments": {"3": 0.5}},
        "cell/5?": {"id": 5, "name": "five"},
        "cell/5/tasks?": {"tasks": [{"id": 7}]},
        "cell?dataset=1&": [{"id": 5}],
        "cell?dataset=2&": [],
    }


def test_the_bucket_serves_files_without_a_token(folder: Path) -> None:
    with WireServer(folder) as server:
        assert get(f"{server.bucket_url}/Volume-1-2/jpg/0.jpg") == bytes(range(200))
        assert status(f"{server.bucket_url}/Volume-1-2/jpg/1.jpg") == 404
        assert [(r.host, r.path, r.status, r.token) for r in server.requests] == [
            ("bucket", "/Volume-1-2/jpg/0.jpg", 200, None),
            ("bucket", "/Volume-1-2/jpg/1.jpg", 404, None),
        ]
        assert server.requests[0].at_s <= server.requests[1].at_s


def test_the_api_wants_its_token_and_knows_what_is_absent(folder: Path) -> None:
    with WireServer(folder, token="right") as server:
        assert status(f"{server.api_url}/1.0/task/7") == 401
        assert status(f"{server.api_url}/1.0/task/7?access_token=wrong") == 403
        assert status(f"{server.api_url}/1.0/task/8?access_token=right") == 404
        assert status(f"{server.api_url}/../../etc/passwd?access_token=right") == 404
    with WireServer(folder, token=None) as server:
        assert status(f"{server.api_url}/1.0/task/7") == 200


def test_nothing_answers_after_stop(folder: Path) -> None:
    server = WireServer(folder)
    with server:
        server.stop()
        with pytest.raises(urllib.error.URLError, match="refused"):
            get(f"{server.bucket_url}/Volume-1-2/jpg/0.jpg")


def test_the_first_folder_that_has_it_answers(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "api" / "1.0" / "cell").mkdir(parents=True)
    (other / "api" / "1.0" / "cell.json").write_text('{"1": [{"id": 6}]}')
    wire = WireFolder.at([other, folder])
    assert json.loads(wire.cells("1")) == [{"id": 6}, {"id": 5}]
    assert wire.api("1.0/cell/5", bucket_url="") is not None


def test_a_folder_without_api_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"wire-format folder .* not found; it should hold api/ and volumes/"):
        WireServer(tmp_path)


def outcome(url: str) -> str:
    """What a careful client sees of one request."""

    async def ask() -> str:
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            body = await reply.read()
            wait = reply.headers.get("Retry-After", "-")
            state = "whole" if body == bytes(range(len(body))) else "damaged"
            return f"{reply.status} {reply.content_type} {wait} {state}"

    try:
        return asyncio.run(ask())
    except aiohttp.ClientPayloadError:
        return "truncated"


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("500", "500 text/plain - damaged"),
        ("503", "503 text/plain 3 damaged"),
        ("429", "429 text/plain 3 damaged"),
        ("html", "200 text/html - damaged"),
        ("jpeg", "200 image/jpeg - damaged"),
        ("truncated", "truncated"),
    ],
)
def test_a_fault_reaches_the_client_and_then_ends(folder: Path, kind: str, seen: str) -> None:
    faults = Faults(1.0, kinds=(kind,), limit=1, retry_after_s=3)
    with WireServer(folder, faults=faults) as server:
        url = f"{server.bucket_url}/Volume-1-2/jpg/0.jpg"
        assert [outcome(url), outcome(url)] == [seen, "200 image/jpeg - whole"]
        assert [request.fault for request in server.requests] == [kind, None]


def test_a_reset_cuts_the_connection_before_any_answer(folder: Path) -> None:
    with WireServer(folder, faults=Faults(1.0, kinds=("reset",), limit=1)) as server:
        url = f"{server.bucket_url}/Volume-1-2/jpg/0.jpg"
        with pytest.raises(OSError, match=r"closed|reset"):
            get(url)
        assert get(url) == bytes(range(200))
        assert [request.status for request in server.requests] == [0, 200]


def test_damage_to_lzma_leaves_pictures_alone(folder: Path) -> None:
    with WireServer(folder, faults=Faults(1.0, kinds=("lzma",))) as server:
        assert outcome(f"{server.bucket_url}/Volume-1-2/jpg/0.jpg") == "200 image/jpeg - whole"
        assert outcome(f"{server.bucket_url}/Volume-1-2/segmentation.lzma") == "200 application/octet-stream - damaged"


def test_the_same_seed_spoils_the_same_requests(folder: Path) -> None:
    def spoiled(paths: list[str]) -> set[tuple[str, str | None]]:
        with WireServer(folder, faults=Faults(0.4, kinds=("500", "503"), seed=3)) as server:
            for path in paths:
                status(f"{server.bucket_url}/{path}")
            return {(request.path, request.fault) for request in server.requests}

    paths = [f"Volume-1-2/{number}.jpg" for number in range(40)]
    first = spoiled(paths)
    assert first == spoiled(paths[::-1])
    assert 8 <= sum(fault is not None for _, fault in first) <= 24


def test_a_port_asked_for_is_taken_where_it_is_free(folder: Path) -> None:
    with WireServer(folder) as first:
        ports = (int(first.api_url.rpartition(":")[2]), int(first.bucket_url.rpartition(":")[2]))
        with WireServer(folder, ports=ports) as second:
            assert second.api_url != first.api_url
            assert second.bucket_url != first.bucket_url
    with WireServer(folder, ports=ports) as third:
        assert (third.api_url, third.bucket_url) == (first.api_url, first.bucket_url)


def test_latency_is_waited(folder: Path) -> None:
    with WireServer(folder, latency_s=0.2) as server:
        status(f"{server.bucket_url}/a")
        status(f"{server.bucket_url}/b")
        first, second = server.requests
    assert second.at_s - first.at_s >= 0.2


@pytest.mark.parametrize(
    ("options", "text"), [({"share": 1.5}, "share 1.5"), ({"share": 0.1, "kinds": ()}, "no kinds")]
)
def test_nonsense_faults_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Faults(**options)  # type: ignore[arg-type]


def test_every_kind_of_fault_is_known_here() -> None:
    assert set(FAULTS) == {"500", "503", "429", "reset", "truncated", "html", "jpeg", "lzma"}
