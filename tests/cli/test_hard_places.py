"""Full disks, folders that cannot be written, containers, batch systems and groups: each command, as a real process."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ewval.core.folder import DataFolder
from quick_recipe import QUICK

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs what POSIX has")

STRANGER, OTHER_STRANGER, GROUP = 54321, 54322, 54300
"""Users and a group that no machine knows."""
GOES_ON = "then run the same command again; what is complete is kept"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def world(tiny_world: Path) -> Iterator[Any]:
    from ewval.core.sim.server import WireServer

    with WireServer(tiny_world) as server:
        yield server


@pytest.fixture(scope="module")
def tasks(tiny_world: Path) -> list[int]:
    return sorted(int(path.stem) for path in (tiny_world / "api" / "1.0" / "task").glob("*.json"))


@pytest.fixture(scope="module")
def prepared(fetched_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of the generated world, fetched, packed, measured and split; copy it before changing it."""
    from ewval.core.index.assignment import Fractions
    from ewval.core.index.build import IndexRequest, index

    folder = DataFolder(shutil.copytree(fetched_world, tmp_path_factory.mktemp("prepared") / "data"))
    index(IndexRequest(folder, split="cell", fractions=Fractions(0.4, 0.2)))
    return folder.root


@pytest.fixture
def run(world: Any, tmp_path: Path) -> Run:
    """Run a command in an empty folder: `run("pack", "--data", data, limit=4096, env={...}, before=[...])`."""

    def start(
        *words: object, env: Mapping[str, str] = {}, before: tuple[object, ...] = (), limit: int = 0, stdout: Any = None
    ) -> subprocess.CompletedProcess[str]:
        def set_limit() -> None:
            import resource

            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.run(
            [*map(str, before), sys.executable, "-m", "ewval", *map(str, words)],
            env={**os.environ, "EWVAL_API": world.api_url, "EWVAL_TOKEN": "secret", **env},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
            check=False,
            preexec_fn=set_limit,
        )

    return start


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that others may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="ewval-test-") as place:
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.fixture
def readable(prepared: Path, open_place: Path) -> Path:
    """A copy of the prepared folder that others may read."""
    copy = shutil.copytree(prepared, open_place / "data")
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(prepared, tmp_path / "data", copy_function=shutil.copy2)


def commands(data: Path, out: Path, task: int) -> dict[str, tuple[object, ...]]:
    """Return each command that writes, with the folder that it writes into at its end."""
    return {
        "fetch": ("fetch", task, "--bucket-rate", 5000, "--api-rate", 1000, "--data", out),
        "pack": ("pack", "--workers", 1, "--no-graph", "--data", out),
        "index": ("index", "--data", out),
        "index --out": ("index", "--data", data, "--cell", _cell_of(data, task), "--out", out),
        "predict --out": ("predict", task, "--data", data, "--out", out),
        "predict --report": ("predict", task, "--data", data, "--report", "--out", out),
        "eval": ("eval", "--data", data, "--split", "all", "--limit", 2, "--no-baselines", "--out", out),
    }


def _cell_of(data: Path, task: int) -> int:
    from contextlib import closing

    from ewval.core.ledger.ledger import Ledger

    with closing(Ledger.open_existing(data / "eyewire.sqlite")) as ledger:
        found = ledger.task(task)
    assert found is not None
    assert found.cell is not None
    return found.cell


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("ewval: ")]
    return lines[-1] if lines else ""


