"""A fetch brings what was asked for, says what it could not bring, and asks for nothing twice."""

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from counted import Counted
from ewval.core.errors import (
    ConsentError,
    DamagedError,
    MissingError,
    TokenMissingError,
    TokenRefusedError,
    UnreachableError,
    UsageError,
    WriteError,
)
from ewval.core.eyewire.limits import Limits
from ewval.core.fetch.run import FetchRequest, FetchSummary, fetch, plan_fetch
from ewval.core.folder import DataFolder
from ewval.core.ledger.ledger import Ledger
from ewval.core.sim.faults import Fault, Faults
from ewval.core.sim.server import WireServer
from ewval.core.storage.locks import exclusive

VOLUME_FILES = 258
FAST = Limits(wait_initial_s=0.01, wait_max_s=0.02, wait_jitter_s=0.0)


@pytest.fixture
def served(wire: Path) -> Iterator[WireServer]:
    with WireServer(wire) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


def ask(server: WireServer, folder: DataFolder, **fields: Any) -> FetchRequest:
    rates = {"api_rate": 2000.0, "bucket_rate": 5000.0, "token": "secret", "limits": FAST}
    return FetchRequest(folder, api=server.api_url, **(rates | fields))


def paths(server: WireServer) -> list[str]:
    return [request.path for request in server.requests]


def assert_same_volume(wire: Path, folder: DataFolder, volume: int) -> None:
    source, copy = wire / "volumes" / f"Volume-{volume - 1}-{volume}", folder.raw(volume)
    names = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    assert len(names) == VOLUME_FILES
    assert sorted(path.relative_to(copy) for path in copy.rglob("*") if path.is_file()) == sorted(names)
    for name in names:
        assert (copy / name).read_bytes() == (source / name).read_bytes()


def states(folder: DataFolder) -> dict[int, str]:
    rows = Ledger.open_existing(folder.ledger).connection.execute("SELECT id, state FROM volumes").fetchall()
    return dict(rows)


def test_a_task_comes_with_its_ancestors_and_the_volumes_that_overlap_it(
    wire: Path, served: WireServer, folder: DataFolder
) -> None:
    summary = fetch(ask(served, folder, tasks=[13]))
    assert (summary.done, summary.skipped, summary.absent, list(summary.failed), summary.error) == (1, 0, 0, [], None)
    assert states(folder) == {1003: "done", 1005: "done"}  # 1001, of the grandparent, does not touch 1005
    ledger = Ledger.open_existing(folder.ledger)
    assert [ledger.task(task).id for task in (11, 12, 13)] == [11, 12, 13]  # type: ignore[union-attr]
    assert ledger.aggregate(11).segments == {3: 0.9, 7: 0.4}  # type: ignore[union-attr]
    for volume in (1003, 1005):
        assert_same_volume(wire, folder, volume)


def test_the_same_fetch_again_asks_for_nothing(served: WireServer, folder: DataFolder) -> None:
    fetch(ask(served, folder, tasks=[13]))
    before = len(served.requests)
    again = fetch(ask(served, folder, tasks=[13]))
    assert (again.done, again.skipped, again.requests) == (0, 1, 0)
    assert len(served.requests) == before
    assert set(Counter(paths(served)).values()) == {1}


def test_of_a_volume_the_segmentation_is_asked_for_first(served: WireServer, folder: DataFolder) -> None:
    fetch(ask(served, folder, tasks=[11]))
    files = [path for path in paths(served) if path.startswith("/Volume")]
    assert files[0].endswith("/segmentation.lzma")
    assert len(files) == VOLUME_FILES


def test_ancestors_that_are_not_there_are_absent_and_not_asked_for_again(
    served: WireServer, folder: DataFolder
) -> None:
    summary = fetch(ask(served, folder, tasks=[21, 41]))
    assert (summary.done, summary.absent, list(summary.failed)) == (2, 2, [])  # task 99 and volume 1009
    files_of_absent = [path for path in paths(served) if "Volume-1008-1009" in path]
    assert files_of_absent == ["/Volume-1008-1009/segmentation.lzma"]
    before = len(served.requests)
    again = fetch(ask(served, folder, tasks=[21, 41]))
    assert (again.skipped, again.absent) == (2, 2)
    assert len(served.requests) == before


