"""Raw volumes: read as they are, or refused by name."""

import io
import json
import lzma
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ewval.core.errors import DamagedError, MissingError, UnsupportedError
from ewval.core.eyewire.records import Bounds
from ewval.core.volumes import raw
from ewval.core.volumes.raw import read_image, read_metadata, read_segmentation
from ewval.core.volumes.slices import decode_slice
from raw_volumes import METADATA, make_labels, to_alone, to_jpeg

GREY = np.random.default_rng(0).integers(0, 256, (256, 256), np.uint8)


@pytest.fixture
def volume(raw_volume: Path, tmp_path: Path) -> Path:
    """A raw volume that may be damaged."""
    return shutil.copytree(raw_volume, tmp_path / "raw" / "5")


def test_slices_are_stacked_along_z(raw_volume: Path) -> None:
    image = read_image(raw_volume)
    assert (image.shape, image.dtype) == ((256, 256, 256), np.uint8)
    with Image.open(raw_volume / "jpg" / "77.jpg") as picture:
        assert np.array_equal(image[77], np.asarray(picture))


def same_as_pillow(blob: bytes) -> bool:
    with Image.open(io.BytesIO(blob)) as picture:
        return np.array_equal(decode_slice(blob, what="it"), np.asarray(picture))


def test_pixels_are_those_of_pillow(raw_volume: Path) -> None:
    assert same_as_pillow((raw_volume / "jpg" / "77.jpg").read_bytes())


def test_pixels_of_real_slices_are_those_of_pillow(shared: Path) -> None:
    blobs = [path.read_bytes() for path in sorted(shared.glob("data/*/volumes/*/jpg/*0.jpg"))]
    assert blobs
    assert all(map(same_as_pillow, blobs))


def test_segmentation_is_z_y_x(raw_volume: Path) -> None:
    assert np.array_equal(read_segmentation(raw_volume), make_labels())


@pytest.mark.parametrize(
    ("blob", "error", "problem"),
    [
        pytest.param(to_jpeg(GREY)[:3000], DamagedError, "not a whole JPEG", id="cut"),
        pytest.param(to_jpeg(GREY)[:50], DamagedError, "not a whole JPEG", id="cut in its header"),
        pytest.param(b"", DamagedError, "not a whole JPEG", id="empty"),
        pytest.param(b"<html>", DamagedError, "not a whole JPEG", id="not JPEG"),
        pytest.param(to_jpeg(GREY[:128]), UnsupportedError, "256 x 128 Gray instead of 256 x 256 grey", id="size"),
        pytest.param(
            to_jpeg(np.stack([GREY] * 3, 2)), UnsupportedError, "256 x 256 YCbCr instead of 256 x 256 grey", id="colour"
        ),
    ],
)
def test_a_slice_that_is_not_as_it_should_be_is_named(
    volume: Path, blob: bytes, error: type[Exception], problem: str
) -> None:
    (volume / "jpg" / "200.jpg").write_bytes(blob)
    with pytest.raises(error, match=problem) as caught:
        read_image(volume)
    assert str(caught.value).startswith(str(volume / "jpg" / "200.jpg"))


def with_size(blob: bytes, width: int, height: int) -> bytes:
    """Return a JPEG whose header states another size."""
    at = blob.index(b"\xff\xc0") + 5
    return blob[:at] + struct.pack(">HH", height, width) + blob[at + 4 :]


def test_a_slice_damaged_in_its_middle_is_named(volume: Path) -> None:
    path = volume / "jpg" / "7.jpg"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    with pytest.raises(DamagedError, match=r"7\.jpg is damaged: not a whole JPEG"):
        read_image(volume)


@pytest.mark.parametrize("width", [12_000, 30_000, 65_535])
def test_a_picture_bomb_is_refused_by_its_header(width: int) -> None:
    bomb = with_size(to_jpeg(GREY), width, width)
    with pytest.raises((UnsupportedError, DamagedError), match=f"{width} x {width} Gray instead of|not a whole JPEG"):
        decode_slice(bomb, what="it")


def test_a_slice_of_megabytes_is_not_read_whole(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "SLICE_BYTES_LIMIT", 1000)
    with pytest.raises(DamagedError, match=r"0\.jpg is damaged: it is larger than 1000 bytes"):
        read_image(volume)


@pytest.mark.parametrize("name", ["jpg/0.jpg", "jpg/255.jpg"])
def test_a_missing_slice_is_named(volume: Path, name: str) -> None:
    (volume / name).unlink()
    with pytest.raises(MissingError, match=f"{name} not found; `ewval fetch` downloads it"):
        read_image(volume)


def test_a_missing_segmentation_is_named(volume: Path) -> None:
    (volume / "segmentation.lzma").unlink()
    with pytest.raises(MissingError, match=r"segmentation\.lzma not found"):
        read_segmentation(volume)


