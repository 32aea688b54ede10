"""What a run leaves in its folder, read back and compared."""

from pathlib import Path

import pytest

from ewval.core.errors import DamagedError, UsageError
from ewval.core.training.run_folder import RunFolder, check_begun, check_same_run, read_metrics, write_config


def test_how_long_and_where_may_change_and_what_may_not(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_config(folder, {"epochs": 4, "device": "cpu", "arch": "lwunet"})
    check_same_run(folder, {"epochs": 8, "device": "cuda", "arch": "lwunet", "new_option": 1})
    with pytest.raises(UsageError, match=r"begun with other options \(arch was lwunet, not other\); use them"):
        check_same_run(folder, {"epochs": 4, "device": "cpu", "arch": "other"})


def test_what_is_free_to_change_depends_on_the_kind(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_config(folder, {"parts": 5})
    check_same_run(folder, {"parts": 3})
    with pytest.raises(UsageError, match="parts was 5, not 3"):
        check_same_run(folder, {"parts": 3}, free=())


def test_a_model_whose_options_nothing_tells_is_left_alone(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    check_begun(folder, {"seed": 1})
    folder.model.write_bytes(b"whatever")
    with pytest.raises(UsageError, match=r"holds model.safetensors, but no config.json .*; use another run folder"):
        check_begun(folder, {"seed": 1})
    write_config(folder, {"seed": 1})
    check_begun(folder, {"seed": 1})


@pytest.mark.parametrize(("content", "problem"), [("{", "not JSON"), ("[]", "not a JSON object")])
def test_a_configuration_that_cannot_be_read_is_damaged(tmp_path: Path, content: str, problem: str) -> None:
    folder = RunFolder(tmp_path)
    folder.config.write_text(content)
    with pytest.raises(DamagedError, match=problem):
        check_same_run(folder, {})


def test_metrics_that_are_not_there_are_none(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl") == []
