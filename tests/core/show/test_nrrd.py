"""NRRD files hold what was written, axes and spacing included."""

import numpy as np
import pytest

from ewval.core.show.nrrd import encode_nrrd
from nrrd_files import decode_nrrd


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array_comes_back(dtype):
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(dtype)
    back = decode_nrrd(encode_nrrd(array, spacing_nm=(23.0, 16.5, 16.5), content="test"))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, array)


def test_the_header_names_axes_from_fastest_to_slowest():
    blob = encode_nrrd(np.zeros((2, 3, 4), np.uint8), spacing_nm=(23.0, 16.5, 16.0), content="two\nlines")
    lines = blob.partition(b"\n\n")[0].decode().split("\n")
    assert lines[0] == "NRRD0004"
    assert "content: two lines" in lines
    assert "sizes: 4 3 2" in lines
    assert "space directions: (16.0,0,0) (0,16.5,0) (0,0,23.0)" in lines
    assert lines.index("space dimension: 3") < lines.index('space units: "nm" "nm" "nm"')


def test_the_same_array_gives_the_same_bytes():
    array = np.ones((2, 2, 2), np.uint8)
    first, second = (encode_nrrd(array, spacing_nm=(1.0, 1.0, 1.0), content="") for _ in range(2))
    assert first == second


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 2), np.int64)])
def test_what_nrrd_is_not_written_for_is_refused(array):
    with pytest.raises(ValueError, match="as NRRD"):
        encode_nrrd(array, spacing_nm=(1.0, 1.0, 1.0), content="")
