"""What tests of more than one folder need."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from typer.testing import CliRunner, Result

# The suite shares the cores out itself: threads of sums beside its workers wait for each other more than they add.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure, and what fails once must fail again.
settings.register_profile("ewval", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("ewval")

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Real data that lies beside the checkout on some machines."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data; the test is skipped where it is not there."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no ../shared beside the checkout")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Ctrl-C reaches the processes that tests start, also where the tests run as a shell's background job.

    Such a job ignores it, and what it starts inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith("EWVAL_") or name == "EW_OAUTH2":
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def wire_server() -> Iterator[Callable[..., Any]]:
    """Start servers over wire-format folders: `wire_server(folder, token=..., faults=...)`; all stop at the end."""
    from ewval.core.sim.server import WireServer

    with ExitStack() as servers:

        def start(folders: Path | Sequence[Path], **options: Any) -> WireServer:
            return servers.enter_context(WireServer(folders, **options))

        yield start


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command in an empty folder: `cli("fetch", 7, "--api", url, input="...", env={...})`.

    A host that fails is asked again almost at once; how long the waits are is for the tests of `Limits`.
    """
    from ewval.cli.app import app
    from ewval.core.eyewire.limits import Limits

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Limits, "wait_s", lambda _, failed: 0.01 * failed)

    def run(*words: object, **options: Any) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], **options)

    return run


@pytest.fixture(scope="session")
def generated_world() -> Any:
    """The `World` that `tiny_world` is written from."""
    from ewval.core.sim.world import TINY, generate_world

    return generate_world(TINY)


@pytest.fixture(scope="session")
def tiny_world(generated_world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wire-format folder of two generated volumes, 12 cells and some 20 tasks; never write into it."""
    from ewval.core.sim.writing import write_world

    folder = tmp_path_factory.mktemp("world")
    write_world(generated_world, folder)
    return folder


@pytest.fixture(scope="session")
def fetched_world(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with all of `tiny_world`, fetched, packed and measured; copy it before changing it."""
    from ewval.core.fetch.run import FetchRequest, fetch
    from ewval.core.folder import DataFolder
    from ewval.core.sim.server import WireServer

    folder = DataFolder(tmp_path_factory.mktemp("fetched") / "data")
    tasks = tuple(sorted(int(path.stem) for path in (tiny_world / "api/1.0/task").glob("*.json")))
    rates = {"api_rate": 1000.0, "bucket_rate": 5000.0}
    with WireServer(tiny_world) as server:
        fetch(FetchRequest(folder, tasks=tasks, api=server.api_url, token="secret", pack=True, **rates))
    return folder.root


@pytest.fixture(scope="session")
def raw_volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up volume as downloaded: 256 slices, a legacy segmentation, metadata; copy it, never write into it."""
    from raw_volumes import make_image, make_labels, to_alone, write_raw

    folder = tmp_path_factory.mktemp("raw") / "volume"
    write_raw(folder, make_image(), segmentation=to_alone(make_labels().tobytes()))
    return folder


@pytest.fixture(scope="session")
def bar_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The `DataFolder` of bars.py, whose right answers are known by construction; never write into it."""
    from bars import write_bar_folder
    from ewval.core.folder import DataFolder

    root = tmp_path_factory.mktemp("bars")
    write_bar_folder(root)
    return DataFolder(root)


@pytest.fixture(scope="session")
def evaluated(bar_folder: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished evaluation of a network that answers rightly where it sees membranes."""
    from bars import LookingNetwork, finished

    out = tmp_path_factory.mktemp("evaluated")
    finished(LookingNetwork(), bar_folder, out, loops=(2, 1))
    return out
