"""`ewval eval`, as a user or a script sees it."""

import json
import shutil
from collections.abc import Callable

import pytest
from typer.testing import Result

Cli = Callable[..., Result]


@pytest.fixture
def data(tmp_path, bar_folder):
    """A copy of the folder of known answers."""
    shutil.copytree(bar_folder.root, tmp_path / "ewval-data")
    return tmp_path / "ewval-data"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--limit", "0"], 2, "--limit 0 leaves no task; give at least 1"),
        (["--limit", "many"], 2, "'--limit'"),
        (["--loops", "four"], 2, "--loops 'four' is not a list of whole numbers, such as 4,1"),
        (["--loops", "0,1"], 2, "--loops wants whole numbers from 1 to 64, such as 4,1"),
        (["--split", "exam"], 2, "--split 'exam' is none of test, val, train, all"),
        (["--device", "abacus"], 2, "--device 'abacus' is none of auto, cpu, cuda, cuda:N"),
        (["--model", "nobody"], 6, "nobody"),
        (["--compare", "nobody"], 6, "nobody"),
    ],
)
def test_nonsense_is_refused_in_one_line(cli: Cli, data, words, code, message):
    result = cli("eval", *words)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert not (data / "eval").exists()


def test_no_data_folder(cli: Cli):
    result = cli("eval")
    assert result.exit_code == 2
    assert result.stderr == (
        "ewval: there is no data folder ewval-data; `ewval fetch` makes one, --data names another\n"
    )


def test_no_split(cli: Cli, data):
    (data / "split.json").unlink()
    result = cli("eval")
    assert result.exit_code == 6
    assert result.stderr == "ewval: ewval-data/split.json not found; `ewval index` makes it\n"


def test_a_damaged_split(cli: Cli, data):
    (data / "split.json").write_text("{")
    result = cli("eval")
    assert result.exit_code == 6
    assert "split.json is damaged" in result.stderr


def test_an_empty_side(cli: Cli, data):
    split = json.loads((data / "split.json").read_text())
    (data / "split.json").write_text(json.dumps(split | {"test": []}))
    result = cli("eval")
    assert result.exit_code == 6
    assert "ewval: a task with an answer on the test side of ewval-data/split.json not found" in result.stderr
    assert "`ewval index` with another split" in result.stderr


def test_a_damaged_model(cli: Cli, data, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    result = cli("eval", "--model", tmp_path / "broken.safetensors")
    assert result.exit_code == 6
    assert "broken.safetensors" in result.stderr


def test_a_run_shows_the_table_the_guards_and_the_report(cli: Cli, data):
    warned = cli("eval", "--limit", 2, "--loops", "1", "--out", "other", "--device", "cpu", "--no-report")
    assert "--loops is ignored: model graph has no loops" in warned.stderr
    result = cli("eval", "--limit", 2, "--out", "out", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    for text in ("| default ", "| seed alone ", "guard own_answer: pass", "guard split_overlap: pass"):
        assert text in result.stdout
    assert result.stdout.endswith("report: out/report.html\n")
    for line in ("eval: 2/2 tasks (100 %)", "guards: ", "report: "):  # what comes after the last task is shown, too
        assert line in result.stderr
    (pictures,) = [line for line in result.stderr.splitlines() if line.startswith("report: ") and "(100 %)" in line]
    assert "pictures" in pictures
    packed = "ewval: warning: 2 tasks were answered from packed (64^3) volumes, which have lost most of the contacts"
    assert packed in result.stderr
    document = json.loads((data.parent / "out" / "metrics.json").read_text())
    again = cli("eval", "--limit", 2, "--out", "out", "--device", "cpu", "--json")
    assert (again.exit_code, json.loads(again.stdout)) == (0, document)
    assert packed in again.stderr
    quiet = cli("eval", "--limit", 2, "--out", "out", "--device", "cpu", "-q")
    assert (quiet.exit_code, quiet.stdout) == (0, "out/report.html\n")
    assert quiet.stderr.startswith(packed)


def test_the_report_of_another_evaluation_is_not_named(cli: Cli, data):
    (data.parent / "out").mkdir()
    (data.parent / "out" / "report.html").write_text("of another evaluation")
    words = ("eval", "--limit", 1, "--out", "out", "--device", "cpu", "--no-baselines", "--no-report")
    for _ in range(2):  # the second time there is nothing to do
        assert cli(*words).stdout.endswith("report: out/metrics.json\n")
        assert cli(*words, "-q").stdout == "out/metrics.json\n"


def test_a_failed_guard_is_exit_6(cli: Cli, data):
    split = json.loads((data / "split.json").read_text())
    moved = split["test"].pop()  # a task of the tested volume among those learned from
    (data / "split.json").write_text(json.dumps(split | {"train": [*split["train"], moved]}))
    words = ("--limit", 2, "--loops", "1", "--out", "out", "--device", "cpu", "--no-baselines", "--no-report")
    result = cli("eval", *words)
    assert result.exit_code == 6
    assert "guard split_overlap: fail: volume 14 is tested and was learned from" in result.stdout
    assert "ewval: guard split_overlap failed: volume 14 is tested and was learned from; do not" in result.stderr
