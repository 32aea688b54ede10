"""Arrays come back as they were written; anything else is damaged, and nothing in a file is executed."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ewval.core.errors import DamagedError
from ewval.core.storage.arrays import read_arrays, write_arrays


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_come_back(tmp_path: Path, compressed: bool) -> None:
    arrays = {"one|a": np.arange(6).reshape(2, 3), "text": np.array("text"), "none": np.zeros((0, 4), np.float32)}
    path = tmp_path / "new" / "7.npz"
    write_arrays(path, arrays, compressed=compressed)
    found = read_arrays(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert np.array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def one_array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no archive", pickle.dumps([1]), one_array()])
def test_anything_else_is_damaged(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "7.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DamagedError, match="not a file of arrays"):
        read_arrays(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_one_flipped_bit_is_damage_or_harmless(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "7.npz"
    write_arrays(path, {"a": np.arange(40), "b": np.array("text")}, compressed=compressed)
    whole, damaged = path.read_bytes(), 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            assert all(isinstance(array, np.ndarray) for array in read_arrays(path).values())
        except DamagedError:
            damaged += 1
    assert damaged > len(whole) / 2


def test_an_archive_of_other_files_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "7.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no array")
    with pytest.raises(DamagedError, match=r"not a file of arrays: readme.txt is none"):
        read_arrays(path)


def test_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "7.npz"
    np.savez(path, thing=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DamagedError, match="not a file of arrays"):
        read_arrays(path)