def test_a_volume_of_a_task_that_was_asked_for_can_fail(served: WireServer, folder: DataFolder) -> None:
    summary = fetch(ask(served, folder, tasks=[31]))
    assert [(item.kind, item.id) for item in summary.failed] == [("volume", 1007)]
    assert "segmentation.lzma of volume 1007 not found" in summary.failed[0].reason
    assert list(summary.failed_tasks) == [31]
    assert summary.error is None  # the task itself was fetched
    again = fetch(ask(served, folder, tasks=[31]))
    assert [item.id for item in again.failed] == [1007]


def test_an_unknown_task_fails_while_others_succeed(served: WireServer, folder: DataFolder) -> None:
    alone = fetch(ask(served, folder, tasks=[99], metadata_only=True))
    assert isinstance(alone.error, MissingError)
    assert str(alone.error) == f"task 99 not found; {served.api_url} does not know it"
    both = fetch(ask(served, folder, tasks=[99, 11], metadata_only=True))
    assert (both.done, both.error, list(both.failed_tasks)) == (1, None, [99])


def test_a_cell_brings_all_of_its_tasks(served: WireServer, folder: DataFolder) -> None:
    summary = fetch(ask(served, folder, cells=[5], metadata_only=True, list_tasks=True))
    assert list(summary.tasks) == [11, 12, 13]
    assert not folder.root.joinpath("raw").exists()
    unknown = fetch(ask(served, folder, cells=[77], metadata_only=True))
    assert isinstance(unknown.error, MissingError)
    assert [(item.kind, item.id) for item in unknown.failed] == [("cell", 77)]


def test_volumes_follow_where_only_metadata_was_fetched(wire: Path, served: WireServer, folder: DataFolder) -> None:
    fetch(ask(served, folder, cells=[5], metadata_only=True))
    summary = fetch(ask(served, folder, tasks=[12]))
    assert (summary.done, summary.skipped, summary.volumes) == (0, 1, 2)
    assert states(folder) == {1001: "done", 1003: "done", 1005: "new"}


def test_bounds_that_no_task_tells_come_from_the_volumes(wire: Path, served: WireServer, folder: DataFolder) -> None:
    summary = fetch(ask(served, folder, tasks=[53]))
    assert (summary.done, list(summary.failed)) == (1, [])
    assert states(folder) == {1005: "done", 1003: "done", 1001: "absent"}
    assert not folder.raw(1001).exists()
    images = [path for path in paths(served) if "Volume-1000-1001/jpg" in path]
    assert images == []
    assert len([path for path in paths(served) if path == "/1.0/cell/7/tasks"]) == 1
    more = fetch(ask(served, folder, tasks=[52]))  # here the same volume does overlap
    assert list(more.failed) == []
    assert states(folder) == {1005: "done", 1003: "done", 1001: "done"}
    assert_same_volume(wire, folder, 1001)


def test_ancestors_in_a_circle_end(served: WireServer, folder: DataFolder) -> None:
    summary = fetch(ask(served, folder, tasks=[61], context=50, metadata_only=True))
    assert (summary.done, list(summary.failed)) == (1, [])


def test_more_context_is_fetched_when_it_is_asked_for(served: WireServer, folder: DataFolder) -> None:
    fetch(ask(served, folder, tasks=[13], context=0, metadata_only=True))
    assert "/1.0/task/12" not in paths(served)
    fetch(ask(served, folder, tasks=[13], context=2, metadata_only=True))
    assert {"/1.0/task/12", "/1.0/task/11"} <= set(paths(served))


