"""What arrives is held against every checksum of it that is stated, and against none of something else."""

import base64
import hashlib

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from ewval.core.eyewire.checksums import is_as_stated

RIGHT = "md5=" + base64.b64encode(hashlib.md5(b"fine").digest()).decode()
WRONG = "md5=" + base64.b64encode(hashlib.md5(b"other").digest()).decode()
CRC = "crc32c=AAAAAA=="


@pytest.mark.parametrize(
    ("lines", "is_good"),
    [
        ([], True),
        ([RIGHT], True),
        ([WRONG], False),
        ([CRC, RIGHT], True),
        ([CRC, WRONG], False),
        ([WRONG, CRC], False),
        ([RIGHT, WRONG], False),
        ([f"{CRC},{WRONG}"], False),
        ([f"{CRC}, {RIGHT}"], True),
        ([RIGHT.replace("md5", "MD5")], True),
        ([CRC], True),
        ([""], True),
    ],
)
def test_every_line_of_checksums_counts(lines: list[str], is_good: bool) -> None:
    headers = CIMultiDictProxy(CIMultiDict([("X-Goog-Hash", line) for line in lines]))
    assert is_as_stated(b"fine", headers) == is_good


@pytest.mark.parametrize(
    ("name", "encoding", "is_checked"),
    [
        ("x-goog-stored-content-encoding", "gzip", False),
        ("X-Goog-Stored-Content-Encoding", "GZIP", False),
        ("x-goog-stored-content-encoding", "identity", True),
        ("x-goog-stored-content-encoding", "", True),
        ("Content-Encoding", "gzip", False),
        ("Content-Encoding", "br", False),
        ("Content-Encoding", "identity", True),
    ],
)
def test_what_arrives_otherwise_than_it_is_stored_is_not_checked(name: str, encoding: str, is_checked: bool) -> None:
    headers = CIMultiDictProxy(CIMultiDict([("x-goog-hash", WRONG), (name, encoding)]))
    assert is_as_stated(b"fine", headers) == (not is_checked)
