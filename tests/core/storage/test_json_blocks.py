import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ewval.core.errors import DamagedError, MissingError
from ewval.core.storage import json_blocks
from ewval.core.storage.json_blocks import map_blocks

VALUES = st.recursive(
    st.one_of(st.none(), st.integers(0, 9), st.text('{},:"x', max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("},x", max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_blocks, "BLOCK_BYTES", 8)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blocks") / "file.json"


def joined(path: Path) -> tuple[dict[str, Any], int]:
    blocks = map_blocks(path, dict, entry_end=b"},")
    return {key: value for block in blocks for key, value in block.items()}, len(blocks)


def test_entries_are_read_in_several_blocks(path: Path) -> None:
    document = {str(task): {"seed": [task]} for task in range(20)}
    path.write_text(json.dumps(document, indent=1))
    found, count = joined(path)
    assert found == document
    assert count > 5


@given(
    document=st.dictionaries(
        st.text('}{,1"', max_size=3), st.dictionaries(st.text("},", max_size=2), VALUES, max_size=3), max_size=6
    )
)
def test_any_object_comes_back_whole(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document))
    assert joined(path)[0] == document


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"a": {}, ', '{"a": {}},', '{"a": {}} {"b": {}}', "3"])
def test_what_is_no_object_is_damage(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(DamagedError, match=r"file\.json is damaged"):
        joined(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"none\.json not found; `ewval index` makes it"):
        map_blocks(tmp_path / "none.json", dict, entry_end=b"},")
