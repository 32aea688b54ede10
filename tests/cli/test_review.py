"""`ewval review`: each outcome as the contract says, and a person's way through it in a browser, on real data."""

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager

import pytest

from browser import NO_WEBGL, WEBGL, find_chromium, open_page
from ewval.core.folder import DataFolder
from ewval.core.ledger.reviews import Review, ReviewStore, Stroke
from worlds import make_pair, write_world

needs_browser = pytest.mark.skipif(find_chromium() is None, reason="no Chromium here")
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/[\w-]{32,}/")


@pytest.fixture
def slabs(tmp_path):
    return write_world(
        tmp_path / "data",
        [make_pair(1, answer=(1, 2)), make_pair(2, parent=1, volume=999), make_pair(3)],
        volumes=[100],
    )


@pytest.fixture
def settled(slabs):
    """What two people settled: 1 final by both, 3 skipped."""
    with closing(ReviewStore(slabs.reviews)) as store:
        store.record(Review(1, "ann", 100, "graph", (1,), (1, 2)), Stroke("accept", seconds=2.5), after=0)
        store.record(Review(1, "bob", 100, "graph", (1,), (1, 2, 3)), Stroke("accept"), after=0)
        store.record(Review(3, "ann", 100, "graph", (1,), (1,)), Stroke("skip"), after=0)
    return slabs


@contextmanager
def serving(folder, *words, env=None):
    """Run the command until the block ends; gives the process, its address, and what it said so far."""
    command = [sys.executable, "-m", "ewval", "review", *map(str, words), "--data", str(folder.root)]
    quiet = {**os.environ, "PYTHONWARNINGS": "", **(env or {})}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=quiet)
    said = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr), daemon=True)
    reader.start()
    try:
        address = process.stdout.readline().strip()
        assert ADDRESS.fullmatch(address), (address, said)
        yield process, address, said
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 3, -signal.SIGKILL), said
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        process.stdout.close()
        process.stderr.close()


def test_it_prints_one_address_says_whose_answers_they_are_and_ends_with_ctrl_c(slabs):
    with serving(slabs, 1, 3, "--no-browser", "--as", "ann") as (process, _, said):
        pass
    assert process.returncode == 0
    assert any("2 tasks to review as ann; nothing is sent to Eyewire" in line for line in said)
    assert said[-1] == "ewval: ended; every answer is kept\n"


def test_without_a_browser_the_address_is_still_there(slabs):
    with serving(slabs, 1, env={"BROWSER": "no-such-browser", "PATH": ""}) as (_, _, said):
        pass
    assert any("no browser could be opened; open the address above" in line for line in said)


def test_the_default_model_needs_no_torch(slabs):
    code = (
        "import sys, threading, time, os, signal\nfrom ewval.cli.app import app\n"
        "threading.Timer(6, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        f"try:\n    app(['review', '1', '--no-browser', '--data', {str(slabs.root)!r}])\n"
        "except SystemExit as ended:\n    print(ended.code, 'torch' in sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "0 False"


def test_a_port_in_use_is_a_usage_error(cli, slabs):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = cli("review", 1, "--data", slabs.root, "--no-browser", "--port", port)
    assert result.exit_code == 2
    assert f"--port {port} cannot be had" in result.output


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ((77,), 6, "task 77 not found; `ewval fetch 77` brings it"),
        (("--cell", 77), 6, "cell 77 not found; `ewval fetch --cell 77` brings its tasks"),
        ((1, "--order", "luck"), 2, "--order luck: it is priority, learn, given"),
        ((1, "--as", " "), 2, "a name of 1 to 64 printable characters"),
        ((1, "--as", "a\nb"), 2, "a name of 1 to 64 printable characters"),
        ((1, "--model", "nowhere"), 6, "nowhere"),
        ((1, "--model", "lwunet"), 2, "does not decide over the segment graph"),
        (("--export",), 6, "reviewed answers"),
        ((1, "--task-data", "x.json"), 2, "--task-data goes with --export"),
        (("x",), 2, "'x' is not a task id"),
    ],
)
def test_what_cannot_be_reviewed_is_said(cli, slabs, words, code, text):
    result = cli("review", *words, "--data", slabs.root, "--no-browser")
    assert result.exit_code == code, result.output
    assert text in " ".join(result.output.split())


def test_an_empty_list_is_nothing_to_do(cli, slabs):
    result = cli("review", "-", "--data", slabs.root, input="# none\n")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing to do" in result.stderr


def test_what_is_settled_is_not_asked_again(cli, settled):
    result = cli("review", 1, 3, "--data", settled.root, "--no-browser", "--as", "ann")
    assert result.exit_code == 0
    assert "all 2 tasks are settled by ann" in result.output


