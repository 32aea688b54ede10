"""torchrun's environment, and none."""

import pytest

from ewval.core.torchrun import Place, place


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert place() == Place(0, 0, 1)
    assert not place().is_shared


def test_torchrun_says_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "5"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "8")):
        monkeypatch.setenv(name, value)
    assert place() == Place(rank=5, local_rank=1, size=8)
    assert place().is_shared
