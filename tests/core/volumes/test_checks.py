"""What was downloaded counts only when it is what it should be."""

import lzma
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from ewval.core.errors import DamagedError
from ewval.core.eyewire.records import Bounds
from ewval.core.sim.faults import damage
from ewval.core.volumes.checks import check_metadata, check_segmentation, check_tile, metadata_bounds


def tile(wire: Path) -> bytes:
    return (wire / "volumes" / "Volume-1000-1001" / "jpg" / "9.jpg").read_bytes()


def test_a_whole_tile_passes_and_half_of_it_does_not(wire: Path) -> None:
    whole = tile(wire)
    check_tile(whole, what="tile")
    with pytest.raises(DamagedError, match="tile is damaged"):
        check_tile(whole[: len(whole) // 2], what="tile")


@pytest.mark.parametrize("revision", [(2, 1), (2, 0), (0, 0), (1, 9), (255, 255)])
def test_a_tile_of_another_jfif_revision_is_read(wire: Path, revision: tuple[int, int]) -> None:
    whole = tile(wire)
    at = whole.index(b"JFIF\0") + 5
    content = whole[:at] + bytes(revision) + whole[at + 2 :]
    check_tile(content, what="tile")
    with pytest.raises(DamagedError, match="tile is damaged"):
        check_tile(content[: len(whole) // 2], what="tile")


def jpeg(shape: tuple[int, ...], colorspace: str) -> bytes:
    sampling = "Gray" if colorspace == "GRAY" else "444"
    return simplejpeg.encode_jpeg(np.zeros(shape, np.uint8), colorspace=colorspace, colorsubsampling=sampling)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "tile is damaged"),
        (b"<html>", "tile is damaged"),
        (jpeg((256, 255, 1), "GRAY"), "255 x 256 Gray instead of 256 x 256 grey"),
        (jpeg((256, 256, 3), "RGB"), "256 x 256 YCbCr instead of 256 x 256 grey"),
        (jpeg((20000, 20000, 1), "GRAY"), "20000 x 20000 Gray instead"),
    ],
    ids=["empty", "page", "size", "colour", "huge"],
)
def test_what_is_no_tile_is_damaged(content: bytes, problem: str) -> None:
    with pytest.raises(DamagedError, match=problem):
        check_tile(content, what="tile")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_tile_is_damaged(wire: Path, part: float) -> None:
    whole = tile(wire)
    with pytest.raises(DamagedError, match="tile is damaged"):
        check_tile(whole[: int(part * len(whole))], what="tile")


def test_a_tile_overwritten_in_its_middle_is_damaged(shared: Path) -> None:
    folder = next((shared / "data" / "fib25" / "volumes").iterdir())
    for z in range(0, 256, 8):
        with pytest.raises(DamagedError, match="tile is damaged"):
            check_tile(damage((folder / "jpg" / f"{z}.jpg").read_bytes()), what="tile")


def test_a_segmentation_has_exactly_one_size() -> None:
    for count, problem in ((256**3 - 1, "instead of"), (256**3 + 1, "more than|instead of")):
        content = lzma.compress(bytes(2 * count), format=lzma.FORMAT_ALONE, preset=0)
        with pytest.raises(DamagedError, match=problem):
            check_segmentation(content, what="labels")
    check_segmentation(lzma.compress(bytes(2 * 256**3), format=lzma.FORMAT_ALONE, preset=0), what="labels")
    check_segmentation(lzma.compress(bytes(2 * 256**3), preset=0), what="labels")


def test_a_description_is_an_object() -> None:
    check_metadata(b"{}", what="metadata")
    for content in (b"[]", b"<html>", b'{"a": '):
        with pytest.raises(DamagedError, match="metadata is damaged"):
            check_metadata(content, what="metadata")


def test_a_description_tells_where_a_volume_lies() -> None:
    assert metadata_bounds(b'{"physical_offset_min": [1, 2, 3]}', what="x") == Bounds((3, 2, 1), (259, 258, 257))
    assert metadata_bounds(b"{}", what="x") is None