# --- no room -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fetch", "pack", "index", "index --out", "predict --out", "predict --report", "eval"])
def test_no_room_is_one_line_exit_2_and_the_same_command_goes_on(
    run: Run, data: Path, tasks: list[int], tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    if name == "pack":
        (out / "raw").mkdir(parents=True)
        volume = next((data / "raw").iterdir())
        shutil.copytree(volume, out / "raw" / volume.name)
    elif name == "index":
        out.mkdir()
        shutil.copy(data / "eyewire.sqlite", out)
        for kind in ("images", "segmentation"):
            shutil.copytree(data / kind, out / kind)
    command = commands(data, out, tasks[0])[name] + (("--no-report",) if name == "eval" else ())  # pictures: see below
    done = run(*command, limit=400 if name in ("index", "eval") else 3000)
    line = last_line(done)
    assert done.returncode == 2, done.stderr
    assert line.startswith(f"ewval: cannot write {out}/"), done.stderr
    assert line.endswith(GOES_ON)
    assert not list(out.rglob("*.incomplete"))
    again = run(*command)
    assert again.returncode in ((0, 6) if name == "eval" else (0,)), again.stderr  # 6: so few tasks fail a guard
    assert "Traceback" not in again.stderr


PRETRAINED = f"""{QUICK}[pretraining]
cubes = 2
tasks = 2
magnify = 4
steps = 1
learning_rate = 0.01
vary_seed = 1
"""
"""A recipe of seconds, for all that the packaged one does."""


def quick_training(data: Path, tmp_path: Path) -> tuple[object, ...]:
    (tmp_path / "quick.toml").write_text(PRETRAINED)
    run = ("--run", tmp_path / "run", "--recipe", tmp_path / "quick.toml")
    return ("train", "--data", data, *run, "--steps", 1, "--device", "cpu")


def test_training_without_room_says_so_and_goes_on(run: Run, data: Path, tmp_path: Path) -> None:
    command = quick_training(data, tmp_path)
    done = run(*command, limit=3000)
    assert done.returncode == 2, done.stderr
    assert last_line(done).startswith(f"ewval: cannot write {tmp_path / 'run'}/")
    assert last_line(done).endswith(GOES_ON)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "name", ["--help", "--version", "doctor", "pack", "index", "fetch", "predict", "predict --json"]
)
def test_a_full_disk_behind_stdout_is_one_line_and_exit_2(run: Run, data: Path, tasks: list[int], name: str) -> None:
    words = {
        "predict": ("predict", tasks[0], "--data", data),
        "predict --json": ("predict", *tasks[:3], "--json", "--data", data),
        "fetch": ("fetch", tasks[0], "--data", data),
    }
    plain = (name,) if name.startswith("-") else (name, "--data", data)
    with Path("/dev/full").open("w") as full:
        done = run(*words.get(name, plain), stdout=full)
    assert done.returncode == 2, done.stderr
    assert (
        last_line(done) == f"ewval: cannot write /dev/full: No space left on device; free some room in /dev; {GOES_ON}"
    )


def in_namespace(script: str) -> tuple[object, ...]:
    """Return what runs a command after `script`, in mounts of its own; skip where that is not allowed."""
    for flags in ("-m", "-rm"):
        if (
            shutil.which("unshare")
            and not subprocess.run(["unshare", flags, "sh", "-c", script], capture_output=True, check=False).returncode
        ):
            return ("unshare", flags, "sh", "-c", f'{script} && exec "$@"', "sh")
    pytest.skip("mounts need more rights")


@pytest.mark.parametrize("name", ["fetch", "predict --out", "eval"])
def test_a_full_disk_is_named_with_what_to_free(
    run: Run, data: Path, tasks: list[int], tmp_path: Path, name: str
) -> None:
    out = tmp_path / "disk" / "out"
    out.parent.mkdir()
    before = in_namespace(f"mount -t tmpfs -o size=16k tmpfs {out.parent}")
    done = run(*commands(data, out, tasks[0])[name], before=before)
    assert done.returncode == 2, done.stderr
    line = last_line(done)
    assert line.startswith(f"ewval: cannot write {out}/"), line
    assert line.endswith(f": No space left on device; free some room in {out.parent}; {GOES_ON}")


