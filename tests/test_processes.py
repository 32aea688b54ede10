"""The processes that ewval starts: they end with it, and run no code from where a user happens to work."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ewval.core.folder import DataFolder

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

SHADOWS = ("socket", "lzma", "queue", "selectors", "signal", "tempfile", "numpy", "ewval", "simplejpeg", "torch")
"""Modules that a worker imports, early or late."""
ENDED_WITHIN_S = 15.0


@pytest.fixture
def raw_folder(tmp_path: Path, raw_volume: Path) -> DataFolder:
    """A data folder of eight raw volumes, so that packing them takes a while."""
    folder = DataFolder(tmp_path / "data")
    for volume in range(1, 9):
        shutil.copytree(raw_volume, folder.raw(volume), copy_function=os.link)
    return folder


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A working folder full of files that are named as modules; whoever imports one leaves a file `ran`."""
    place = tmp_path / "trap"
    place.mkdir()
    for name in SHADOWS:
        (place / f"{name}.py").write_text(
            f"open({str(place / 'ran')!r}, 'a').write({name!r} + ' ')\nraise SystemExit(9)\n"
        )
    return place


def run(*words: object, cwd: Path, start: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [*start, *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def test_the_script_runs_nothing_from_the_working_folder(trap: Path, raw_folder: DataFolder, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "ewval"  # as an installer writes it
    script.parent.mkdir()
    script.write_text("from ewval.__main__ import main\nif __name__ == '__main__':\n    main()\n")
    words = ("pack", 1, 2, "--no-graph", "--workers", 2, "--data", raw_folder.root)
    done = run(*words, cwd=trap, start=(sys.executable, str(script)))
    assert (done.returncode, done.stderr.count("memory")) == (0, 0), done.stderr
    assert not (trap / "ran").exists()
    assert raw_folder.is_packed(1)


@pytest.mark.parametrize(
    "script",
    [
        "print(sum(outcome.result for outcome in workers.Workers(2).run(abs, [1, 2, 3])))",
        "with workers.process_pool(1) as pool: print(pool.submit(abs, -6).result())",
    ],
)
def test_a_pool_of_an_interpreters_prompt_runs_nothing_from_there(trap: Path, script: str) -> None:
    # The prompt itself looks into the working folder, and says so by the empty entry of its path.
    prompt = "import sys; from ewval.core import workers; import concurrent.futures.process; sys.path.insert(0, '')"
    environment = "import os; os.environ.pop('PYTHONSAFEPATH')"
    done = run(cwd=trap, start=("env", "PYTHONSAFEPATH=1", sys.executable, "-c", f"{prompt}; {environment}\n{script}"))
    assert (done.stdout, done.returncode) == ("6\n", 0), done.stderr
    assert not (trap / "ran").exists()


def test_the_module_runs_nothing_from_the_working_folder(trap: Path, raw_folder: DataFolder) -> None:
    for name in ("ewval", "signal", "selectors"):  # what Python itself reads before a module that is run by name
        (trap / f"{name}.py").unlink()
    words = ("pack", 1, 2, "--no-graph", "--workers", 2, "--data", raw_folder.root)
    done = run(*words, cwd=trap, start=(sys.executable, "-m", "ewval"))
    assert done.returncode == 0, done.stderr
    assert not (trap / "ran").exists()


def children_of(process: int) -> dict[int, str]:
    """Return the living descendants of a process with the time each began, by which a number is known again."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = (int(fields[1]), fields[19])
    found, waiting = {}, [process]
    while waiting:
        above = waiting.pop()
        for child, (parent, began) in parents.items():
            if parent == above and child not in found:
                found[child] = began
                waiting.append(child)
    return found


def is_alive(process: int, began: str) -> bool:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] != "Z" and fields[19] == began


def wait_until(holds: Callable[[], bool], *, within_s: float = 60.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start ewval in a session of its own; whatever is left of it at the end is killed."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(*words: object, **environment: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "said").open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "ewval", *map(str, words)],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def assert_none_is_left(process: subprocess.Popen[bytes], how: signal.Signals, *, workers: int) -> None:
    def workers_run() -> bool:
        assert process.poll() is None, "it ended before its workers began"
        return len(children_of(process.pid)) >= workers

    assert wait_until(workers_run)
    time.sleep(0.5)
    children = children_of(process.pid)
    process.send_signal(how)
    process.wait(timeout=ENDED_WITHIN_S)
    gone = wait_until(
        lambda: not any(is_alive(child, began) for child, began in children.items()), within_s=ENDED_WITHIN_S
    )
    left = [child for child, began in children.items() if is_alive(child, began)]
    for child in left:
        os.kill(child, signal.SIGKILL)
    assert gone, f"{len(left)} of {len(children)} are left"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_no_worker_of_pack_outlives_it(start: Any, raw_folder: DataFolder, how: signal.Signals) -> None:
    process = start("pack", "--workers", 2, "--data", raw_folder.root)
    assert_none_is_left(process, how, workers=3)  # with the process that tracks what they share


def test_sigterm_ends_a_command_as_ctrl_c_does(start: Any, raw_folder: DataFolder) -> None:
    process = start("pack", "--workers", 2, "--data", raw_folder.root)
    assert wait_until(lambda: len(children_of(process.pid)) >= 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=ENDED_WITHIN_S) == 130


def test_no_worker_of_fetch_outlives_it(start: Any, tiny_world: Path, wire_server: Any, tmp_path: Path) -> None:
    server = wire_server(tiny_world, latency_s=0.05)
    cells = sorted(int(path.name) for path in (tiny_world / "api" / "1.0" / "cell").iterdir() if path.name.isdigit())
    words = ("fetch", "--cell", cells[0], "--pack", "--data", tmp_path / "data", "--api", server.api_url)
    process = start(*words, "--bucket-rate", 60, EWVAL_TOKEN="secret")
    assert_none_is_left(process, signal.SIGKILL, workers=2)


def test_no_worker_of_predict_outlives_it(start: Any, tiny_world: Path, wire_server: Any, tmp_path: Path) -> None:
    from ewval.core.fetch.run import FetchRequest, fetch

    folder = DataFolder(tmp_path / "data")
    server = wire_server(tiny_world)
    tasks = sorted(int(path.stem) for path in (tiny_world / "api" / "1.0" / "task").glob("*.json"))
    fetch(FetchRequest(folder, tasks=tasks, api=server.api_url, token="secret", api_rate=1000.0, bucket_rate=5000.0))
    volume = int(next((folder.root / "raw").iterdir()).name)
    for more in range(1, 5):  # more volumes than are packed in one process
        shutil.copytree(folder.raw(volume), folder.raw(900 + more), copy_function=os.link)
    _move_tasks(folder, tasks[:4], first_volume=901)
    process = start("predict", *tasks, "--data", folder.root, "--api", server.api_url)
    assert_none_is_left(process, signal.SIGKILL, workers=2)


def _move_tasks(folder: DataFolder, tasks: list[int], *, first_volume: int) -> None:
    from contextlib import closing

    from ewval.core.ledger.ledger import Ledger

    with closing(Ledger(folder.ledger)) as ledger, ledger.transaction() as connection:
        for number, task in enumerate(tasks):
            connection.execute("UPDATE tasks SET volume = ? WHERE id = ?", (first_volume + number, task))
            connection.execute(
                "INSERT INTO volumes(id, path, wanted, state) VALUES (?, 'http://127.0.0.1:9/', 1, 'done')",
                (first_volume + number,),
            )


def test_no_worker_of_train_outlives_it(start: Any, bar_folder: DataFolder, tmp_path: Path) -> None:
    data = shutil.copytree(bar_folder.root, tmp_path / "bars")
    words = ("train", "--data", data, "--run", tmp_path / "run", "--arch", "lwunet", "--workers", 2, "--steps", 10000)
    process = start(*words, "--device", "cpu", OMP_NUM_THREADS="1")
    assert_none_is_left(process, signal.SIGKILL, workers=2)
