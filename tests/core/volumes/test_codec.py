"""Streams in and out: every form that exists, and every way to be wrong."""

import io
import lzma
from pathlib import Path

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from ewval.core.errors import DamagedError, UnsupportedError
from ewval.core.volumes.codec import decode, decode_labels, encode
from raw_volumes import to_alone

VOLUMES = Path(__file__).parent
CONTENT = (np.arange(512, dtype="<u2") * 128).reshape(8, 8, 8)
SHAPES = st.tuples(*[st.integers(1, 9)] * 3)


def read(blob: bytes) -> np.ndarray:
    return decode(blob, shape=(8, 8, 8), dtype="<u2", what="volume 5")


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(st.sampled_from([np.uint8, np.uint16, np.dtype(">u2")]), SHAPES))
def test_what_is_encoded_comes_back(array: np.ndarray) -> None:
    decoded = decode(encode(array), shape=array.shape, dtype=array.dtype, what="it")
    assert decoded.dtype == array.dtype.newbyteorder("<")
    assert np.array_equal(decoded, array)


def test_a_transposed_array_is_stored_with_x_fastest() -> None:
    assert np.array_equal(read(encode(CONTENT.T)), CONTENT.T)


def test_decoded_arrays_cannot_be_written_to() -> None:
    assert not read(encode(CONTENT)).flags.writeable


def test_what_is_encoded_opens_the_way_the_seed_system_opens_it() -> None:
    with lzma.open(io.BytesIO(encode(CONTENT))) as stream:
        assert stream.read() == CONTENT.tobytes()


@pytest.mark.parametrize("name", ["alone-length-known.lzma", "alone-length-unknown.lzma", "seed-system.xz"])
def test_stored_streams_of_every_form_decode(name: str) -> None:
    blob = (VOLUMES / name).read_bytes()
    assert np.array_equal(read(blob), CONTENT)
    assert np.array_equal(decode_labels(blob, voxels=512, what="volume 5"), CONTENT.ravel())


@pytest.mark.parametrize("preset", range(10))
def test_every_preset_of_xz_decodes(preset: int) -> None:
    assert np.array_equal(read(lzma.compress(CONTENT.tobytes(), preset=preset)), CONTENT)


XZ = lzma.compress(CONTENT.tobytes())
ALONE = to_alone(CONTENT.tobytes())
KNOWN = to_alone(CONTENT.tobytes(), length=1024)


@pytest.mark.parametrize(
    ("blob", "problem"),
    [
        pytest.param(b"", "truncated: its stream ends after 0 of 1024 bytes", id="empty"),
        pytest.param(XZ[:20], "truncated: its stream ends after 0 of 1024 bytes", id="xz cut in its header"),
        pytest.param(XZ[:-20], "truncated: its stream ends after 1024 of 1024 bytes", id="xz without its end"),
        pytest.param(ALONE[:200], "truncated: its stream ends after", id="alone cut"),
        pytest.param(KNOWN[:200], "truncated: its stream ends after", id="alone of known length cut"),
        pytest.param(XZ + b"more", "4 bytes follow the end of its stream", id="xz and garbage"),
        pytest.param(ALONE + b"more", "4 bytes follow the end of its stream", id="alone and garbage"),
        pytest.param(XZ + XZ, f"{len(XZ)} bytes follow the end of its stream", id="two streams"),
        pytest.param(lzma.compress(bytes(1025)), "decodes to more than the expected 1024 bytes", id="xz too long"),
        pytest.param(to_alone(bytes(1025)), "decodes to more than the expected 1024 bytes", id="alone too long"),
        pytest.param(lzma.compress(bytes(1023)), "decodes to 1023 bytes instead of 1024", id="xz too short"),
        pytest.param(to_alone(bytes(1023)), "decodes to 1023 bytes instead of 1024", id="alone too short"),
        pytest.param(lzma.compress(b""), "decodes to 0 bytes instead of 1024", id="xz of nothing"),
        pytest.param(
            to_alone(CONTENT.tobytes(), length=10 << 30), "header states 10737418240 bytes instead of 1024", id="stated"
        ),
        pytest.param(XZ[:60] + bytes([XZ[60] ^ 1]) + XZ[61:], "corrupt input data", id="a flipped bit"),
        pytest.param(b"<html>no such object</html>", "input format not supported", id="not lzma"),
        pytest.param(
            ALONE[:1] + (1 << 30).to_bytes(4, "little") + ALONE[5:], "memory usage limit exceeded", id="1 GB dictionary"
        ),
    ],
)
def test_damage_is_named(blob: bytes, problem: str) -> None:
    with pytest.raises(DamagedError, match=problem) as caught:
        read(blob)
    assert caught.value.what == "volume 5"
    with pytest.raises(DamagedError, match=problem):
        decode_labels(blob, voxels=512, what="volume 5")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_cut_and_no_flip_goes_unnoticed_in_an_xz_stream(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(XZ) - 1))
    damaged = data.draw(st.sampled_from([XZ[:at], XZ[:at] + bytes([XZ[at] ^ 4]) + XZ[at + 1 :]]))
    with pytest.raises(DamagedError):
        read(damaged)


@pytest.mark.parametrize("size", [10_000_000, 5_000_001, 4097, 1 << 26])
def test_a_legacy_stream_may_have_been_made_with_any_dictionary(size: int) -> None:
    assert np.array_equal(read(ALONE[:1] + size.to_bytes(4, "little") + ALONE[5:]), CONTENT)


@pytest.mark.parametrize("stored", ["<u1", "<u2", "<u4", "<u8"])
def test_ids_of_every_width_become_uint16(stored: str) -> None:
    ids = np.array([0, 1, 255, 7], stored)
    labels = decode_labels(to_alone(ids.tobytes()), voxels=4, dtype=stored, what="it")
    assert labels.dtype == np.uint16
    assert labels.tolist() == [0, 1, 255, 7]


@pytest.mark.parametrize("stored", ["<u4", "<u8"])
def test_ids_that_fit_uint16_are_kept_to_the_last_one(stored: str) -> None:
    ids = np.arange(65536, dtype=stored)
    assert np.array_equal(decode_labels(encode_plain(ids), voxels=65536, dtype=stored, what="it"), ids)


@pytest.mark.parametrize("stored", ["<u4", "<u8"])
def test_an_id_beyond_uint16_is_refused_by_name(stored: str) -> None:
    ids = np.zeros(400_000, stored)
    ids[399_999] = 65536
    with pytest.raises(UnsupportedError, match="volume 5 cannot be used: segment id 65536 does not fit uint16"):
        decode_labels(encode_plain(ids), voxels=400_000, dtype=stored, what="volume 5")


def encode_plain(array: np.ndarray) -> bytes:
    return lzma.compress(array.tobytes(), preset=0)