def test_a_registry_asks_for_its_mouse_cells(served: WireServer, folder: DataFolder, tmp_path: Path) -> None:
    registry = tmp_path / "cells.csv"
    registry.write_text("Cell ID,Name,Status,Size,Tags\n5.0,a,Completed,9,{}\n8,b,Completed,9,{}\n6,c,Active,9,{}\n")
    summary = fetch(ask(served, folder, registries=[registry], metadata_only=True, list_tasks=True))
    assert list(summary.tasks) == [11, 12, 13]
    assert summary.dropped == {"other data set": 1, "not completed": 1}
    before = len(served.requests)
    fetch(ask(served, folder, registries=[registry], metadata_only=True))
    assert len(served.requests) == before


@pytest.mark.parametrize(("token", "kind"), [(None, TokenMissingError), ("wrong", TokenRefusedError)])
def test_a_token_that_is_no_good_ends_it_at_once(
    served: WireServer, folder: DataFolder, token: str, kind: type
) -> None:
    summary = fetch(ask(served, folder, tasks=range(100, 140), token=token, metadata_only=True))
    assert isinstance(summary.error, kind)
    assert len(served.requests) <= 4


def test_a_server_that_is_not_there_is_named(folder: DataFolder) -> None:
    summary = fetch(FetchRequest(folder, tasks=[5], api="http://127.0.0.1:9", limits=FAST))
    assert isinstance(summary.error, UnreachableError)


def test_a_volume_that_stays_damaged_fails(wire: Path, folder: DataFolder, tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled"
    shutil.copytree(wire, spoiled)
    tile = spoiled / "volumes" / "Volume-1000-1001" / "jpg" / "200.jpg"
    tile.write_bytes(tile.read_bytes()[:-500])
    with WireServer(spoiled) as server:
        summary = fetch(ask(server, folder, tasks=[11]))
        assert "200.jpg of volume" in summary.failed[0].reason
        assert not (folder.raw(1001) / "jpg" / "200.jpg").exists()
        shutil.copy(wire / "volumes" / "Volume-1000-1001" / "jpg" / "200.jpg", tile)
        server.requests.clear()
        assert list(fetch(ask(server, folder, tasks=[11])).failed) == []
        assert paths(server) == ["/Volume-1000-1001/jpg/200.jpg"]  # what was good is not asked for again


def test_files_that_were_deleted_are_fetched_again(wire: Path, served: WireServer, folder: DataFolder) -> None:
    fetch(ask(served, folder, tasks=[11]))
    (folder.raw(1001) / "jpg" / "7.jpg").unlink()
    served.requests.clear()
    fetch(ask(served, folder, tasks=[11]))
    assert paths(served) == ["/Volume-1000-1001/jpg/7.jpg"]
    assert_same_volume(wire, folder, 1001)


def test_files_that_are_there_are_never_more_than_all(served: WireServer, folder: DataFolder) -> None:
    fetch(ask(served, folder, tasks=[13]))
    (folder.raw(1003) / "jpg" / "7.jpg").unlink()
    files = Counted()
    fetch(ask(served, folder, tasks=[13]), files=files)
    assert (files.done, files.total, files.excess) == (VOLUME_FILES, VOLUME_FILES, 0)


def test_a_file_that_was_deleted_of_a_packed_volume_is_fetched_again(served: WireServer, folder: DataFolder) -> None:
    fetch(ask(served, folder, tasks=[11], pack=True))
    tile = folder.raw(1001) / "jpg" / "7.jpg"
    before, content = len(served.requests), tile.read_bytes()
    tile.unlink()
    assert fetch(ask(served, folder, tasks=[11])).volumes == 1
    assert tile.read_bytes() == content
    assert [path.rpartition("/")[2] for path in paths(served)[before:]] == ["7.jpg"]
    assert fetch(ask(served, folder, tasks=[11])).requests == 0


def test_a_copied_folder_is_whole(served: WireServer, folder: DataFolder, tmp_path: Path) -> None:
    fetch(ask(served, folder, tasks=[11]))
    shutil.copytree(folder.root, tmp_path / "copy")
    before = len(served.requests)
    fetch(ask(served, DataFolder(tmp_path / "copy"), tasks=[11]))
    assert len(served.requests) == before


def test_ten_percent_of_faults_cost_nothing_but_time(wire: Path, folder: DataFolder) -> None:
    with WireServer(wire, faults=Faults(0.1, limit=None, retry_after_s=0)) as server:
        summary = fetch(ask(server, folder, cells=[5]))
        kinds = {request.fault for request in server.requests}
    assert {"500", "503", "429", "reset", "truncated", "html", "jpeg"} <= kinds
    assert (summary.done, list(summary.failed), summary.volumes) == (3, [], 3)
    for volume in (1001, 1003, 1005):
        assert_same_volume(wire, folder, volume)


@pytest.mark.parametrize(("kind", "count"), [("jpeg", 256), ("lzma", 1)])
def test_damaged_files_are_noticed_and_fetched_again(wire: Path, folder: DataFolder, kind: Fault, count: int) -> None:
    with WireServer(wire, faults=Faults(1.0, kinds=(kind,), limit=1, hosts=("bucket",))) as server:
        summary = fetch(ask(server, folder, tasks=[11]))
        damaged = {request.path for request in server.requests if request.fault is not None}
    assert len(damaged) == count
    assert list(summary.failed) == []
    assert_same_volume(wire, folder, 1001)


def test_volumes_that_were_packed_by_other_means_are_not_downloaded(served: WireServer, folder: DataFolder) -> None:
    for path in (folder.image(1001), folder.segmentation(1001)):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"packed")
    summary = fetch(ask(served, folder, tasks=[11]))
    assert (summary.done, list(summary.failed)) == (1, [])
    assert [path for path in paths(served) if path.startswith("/Volume")] == []
    assert states(folder) == {1001: "done"}


