"""Verification reads everything that should be there."""

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from ewval.core.errors import DamagedError, MissingError
from ewval.core.folder import DataFolder
from ewval.core.packing.verify import VerifySummary, task_volumes, verify
from ewval.core.storage.files import write_atomically
from ewval.core.volumes.codec import encode
from ewval.core.workers import Workers


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A data folder with packed volumes 1, 2 and 3."""
    folder = DataFolder(tmp_path)
    image = np.arange(64, dtype=np.uint8).repeat(64**2).reshape(64, 64, 64)
    for volume in (1, 2, 3):
        write_atomically(folder.image(volume), encode(image))
        write_atomically(folder.segmentation(volume), encode(image.astype(np.uint16)))
    return folder


def run(folder: DataFolder, *volumes: int) -> VerifySummary:
    return verify(folder, volumes or None, workers=Workers(1))


def write_ledger(folder: DataFolder, *rows: tuple[int, int | None, int, str]) -> None:
    """Write a ledger of (task, volume, wanted, state) rows."""
    with sqlite3.connect(folder.ledger) as connection:
        connection.execute("CREATE TABLE tasks (id INTEGER PRIMARY KEY, volume INTEGER, wanted INTEGER, state TEXT)")
        connection.executemany("INSERT INTO tasks VALUES (?, ?, ?, ?)", rows)
    connection.close()


def test_a_whole_folder_passes(folder: DataFolder) -> None:
    folder.task_vol.write_text('{"10": "1", "11": "1", "12": "3"}')
    summary = run(folder)
    assert (summary.verified, summary.failed) == (3, ())


@pytest.mark.parametrize("kind", ["image", "segmentation"])
def test_every_packed_file_is_read_again(folder: DataFolder, kind: str) -> None:
    path = getattr(folder, kind)(2)
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(blob)
    summary = run(folder)
    assert summary.verified == 2
    (failure,) = summary.failed
    assert (failure.item, type(failure.error)) == (2, DamagedError)
    assert str(path) in str(failure.error)


@pytest.mark.parametrize("kind", ["image", "segmentation"])
def test_half_a_volume_is_found(folder: DataFolder, kind: str) -> None:
    getattr(folder, kind)(2).unlink()
    (failure,) = run(folder).failed
    assert (failure.item, type(failure.error)) == (2, MissingError)


def test_a_volume_that_an_indexed_task_needs_is_missed(folder: DataFolder) -> None:
    folder.task_vol.write_text(json.dumps({"10": "1", "11": "44"}))
    (failure,) = run(folder).failed
    assert (failure.item, str(failure.error)) == (44, "packed volume 44 not found; `ewval pack` makes it")


def test_a_volume_that_a_fetched_task_needs_is_missed_and_an_ancestors_is_not(folder: DataFolder) -> None:
    write_ledger(folder, (1, 1, 1, "done"), (2, 50, 1, "done"), (3, 60, 0, "done"), (4, None, 1, "absent"))
    folder.task_vol.write_text('{"1": "1", "2": "50", "3": "60", "9": "70"}')
    assert task_volumes(folder) == {1, 50, 70}
    folder.task_vol.unlink()
    assert [failure.item for failure in run(folder).failed] == [50]


def test_only_what_is_named_is_verified(folder: DataFolder) -> None:
    folder.image(1).unlink()
    assert run(folder, 2, 3).verified == 2


@pytest.mark.parametrize("text", ["", "[1]", '{"1": "x"}', '{"1": null}', "\xff"])
def test_a_damaged_index_is_named(folder: DataFolder, text: str) -> None:
    folder.task_vol.write_bytes(text.encode("latin-1"))
    with pytest.raises(DamagedError, match=r"task_vol\.json is damaged"):
        run(folder)


def test_a_damaged_ledger_is_named(folder: DataFolder) -> None:
    folder.ledger.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(DamagedError, match=r"eyewire\.sqlite is damaged: file is not a database"):
        run(folder)


def test_a_damaged_graph_is_named(folder: DataFolder) -> None:
    write_atomically(folder.graph(2), b"?")
    summary = run(folder)
    assert summary.verified == 2
    (failure,) = summary.failed
    assert (failure.item, type(failure.error)) == (2, DamagedError)
    assert "graphs/2.npz" in str(failure.error)