# --- pictures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["nonsense"])
def test_eval_draws_whatever_backend_a_notebook_asks_for(
    run: Run, data: Path, tasks: list[int], tmp_path: Path, backend: str
) -> None:
    done = run(*commands(data, tmp_path / "out", tasks[0])["eval"], env={"MPLBACKEND": backend})
    assert done.returncode in (0, 6), done.stderr  # so few tasks may fail a guard
    assert (tmp_path / "out" / "report.html").is_file()
    assert list((tmp_path / "out" / "plots").glob("*.png"))


def test_train_draws_whatever_backend_a_notebook_asks_for(run: Run, data: Path, tmp_path: Path) -> None:
    done = run(*quick_training(data, tmp_path), "--init", "none", env={"MPLBACKEND": "nonsense"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "progress.png").is_file()
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_no_picture_costs_a_result(run: Run, data: Path, tasks: list[int], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "plots").write_text("in the way of the pictures")
    command = commands(data, out, tasks[0])["eval"]
    done = run(*command)
    assert done.returncode == 2, done.stderr
    assert last_line(done).startswith(f"ewval: cannot write {out / 'plots'}")
    assert json.loads((out / "metrics.json").read_text())["tasks"] > 0
    (out / "plots").unlink()
    assert run(*command).returncode in (0, 6)
    assert (out / "report.html").is_file()


# --- containers and batch systems ----------------------------------------------------------------------------------


def as_user(number: int, group: int = GROUP) -> tuple[object, ...]:
    """Return what runs a command as another user, who may read all and write what is his; skip where that cannot be."""
    command = ("setpriv", "--reuid", number, "--regid", group, "--clear-groups")
    words = [*map(str, command), "--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, to be somebody else")
    if subprocess.run([*words, sys.executable, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to hand rights on")
    return tuple(words)


HOMELESS = ("env", "-u", "HOME", "-u", "USER", "-u", "LOGNAME", "-u", "XDG_DATA_HOME")


@pytest.mark.parametrize("name", ["predict", "doctor", "eval"])
def test_a_user_without_name_and_home_is_served(
    run: Run, readable: Path, open_place: Path, tasks: list[int], name: str
) -> None:
    words = {
        "predict": ("predict", tasks[0], "--data", readable),
        "doctor": ("doctor", "--data", readable),
        "eval": commands(readable, open_place / "out", tasks[0])["eval"],
    }[name]
    before = (*as_user(STRANGER), *HOMELESS)
    os.chown(open_place, STRANGER, GROUP)
    done = run(*words, before=before)
    assert done.returncode in ((0, 6) if name == "eval" else (0,)), done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_may_only_be_read_answers_what_is_packed(run: Run, readable: Path, tasks: list[int]) -> None:
    before: tuple[object, ...] = ()
    if os.getuid() == 0:
        before = as_user(STRANGER)
    for folder in (readable, *(path for path in readable.rglob("*") if path.is_dir())):
        folder.chmod(0o555)
    try:
        done = run("predict", *tasks[:2], "--json", "--data", readable, before=before)
    finally:
        for folder in (readable, *(path for path in readable.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["task"] for line in done.stdout.splitlines()] == tasks[:2]
    said = [line for line in done.stderr.splitlines() if not line.startswith("predict: ")]
    assert all("familiarity" in line for line in said), done.stderr


def test_a_folder_that_may_only_be_read_names_what_is_not_packed(
    run: Run, readable: Path, tasks: list[int], tiny_world: Path
) -> None:
    before: tuple[object, ...] = ()
    if os.getuid() == 0:
        before = as_user(STRANGER)
    folders = [readable, *(path for path in readable.rglob("*") if path.is_dir())]
    of_volume = {
        task: json.loads((tiny_world / f"api/1.0/task/{task}.json").read_text())["data"]["segmentation"]["id"]
        for task in tasks
    }
    lost = of_volume[tasks[0]]
    kept = next(task for task in tasks if of_volume[task] != lost)
    for kind in ("images", "segmentation"):
        shutil.rmtree(readable / kind / str(lost))
    for folder in folders:
        if folder.exists():
            folder.chmod(0o555)
    try:
        done = run("predict", tasks[0], kept, "--json", "--data", readable, before=before)
    finally:
        for folder in folders:
            if folder.exists():
                folder.chmod(0o755)
    assert done.returncode == 3, done.stderr
    assert [json.loads(line)["task"] for line in done.stdout.splitlines()] == [kept]
    assert f"ewval: task {tasks[0]}: cannot write {readable}/" in done.stderr


@pytest.fixture
def odd_system(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Return the environment in which Python begins with some lines of code: for what no file system at hand does."""

    def make(code: str) -> dict[str, str]:
        place = tmp_path / "odd"
        place.mkdir(exist_ok=True)
        (place / "sitecustomize.py").write_text(code)
        return {"PYTHONPATH": os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])}

    return make


@pytest.mark.parametrize("number", [37, 38, 95])
def test_a_file_system_without_locks_is_worked_on(
    run: Run, tasks: list[int], tmp_path: Path, odd_system: Any, number: int
) -> None:
    env = odd_system(
        f"import fcntl, os\ndef flock(*_): raise OSError({number}, os.strerror({number}))\nfcntl.flock = flock\n"
    )
    words = ("fetch", tasks[0], "--metadata-only", "--data", tmp_path / "new")
    done = run(*words, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot be locked") == 1


def test_a_file_system_without_shared_memory_is_worked_on(run: Run, tasks: list[int], tmp_path: Path) -> None:
    (tmp_path / "new" / "eyewire.sqlite-shm").mkdir(parents=True)  # where the log's memory would be
    words = ("--data", tmp_path / "new")
    done = run("fetch", tasks[0], "--metadata-only", *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no shared memory") == 1
    again = run("fetch", tasks[0], "--metadata-only", *words)
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True), again.stderr


@pytest.mark.parametrize("name", ["pack", "fetch --pack"])
def test_a_read_only_dev_shm_leaves_one_process(
    run: Run, data: Path, tasks: list[int], tmp_path: Path, name: str
) -> None:
    before = in_namespace("mount --bind /dev/shm /dev/shm && mount -o remount,ro,bind /dev/shm")
    words: tuple[object, ...] = (
        "fetch",
        tasks[0],
        "--pack",
        "--no-graph",
        "--bucket-rate",
        5000,
        "--data",
        tmp_path / "new",
    )
    if name == "pack":
        shutil.rmtree(data / "images")
        words = ("pack", "--workers", 2, "--no-graph", "--data", data)
    done = run(*words, before=before)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no worker processes can be started") == 1


# --- paths and permissions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_half_done", [False, True])
def test_a_raw_volume_elsewhere_is_packed_and_only_its_link_dropped(
    run: Run, data: Path, tmp_path: Path, is_half_done: bool
) -> None:
    raw = sorted((data / "raw").iterdir())[0]
    elsewhere = tmp_path / "elsewhere"
    raw.rename(elsewhere)
    if is_half_done:  # as an older version left it
        raw.with_name(f".{raw.name}.dropped").symlink_to(elsewhere)
    else:
        raw.symlink_to(elsewhere)
    files = sorted(path for path in elsewhere.rglob("*") if path.is_file())
    done = run("pack", "--drop-raw", "--workers", 1, "--data", data)
    assert done.returncode == 0, done.stderr
    assert list((data / "raw").iterdir()) == []
    assert sorted(path for path in elsewhere.rglob("*") if path.is_file()) == files
    assert run("pack", "--drop-raw", "--data", data).returncode == 0


def test_a_raw_folder_elsewhere_is_emptied_as_any_other(run: Run, data: Path, tmp_path: Path) -> None:
    (data / "raw").rename(tmp_path / "scratch")
    (data / "raw").symlink_to(tmp_path / "scratch")
    assert run("pack", "--drop-raw", "--workers", 1, "--data", data).returncode == 0
    assert list((tmp_path / "scratch").iterdir()) == []
    assert (data / "raw").is_symlink()


@pytest.mark.skipif(sys.platform == "darwin", reason="names are text there")
def test_a_data_folder_may_have_a_name_that_is_no_text(run: Run, tasks: list[int], tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    words = ("--data", folder)
    for command in (
        ("fetch", tasks[0], tasks[1], "--pack", "--no-graph", "--bucket-rate", 5000, "--api-rate", 1000, *words),
        ("pack", "--drop-raw", "--workers", 2, *words),
        ("index", *words),
        ("predict", tasks[0], "--out", f"{folder}/out", "--report", *words),
        ("predict", tasks[1], "--json", *words),
        ("doctor", *words),
    ):
        done = run(*command)
        assert done.returncode == 0, (command, done.stderr)
        assert "Traceback" not in done.stderr


def test_the_members_of_a_group_share_a_folder(run: Run, tasks: list[int], open_place: Path) -> None:
    folder = open_place / "shared"
    folder.mkdir()
    before = os.umask(0o002)
    try:
        first, second = as_user(STRANGER), as_user(OTHER_STRANGER)
        os.chown(folder, STRANGER, GROUP)
        folder.chmod(0o2770)
        rates = ("--bucket-rate", 5000, "--api-rate", 1000, "--pack", "--no-graph", "--data", folder)
        for user, task in ((first, tasks[0]), (second, tasks[-1]), (first, tasks[1])):
            done = run("fetch", task, *rates, before=user)
            assert done.returncode == 0, done.stderr
    finally:
        os.umask(before)
    for path in folder.rglob("*"):
        assert path.stat().st_gid == GROUP
        assert stat.S_IMODE(path.stat().st_mode) & 0o020, path


# --- two at once ---------------------------------------------------------------------------------------------------


def start(world: Any, tmp_path: Path, *words: object, env: Mapping[str, str] = {}) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ewval", *map(str, words)],
        env={**os.environ, "EWVAL_API": world.api_url, "EWVAL_TOKEN": "secret", **env},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("drop", [(), ("--drop-raw",)])
def test_two_packs_of_one_folder_both_end_well(
    world: Any, data: Path, tmp_path: Path, odd_system: Any, drop: tuple[str, ...]
) -> None:
    for kind in ("images", "segmentation"):
        shutil.rmtree(data / kind)
    slow = odd_system("import os, time\nsync = os.fsync\nos.fsync = lambda stream: (time.sleep(2), sync(stream))\n")
    words = ("pack", "--workers", 1, "--no-graph", *drop, "--data", data)
    first = start(world, tmp_path, *words, env=slow)
    while not list(data.rglob("*.incomplete")):
        assert first.poll() is None, "it ended before it wrote anything"
        time.sleep(0.02)
    both = [first, start(world, tmp_path, *words)]
    for process in both:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    assert not list(data.rglob("*.incomplete"))
    assert {path.name for path in (data / "images").iterdir()} == {
        path.name for path in (data / "segmentation").iterdir()
    }


def test_a_second_predict_waits_for_the_fetch_of_the_first(
    tiny_world: Path, tasks: list[int], tmp_path: Path, wire_server: Any
) -> None:
    slow = wire_server(tiny_world, latency_s=0.1)
    words = ("--json", "--data", tmp_path / "new")
    both = [start(slow, tmp_path, "predict", task, *words) for task in (tasks[0], tasks[-1])]
    said = ""
    for process, task in zip(both, (tasks[0], tasks[-1]), strict=True):
        answer, messages = process.communicate(timeout=300)
        said += messages
        assert process.returncode == 0, messages
        assert json.loads(answer)["task"] == task
    assert said.count("another fetch is at work") == 1
    assert "waiting for it" in said


def test_a_second_fetch_is_still_refused(tiny_world: Path, tasks: list[int], tmp_path: Path, run: Run) -> None:
    from ewval.core.storage.locks import exclusive

    with exclusive(tmp_path / "new"):
        done = run("fetch", tasks[0], "--data", tmp_path / "new")
    assert done.returncode == 2
    assert "another fetch is at work" in last_line(done)