def test_each_volume_is_packed_as_soon_as_it_is_complete(served: WireServer, folder: DataFolder) -> None:
    from ewval.core.volumes.store import PackedStore

    summary = fetch(ask(served, folder, tasks=[11], pack=True, drop_raw=True))
    assert (summary.volumes, list(summary.failed)) == (1, [])
    assert not any((folder.root / "raw").glob("*/*"))
    assert PackedStore(folder).image(1001).shape == (64, 64, 64)
    before = len(served.requests)
    assert fetch(ask(served, folder, tasks=[11], pack=True, drop_raw=True)).requests == 0
    assert len(served.requests) == before


def test_a_graph_that_is_gone_is_measured_again_or_told_of(served: WireServer, folder: DataFolder) -> None:
    fetch(ask(served, folder, tasks=[11], pack=True))
    volumes = sorted(int(path.stem) for path in (folder.root / "graphs").glob("*[0-9].npz"))
    for volume in volumes:
        folder.graph(volume).unlink()
    assert fetch(ask(served, folder, tasks=[11], pack=True, graph=False)).without_graph == ()
    assert fetch(ask(served, folder, tasks=[11], pack=True, drop_raw=True)).without_graph == ()
    assert all(folder.graph(volume).is_file() for volume in volumes)
    folder.graph(volumes[0]).unlink()
    assert fetch(ask(served, folder, tasks=[11], pack=True, drop_raw=True)).without_graph == (volumes[0],)


def test_volumes_that_are_there_are_packed_when_that_is_asked_for(served: WireServer, folder: DataFolder) -> None:
    fetch(ask(served, folder, tasks=[11]))
    before = len(served.requests)
    fetch(ask(served, folder, tasks=[11], pack=True))
    assert len(served.requests) == before
    assert folder.image(1001).is_file()
    assert folder.raw(1001).is_dir()


def test_a_plan_tells_the_cost_and_leaves_no_trace(served: WireServer, folder: DataFolder) -> None:
    plan = plan_fetch(ask(served, folder, cells=[5], tasks=[52], api_rate=5.0, bucket_rate=100.0))
    assert (plan.tasks, plan.volumes, plan.files, plan.api_requests) == (4, 4, 4 * VOLUME_FILES, 8)
    assert plan.seconds == pytest.approx(4 * VOLUME_FILES / 100)
    assert not folder.root.exists()
    assert paths(served) == ["/1.0/cell/5/tasks"]


