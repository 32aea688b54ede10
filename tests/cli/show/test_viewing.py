"""Without neuroglancer nothing is begun that it would have to show."""

import sys

import pytest

from ewval.cli.show.viewing import check_viewer
from ewval.core.errors import ExtraError


def test_without_neuroglancer_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])  # nothing can be found, as where it is not installed
    monkeypatch.delitem(sys.modules, "neuroglancer", raising=False)
    with pytest.raises(ExtraError, match=r"neuroglancer is not installed \(extra 'view'\)"):
        check_viewer()
