"""The API is asked with care: a bad token ends it, one refusal does not, and nothing is ever written to it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from ewval.core.errors import MissingError, RefusedError, ReplyError, TokenMissingError, TokenRefusedError, UsageError
from ewval.core.eyewire.client import EyewireClient
from ewval.core.eyewire.limits import Limits
from ewval.core.fetch.run import FetchRequest, fetch
from ewval.core.folder import DataFolder
from ewval.core.ledger.ledger import Ledger

TOKEN = "s3ntinel"
FAST = Limits(wait_initial_s=0.001, wait_max_s=0.002, wait_jitter_s=0.0)


def reply_to(path: str, *, parent: int | None = None) -> web.StreamResponse:
    if path.endswith("/aggregate"):
        return web.json_response({"segments": {"3": 1.0}})
    task = int(path.rpartition("/")[2])
    place = {"segmentation_id": task + 100, "full_path": "http://127.0.0.1:9/v/"}
    return web.json_response({"id": task, "cell": 5, "parent": parent, **place})


def ask(url: str, *tasks: int, token: str | None = TOKEN) -> list[Any]:
    async def run() -> list[Any]:
        async with EyewireClient(url, token=token, rate=1000.0, user_agent="ewval/0", limits=FAST) as client:
            return [await one(client, task) for task in tasks]

    async def one(client: EyewireClient, task: int) -> Any:
        try:
            return await client.task(task)
        except (MissingError, RefusedError, ReplyError, TokenMissingError, TokenRefusedError) as error:
            return error

    return asyncio.run(run())


def test_one_task_that_is_refused_does_not_end_it(scripted: Callable[..., Any]) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=403) if request.path.endswith("/8") else reply_to(request.path)

    first, second, third = ask(scripted(answer).url, 7, 8, 9)
    assert (first.id, third.id) == (7, 9)
    assert isinstance(second, RefusedError)
    assert str(second).endswith("/1.0/task/8 cannot be fetched: status 403")


@pytest.mark.parametrize(("token", "kind"), [(TOKEN, TokenRefusedError), (None, TokenMissingError)])
def test_many_refusals_end_it(in_turn: Callable[..., Any], token: str | None, kind: type[Exception]) -> None:
    server = in_turn(lambda: reply_to("/1.0/task/7"), lambda: web.Response(status=403))
    answers = ask(server.url, *[7] * 12, token=token)
    assert [type(error) for error in answers[1:5]] == [RefusedError] * 4
    assert {type(error) for error in answers[5:]} == {kind}
    assert len(server.asked) == 6


def test_a_page_in_place_of_an_answer_is_asked_again_and_named_without_the_token(in_turn: Callable[..., Any]) -> None:
    page = lambda: web.Response(text="<html>nap</html>", content_type="text/html")  # noqa: E731 - an answer like others
    server = in_turn(page, page, lambda: reply_to("/1.0/task/7"))
    assert ask(server.url, 7)[0].id == 7
    (error,) = ask(in_turn(page).url, 7)
    assert isinstance(error, ReplyError)
    assert "/1.0/task/7: a web page instead of an answer" in str(error)
    assert TOKEN not in str(error)


def test_only_get_is_used(scripted: Callable[..., Any]) -> None:
    methods = []

    async def answer(request: web.Request) -> web.StreamResponse:
        methods.append(request.method)
        return reply_to(request.path)

    ask(scripted(answer).url, 7, 8)
    assert set(methods) == {"GET"}


@pytest.mark.parametrize("url", ["eyewire.org", "ftp://x", "http://", "http://a b", "http://x?q=1", "http://u:p@x"])
def test_a_base_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="api should be a URL such as"):
        EyewireClient(url, token=None, rate=1.0, user_agent="ewval/0")


def test_an_ancestor_that_fails_for_now_costs_nothing_and_is_asked_again(
    scripted: Callable[..., Any], tmp_path: Any
) -> None:
    is_well = False

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/1.0/cell"):
            return web.Response(status=404)
        if request.path == "/1.0/task/6" and not is_well:
            return web.Response(status=500)
        return reply_to(request.path, parent=6 if request.path == "/1.0/task/7" else None)

    server = scripted(answer)
    request = FetchRequest(
        DataFolder(tmp_path), tasks=[7], api=server.url, metadata_only=True, api_rate=1000.0, limits=FAST
    )
    first = fetch(request)
    assert (first.done, list(first.failed), first.error) == (1, [], None)
    is_well = True
    before = len(server.asked)
    fetch(request)
    assert server.paths[before:] == ["/1.0/task/6", "/1.0/task/6/aggregate"]
    assert Ledger.open_existing(request.folder.ledger).task(6) is not None
    before = len(server.asked)
    fetch(replace(request, context=1))
    assert len(server.asked) == before


def test_a_path_that_leads_elsewhere_is_refused_before_anything_is_written(
    scripted: Callable[..., Any], tmp_path: Any
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"id": 7, "segmentation_id": "../../x", "full_path": "file:///etc/"})

    server = scripted(answer)
    summary = fetch(
        FetchRequest(DataFolder(tmp_path / "data"), tasks=[7], api=server.url, api_rate=1000.0, limits=FAST)
    )
    assert isinstance(summary.error, ReplyError)
    assert not (tmp_path / "data" / "raw").exists()


def test_a_bucket_that_is_the_api_is_not_sent_the_token(scripted: Callable[..., Any], tmp_path: Any) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/1.0/"):
            place = {"segmentation_id": 9, "full_path": f"http://{request.host}/v/"}
            return web.json_response({"id": 7, **place} if request.path.endswith("7") else {})
        return web.Response(status=404)

    server = scripted(answer)
    rates = {"api_rate": 1000.0, "bucket_rate": 1000.0}
    summary = fetch(FetchRequest(DataFolder(tmp_path), tasks=[7], api=server.url, token=TOKEN, limits=FAST, **rates))
    assert [item.kind for item in summary.failed] == ["volume"]
    assert [path for _, path, _ in server.asked if TOKEN not in path] == ["/v/segmentation.lzma"]