def test_many_requests_need_consent(served: WireServer, folder: DataFolder) -> None:
    many = ask(served, folder, tasks=range(1, 6001))
    with pytest.raises(ConsentError, match="about 12,000 requests"):
        fetch(many)
    assert not folder.root.exists()
    assert served.requests == []
    assert plan_fetch(many).tasks == 6000


def test_many_volumes_need_consent_too(scripted: Callable[..., Any], folder: DataFolder) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        box = [{"x": 300 * task, "y": 0, "z": 0} for task in range(50)]
        return web.json_response({"tasks": [{"id": task + 1, "bounds": {"min": box[task]}} for task in range(50)]})

    server = scripted(answer)
    request = FetchRequest(folder, cells=[5], api=server.url)
    with pytest.raises(ConsentError, match="about 13,000 requests"):
        fetch(request)
    assert server.paths == ["/1.0/cell/5/tasks"]
    assert plan_fetch(replace(request, metadata_only=True)).volumes == 0


def test_one_fetch_at_a_time_works_in_a_folder(served: WireServer, folder: DataFolder) -> None:
    with exclusive(folder.root), pytest.raises(UsageError, match="another fetch is at work in"):
        fetch(ask(served, folder, tasks=[11]))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"api_rate": 0}, "api_rate must be above 0"),
        ({"bucket_rate": float("nan")}, "bucket_rate must be above 0"),
        ({"context": -1}, "context must be 0 to 100 ancestors"),
        ({"drop_raw": True}, "drop_raw needs packing"),
        ({"pack": True, "metadata_only": True}, "pack needs volumes"),
        ({"api": "eyewire.org"}, "api should be a URL"),
        ({"api": "https://u:p@eyewire.org"}, "api should be a URL"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        FetchRequest(DataFolder(tmp_path), **fields)


def test_a_folder_that_cannot_be_written_is_named(served: WireServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(WriteError, match=r"cannot write .*: "):
        fetch(ask(served, DataFolder(tmp_path / "file" / "data"), tasks=[11]))


def test_a_ledger_that_is_none_is_named(served: WireServer, folder: DataFolder) -> None:
    folder.root.mkdir()
    folder.ledger.write_bytes(b"garbage" * 1000)
    with pytest.raises(DamagedError, match="file is not a database"):
        fetch(ask(served, folder, tasks=[11]))


def test_it_works_inside_a_running_loop(served: WireServer, folder: DataFolder) -> None:
    import asyncio

    async def notebook() -> FetchSummary:
        return fetch(ask(served, folder, tasks=[11], metadata_only=True))

    assert asyncio.run(notebook()).done == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_killed_at_random_moments_it_ends_as_if_nothing_had_happened(wire: Path, folder: DataFolder) -> None:
    chance = random.Random(5)
    with WireServer(wire, latency_s=0.005) as server:
        request = ask(server, folder, cells=[5], bucket_rate=1000.0)
        for _ in range(20):
            kill_during(request, server, after=chance.randint(1, 70))
        kept = {path: path.stat().st_mtime_ns for path in (folder.root / "raw").rglob("*.jpg")}
        assert 0 < len(kept) < 3 * 256, "the kills came too early or too late to show anything"
        before = len(server.requests)
        summary = fetch(request)
        asked = {request.path for request in server.requests[before:]}
    assert list(summary.failed) == []
    for volume in (1001, 1003, 1005):
        assert_same_volume(wire, folder, volume)
    for path, written_ns in kept.items():
        assert path.stat().st_mtime_ns == written_ns
        assert f"/Volume-{int(path.parts[-3]) - 1}-{path.parts[-3]}/jpg/{path.name}" not in asked


def kill_during(request: FetchRequest, server: WireServer, *, after: int) -> None:
    """Kill a process that fetches, when it has made so many requests."""
    processes = get_context("forkserver")
    processes.set_forkserver_preload(["ewval.core.fetch.run"])
    before, until = len(server.requests), time.monotonic() + 20
    victim = processes.Process(target=fetch, args=(request,))
    victim.start()
    while len(server.requests) < before + after and victim.is_alive() and time.monotonic() < until:
        time.sleep(0.002)
    victim.kill()
    victim.join()
