"""What the server lets through, what it refuses, and what it says of each task."""

import asyncio
import io
import json
import socket
import struct
import threading

import aiohttp
import numpy as np
import pytest

from ewval.core.errors import UsageError
from ewval.core.review.server import PALETTE, ReviewServer, new_secret, serve

SECRET = "a-secret"
YES = {"kind": "yes", "segment": 4, "seconds": 1.5, "after": 0}


@pytest.fixture
def visit(make_desk):
    """Run a coroutine that is given a client session, the address of a served desk, and the desk."""

    def run(act, **options):
        async def main():
            desk = make_desk(**options)
            async with ReviewServer(desk, secret=SECRET) as server, aiohttp.ClientSession() as session:
                return await act(session, server.address, desk)

        return asyncio.run(main())

    return run


def status_of(visit, method, path, **options):
    async def act(session, address, _desk):
        async with session.request(method, address + path, **options) as reply:
            return reply.status

    return visit(act)


def test_the_page_and_all_it_needs_come_from_here_alone(visit):
    async def act(session, address, _desk):
        found = {}
        for name in ("", "style.css", "review.js", "slices.js", "painters.js", "solid.js"):
            async with session.get(address + name) as reply:
                found[name] = (reply.status, reply.headers, await reply.text())
        return found

    found = visit(act)
    assert {status for status, _, _ in found.values()} == {200}
    for _, headers, text in found.values():
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        assert "http://" not in text
        assert "https://" not in text
    assert "text/javascript" in found["review.js"][1]["Content-Type"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # DNS rebinding: its name points here, our page is asked for under it
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "api/queue"), ("GET", ""), ("POST", "api/task/1")])
def test_what_does_not_come_from_our_page_is_refused(visit, method, path, headers):
    assert status_of(visit, method, path, headers=headers, json=YES if method == "POST" else None) == 403


def test_our_own_origin_is_let_through(visit):
    async def act(session, address, _desk):
        origin = address.split("/" + SECRET)[0]
        for name in (origin, origin.replace("127.0.0.1", "localhost")):
            async with session.get(address + "api/queue", headers={"Origin": name}) as reply:
                assert reply.status == 200

    visit(act)


@pytest.mark.parametrize("path", ["", "x/", "a-secre/", "a-secret2/", "api/queue", "a-secreT/api/queue"])
def test_without_the_secret_nothing_is_said(visit, path):
    async def act(session, address, _desk):
        async with session.get(address.removesuffix(SECRET + "/") + path) as reply:
            return reply.status, await reply.text()

    assert visit(act) == (403, "refused")


def test_secrets_are_long_and_never_the_same():
    assert len({new_secret() for _ in range(100)}) == 100
    assert len(new_secret()) >= 32


@pytest.mark.parametrize("is_chunked", [False, True])
def test_ten_megabytes_are_refused(visit, is_chunked):
    async def pieces():
        for _ in range(160):
            yield b"x" * 65_536

    async def act(session, address, desk):
        body = pieces() if is_chunked else io.BytesIO(b"x" * 10_485_760)
        try:
            headers = {"Content-Type": "application/json"}
            async with session.post(address + "api/task/1", data=body, headers=headers) as reply:
                status = reply.status
        except aiohttp.ClientConnectionError:
            status = "cut"
        return status, desk.document(1)["strokes"]

    status, strokes = visit(act)
    assert status in (413, "cut")
    assert strokes == 0


@pytest.mark.parametrize(
    ("without", "status"), [("9" * 5000, 400), ("1," + "9" * 19, 400), ("9" * 18, 200), ("x,1", 200)]
)
def test_a_list_of_tasks_seen_with_an_id_that_is_too_long_is_refused(visit, without, status):
    assert status_of(visit, "GET", f"api/next?without={without}") == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"kind": "burn", "seconds": 1, "after": 0}',
        b'{"kind": "yes", "seconds": 1, "after": 0}',
        b'{"kind": "accept", "segment": 3, "seconds": 1, "after": 0}',
        b'{"kind": "yes", "segment": "4", "seconds": 1, "after": 0}',
        b'{"kind": "yes", "segment": 70000, "seconds": 1, "after": 0}',
        b'{"kind": "yes", "segment": 4, "seconds": -1, "after": 0}',
        b'{"kind": "yes", "segment": 4, "seconds": NaN, "after": 0}',
        b'{"kind": "yes", "segment": 4, "seconds": 1, "after": "0"}',
        b'{"kind": "yes", "segment": 4, "seconds": 1' + b"0" * 400 + b', "after": 0}',
        b'{"kind": "yes", "segment": 4, "seconds": 1' + b"0" * 5000 + b', "after": 0}',
        b"[" * 8000,
        b'{"kind":' * 2000,
    ],
)
def test_nonsense_is_refused_and_keeps_nothing(visit, body):
    async def act(session, address, desk):
        async with session.post(
            address + "api/task/1", data=body, headers={"Content-Type": "application/json"}
        ) as reply:
            return reply.status, desk.document(1)["strokes"]

    assert visit(act) == (400, 0)