def test_export_writes_a_line_for_every_settled_task(cli, settled, tmp_path):
    result = cli("review", "--export", "--data", settled.root, "--task-data", tmp_path / "out.json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["task"], line["by"], line["state"]) for line in lines] == [
        (1, "ann", "final"),
        (1, "bob", "final"),
        (3, "ann", "skipped"),
    ]
    assert lines[0] == {
        "task": 1,
        "volume": 100,
        "seed": [1],
        "segments": [1, 2],
        "state": "final",
        "by": "ann",
        "at": lines[0]["at"],
        "seconds": 2.5,
        "model": "graph",
    }
    written = json.loads((tmp_path / "out.json").read_text())
    assert written == {"1": {"seed": [1], "parent": None, "aggregate": [1, 2, 3]}}
    assert len(cli("review", "--export", "--data", settled.root, "--as", "bob").stdout.splitlines()) == 1


@pytest.fixture
def two_cells(tmp_path):
    """Task 1 of cell 11 and tasks 2 and 3 of cell 12, all settled."""
    pairs = [make_pair(1, cell=11), make_pair(2, cell=12), make_pair(3, cell=12)]
    folder = write_world(tmp_path / "data", pairs, volumes=[100])
    with closing(ReviewStore(folder.reviews)) as store:
        for task in (1, 2, 3):
            store.record(Review(task, "ann", 100, "graph", (1,), (1, 2)), Stroke("accept"), after=0)
    return folder


@pytest.mark.parametrize(
    ("words", "text", "exported"),
    [
        ((), None, [1, 2, 3]),
        ((2,), None, [2]),
        ((3, "01", 77), None, [1, 3]),
        (("--cell", 12), None, [2, 3]),
        ((1, 2, "--cell", 12), None, [1, 2, 3]),
        (("-",), "3 # the last\n", [3]),
        (("-", "--cell", 11), "", [1]),
        (("--cell", 13), None, []),
    ],
)
def test_export_writes_what_was_asked_for_alone(cli, two_cells, tmp_path, words, text, exported):
    out = tmp_path / "out.json"
    result = cli("review", "--export", *words, "--data", two_cells.root, "--task-data", out, input=text)
    assert result.exit_code == 0, result.stderr
    assert [json.loads(line)["task"] for line in result.stdout.splitlines()] == exported
    assert list(json.loads(out.read_text())) == [str(task) for task in exported]
    assert ("nothing of what was asked for is settled" in result.stderr) == (not exported)


@pytest.mark.parametrize("segments", ["[1,", "5"])
def test_a_damaged_answer_is_named_and_nobody_is_told_to_delete_the_others(cli, settled, segments):
    with closing(sqlite3.connect(settled.reviews)) as connection, connection:
        connection.execute("UPDATE reviews SET segments = ? WHERE who = 'bob'", (segments,))
    result = cli("review", "--export", "--data", settled.root)
    assert (result.exit_code, result.stdout) == (6, "")
    assert "reviews.sqlite is damaged: what bob answered to task 1: " in result.stderr
    assert "keep it: it holds answers that people gave by hand" in result.stderr
    assert "delete" not in result.stderr


def test_an_id_that_is_none_is_bad_usage_for_export_too(cli, two_cells):
    result = cli("review", "--export", "12x", "--data", two_cells.root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'12x' is not a task id" in result.stderr


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """A data folder with one real volume and three of its tasks, as `ewval fetch --pack` leaves it."""
    from ewval.core.fetch.run import FetchRequest, fetch
    from ewval.core.sim.server import WireServer

    folder = DataFolder(tmp_path_factory.mktemp("real") / "data")
    with WireServer(shared / "data" / "fib25") as server:
        request = FetchRequest(
            folder, tasks=(1410366, 1410400, 1411645), api=server.api_url, token="secret", api_rate=1000.0, pack=True
        )
        fetch(request)
    return folder


async def answer(page):
    return set(filter(None, (await page.run("document.body.dataset.answer")).split(",")))


async def settled_strokes(page, count):
    await page.until(f"document.body.dataset.strokes === '{count}'")


async def middle(page, name):
    return await page.run(
        f"(b => [b.x + b.width / 2, b.y + b.height / 2, b.width, b.height])"
        f"(document.getElementById('{name}').getBoundingClientRect())"
    )


async def undo(page, strokes, answered):
    await page.press("u")
    await settled_strokes(page, strokes)
    assert await answer(page) == answered


async def find(page, name):
    """Return a place on a canvas and the segment there, not a given one, as the page says under the pointer."""
    x, y, width, height = await middle(page, name)
    for step in range(900):
        row, column = divmod(step * 397 % 900, 30)  # all over the canvas before it is searched closely
        place = x + width * 0.4 * (column / 15 - 1), y + height * 0.4 * (row / 15 - 1)
        await page.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
        await page.run(
            "new Promise(then => requestAnimationFrame(() => requestAnimationFrame(then)))"
        )  # told once a frame
        said = await page.run("document.getElementById('under').textContent")
        if said and "seed" not in said:
            return place, said.split()[0]
    raise AssertionError(f"nothing to click in {name}")


async def opened(page, task):
    await page.until(f"document.body?.dataset.ready === '{task}'", patience_s=60)


async def walk_until_killed(page, process):
    """Scroll, toggle in the slice, by the keyboard and in 3D, undo; then the server is killed."""
    await page.resize(1280, 720)
    await opened(page, 1411645)
    before = await page.run("document.getElementById('xy').toDataURL()")
    x, y, _, _ = await middle(page, "xy")
    await page.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=100)
    await page.until("document.getElementById('xy').toDataURL() !== " + json.dumps(before))
    begun = await answer(page)

    first = await page.run("document.querySelector('#questions li').dataset.id")
    await page.press("j")
    await page.press("k")
    await page.press(" ")  # by the keyboard
    await settled_strokes(page, 1)
    assert (first in begun) != (first in await answer(page))
    await undo(page, 2, begun)

    for strokes, name in ((3, "xy"), (5, "solid")):
        place, chosen = await find(page, name)
        await page.click(*place)
        await settled_strokes(page, strokes)
        assert (chosen in begun) != (chosen in await answer(page))
        await undo(page, strokes + 1, begun)

    await page.press("y")
    await settled_strokes(page, 7)
    kept = await answer(page)
    assert page.complaints == []
    process.kill()
    process.wait()
    await page.press("y")
    await page.until("document.getElementById('status').textContent.startsWith('not kept: the server does not answer')")
    return kept