@pytest.mark.parametrize("edge", [128, 255, 257])
def test_a_segmentation_of_another_size_is_refused(volume: Path, edge: int) -> None:
    (volume / "segmentation.lzma").write_bytes(lzma.compress(bytes(2 * edge**3), preset=0))
    with pytest.raises(DamagedError, match=r"segmentation\.lzma is damaged: it decodes to"):
        read_segmentation(volume)


def rewrite(volume: Path, **changes: object) -> None:
    document = {key: value for key, value in (METADATA | changes).items() if value is not None}
    (volume / "metadata.json").write_text(json.dumps(document))


@pytest.mark.parametrize(("name", "kind"), [("UInt8", "<u1"), ("UInt16", "<u2"), ("UInt32", "<u4"), ("UInt64", "<u8")])
def test_segment_id_types_of_metadata_are_honoured(volume: Path, name: str, kind: str) -> None:
    labels = np.zeros((256, 256, 256), kind)
    labels[3, 2, 1] = 255
    rewrite(volume, segment_id_type=name)
    (volume / "segmentation.lzma").write_bytes(to_alone(labels.tobytes()))
    read = read_segmentation(volume)
    assert read.dtype == np.uint16
    assert (read[3, 2, 1], read.sum()) == (255, 255)


def test_ids_that_do_not_fit_are_refused_by_name(volume: Path) -> None:
    labels = np.zeros((256, 256, 256), "<u4")
    labels[255, 255, 255] = 70_000
    rewrite(volume, segment_id_type="UInt32")
    (volume / "segmentation.lzma").write_bytes(lzma.compress(labels.tobytes(), preset=0))
    with pytest.raises(UnsupportedError, match="segment id 70000 does not fit uint16"):
        read_segmentation(volume)


def test_bounds_are_turned_to_z_y_x(raw_volume: Path) -> None:
    assert read_metadata(raw_volume).bounds == Bounds((434, 498, 466), (690, 754, 722))


def test_a_volume_without_metadata_is_taken_as_uint16(volume: Path) -> None:
    (volume / "metadata.json").unlink()
    assert read_metadata(volume).bounds is None
    assert read_segmentation(volume).max() == 65535


@pytest.mark.parametrize(
    ("changes", "error", "problem"),
    [
        ({"segment_id_type": "Float32"}, UnsupportedError, "segment_id_type 'Float32' is none of UInt8, UInt16"),
        ({"segment_id_type": [16]}, UnsupportedError, r"segment_id_type '\[16\]' is none of"),
        ({"image_type": "UInt16"}, UnsupportedError, "image_type 'UInt16' instead of UInt8"),
        ({"physical_offset_max": [2514, 754, 690]}, UnsupportedError, "a cube of 2048 x 256 x 256 voxels instead"),
        ({"physical_offset_max": [466, 498, 434]}, UnsupportedError, "a cube of 0 x 0 x 0 voxels instead"),
        ({"physical_offset_min": [1, 2]}, DamagedError, "its physical offsets are not three numbers"),
        ({"physical_offset_min": 7}, DamagedError, "its physical offsets are not three numbers"),
        ({"physical_offset_min": ["a", "b", "c"]}, DamagedError, "its physical offsets are not three numbers"),
    ],
)
def test_metadata_of_another_kind_of_volume_is_refused(
    volume: Path, changes: dict[str, object], error: type[Exception], problem: str
) -> None:
    rewrite(volume, **changes)
    with pytest.raises(error, match=problem):
        read_metadata(volume)
    with pytest.raises(error, match=r"metadata\.json"):
        read_segmentation(volume)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_metadata_that_is_no_json_object_is_damaged(volume: Path, text: str) -> None:
    (volume / "metadata.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DamagedError, match=r"metadata\.json is damaged"):
        read_metadata(volume)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_bombs_are_refused_within_the_memory_of_one_volume(volume: Path) -> None:
    (volume / "segmentation.lzma").write_bytes(to_alone(bytes(200 << 20)))
    (volume / "jpg" / "0.jpg").write_bytes(with_size(to_jpeg(GREY), 30_000, 30_000))
    script = (
        "import sys; from pathlib import Path; from ewval.core.volumes.raw import read_image, read_segmentation\n"
        "from ewval.core.errors import DataError\n"
        "for read in (read_segmentation, read_image):\n"
        "    try: read(Path(sys.argv[1]))\n"
        "    except DataError as error: print(error)\n"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    output = subprocess.run([sys.executable, "-c", script, volume], capture_output=True, text=True, check=True).stdout
    first, second, peak_kib = output.splitlines()
    assert "decodes to more than the expected 33554432 bytes" in first
    assert "30000 x 30000 Gray instead of 256 x 256 grey" in second
    assert int(peak_kib) < 150 * 1024