def test_a_form_of_another_page_is_refused(visit):
    assert status_of(visit, "POST", "api/task/1", data={"kind": "yes"}) == 415


@pytest.mark.parametrize(
    ("path", "status"),
    [("api/task/77", 404), ("api/task/5", 404), ("api/volume/999", 404), ("../etc/passwd", 403), ("nothing.js", 404)],
)
def test_what_is_not_there_is_said_so(visit, path, status):
    assert status_of(visit, "GET", path) == status


def test_a_task_is_settled_over_the_wire(visit):
    async def act(session, address, _desk):
        async with session.get(address + "api/next") as reply:
            first = (await reply.json())["task"]
        async with session.post(address + f"api/task/{first}", json=YES) as reply:
            changed = await reply.json()
        async with session.post(address + f"api/task/{first}", json=YES) as reply:
            stale = reply.status, (await reply.json())["strokes"]
        accept = {"kind": "accept", "segment": None, "seconds": 2, "after": 1}
        async with session.post(address + f"api/task/{first}", json=accept) as reply:
            final = await reply.json()
        async with session.get(address + "api/next") as reply:
            following = (await reply.json())["task"]
        async with session.get(address + f"api/task/{first}") as reply:
            seconds = (await reply.json())["seconds"]
        return first, changed["answer"], stale, final["state"], seconds, following

    assert visit(act) == (1, [1, 2, 3, 4, 5, 6], (409, 1), "final", 3.5, 2)


def test_a_volume_is_image_then_segments(visit, folder):
    from ewval.core.volumes.store import PackedStore

    async def act(session, address, _desk):
        async with session.get(address + "api/volume/100") as reply:
            return await reply.read()

    blob, store = visit(act), PackedStore(folder)
    assert blob[: 64**3] == store.image(100).tobytes()
    np.testing.assert_array_equal(np.frombuffer(blob[64**3 :], "<u2").reshape((64,) * 3), store.segmentation(100))


def test_meshes_come_in_one_reply(visit):
    async def act(session, address, _desk):
        async with session.get(address + "api/task/1/meshes?ids=0,3,x,99999999") as reply:
            return await reply.read()

    segment, vertices, _ = struct.unpack_from("<III", visit(act))
    assert (segment, vertices > 100) == (0, True)


def test_a_port_in_use_is_named(make_desk):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        async def main():
            async with ReviewServer(make_desk(), secret=SECRET, port=port):
                pass

        with pytest.raises(UsageError, match=f"port {port} cannot be had"):
            asyncio.run(main())


def test_serving_ends_with_its_task_and_ends_the_work_behind_it(make_desk):
    began, ended = threading.Event(), threading.Event()

    def work(stop):
        began.set()
        stop.wait(30)
        ended.set()

    async def main():
        addresses = []
        server = ReviewServer(make_desk(), secret=SECRET)
        task = asyncio.create_task(serve(server, opened=addresses.append, background=work))
        await asyncio.to_thread(began.wait, 30)
        while not addresses:
            await asyncio.sleep(0.01)
        assert addresses == [server.address]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended.wait(30)


KINDS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Source: Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB."""


@pytest.mark.parametrize("kind", KINDS)
def test_the_colours_differ_for_colour_blind_eyes_too(kind):
    from skimage.color import rgb2lab

    shown = np.array(list(PALETTE.values())) / 255
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    seen = (linear @ np.array(KINDS[kind]).T).clip(0, 1)
    shown = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = rgb2lab(shown[None])[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(len(lab), 1)]
    assert apart.min() > 10, json.dumps(apart.round(1).tolist())