async def walk_on(page, kept, shots):
    """Nothing was lost; accept, and see the next task; keys are shown; the page holds at a tablet's width."""
    await page.resize(1280, 720)
    await opened(page, 1411645)
    assert await answer(page) == kept
    assert await page.run("document.body.dataset.strokes") == "7"
    await page.press("?")
    await page.until("document.getElementById('keys').open")
    await page.press("Escape")
    await page.until("!document.getElementById('keys').open")
    await page.press("Enter")
    await opened(page, 1410366)
    await page.press("p")
    await opened(page, 1411645)
    assert await page.run("document.body.dataset.state") == "final"
    await page.press("n")
    await opened(page, 1410366)
    await page.press("s")
    await opened(page, 1410400)
    await page.resize(820, 1100)
    await page.until("document.getElementById('side').getBoundingClientRect().top > 500")
    ends = "[...document.querySelectorAll('button, canvas, #questions')].map(e => e.getBoundingClientRect().right)"
    assert max(await page.run(ends)) <= 820
    await page.screenshot(shots / "tablet.png")
    await page.press("Enter")
    await opened(page, "done")


@needs_browser
def test_a_person_goes_through_real_tasks_and_a_kill_loses_nothing(real, tmp_path, cli):
    words = (1411645, 1410366, 1410400, "--order", "given", "--no-browser", "--as", "ann")

    async def before():
        with serving(real, *words) as (process, address, _):
            async with open_page(address) as page:
                return await walk_until_killed(page, process)

    kept = asyncio.run(before())

    async def after():
        with serving(real, *words) as (_, address, _):
            async with open_page(address) as page:
                await walk_on(page, kept, tmp_path)
            assert [line for line in page.complaints if "net::ERR" not in line] == []
            assert all(request.startswith((address[:20], "data:")) for request in page.requests)

    asyncio.run(after())
    lines = [json.loads(line) for line in cli("review", "--export", "--data", real.root).stdout.splitlines()]
    assert {line["task"]: line["state"] for line in lines} == {1410366: "skipped", 1410400: "final", 1411645: "final"}
    assert {str(segment) for segment in lines[2]["segments"]} == kept


@needs_browser
@pytest.mark.parametrize(("flags", "drawn_with"), [(WEBGL, "WebGL"), (NO_WEBGL, "canvas")])
def test_the_page_works_with_and_without_webgl_and_tells_of_another_window(slabs, flags, drawn_with):
    async def visit():
        with serving(slabs, 1, 3, "--order", "given", "--no-browser", "--as", "ann") as (_, address, _):
            async with open_page(address, flags=flags) as one, open_page(address, flags=flags) as other:
                for page in (one, other):
                    await opened(page, 1)
                assert await one.run("document.body.dataset.solid") == drawn_with
                blank = await one.run("document.getElementById('solid').toDataURL()")
                await one.press("2", shift=False)
                await one.press("ArrowRight", shift=True)
                await one.until("document.getElementById('solid').toDataURL() !== " + json.dumps(blank))
                await one.press("x")
                await settled_strokes(one, 1)
                await other.press("x")
                await other.until("document.getElementById('status').textContent.includes('another window')")
                assert await other.run("document.body.dataset.strokes") == "1"
                return one.complaints + [line for line in other.complaints if "409" not in line]

    assert asyncio.run(visit()) == []
