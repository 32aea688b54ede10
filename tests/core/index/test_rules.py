"""Rules of a split by name."""

import pytest

from ewval.core.errors import SettingError
from ewval.core.index.rules import SplitRule


@pytest.mark.parametrize(("name", "threshold"), [("volume", None), ("cell", None), ("cell:77960", 77960)])
def test_a_rule_knows_its_threshold(name: str, threshold: int | None) -> None:
    assert SplitRule(name).threshold == threshold


@pytest.mark.parametrize("name", ["", "task", "cell:", "cell:x", "volume:3", "cell:-1"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match="it is volume, cell or cell:NUMBER"):
        SplitRule(name)
