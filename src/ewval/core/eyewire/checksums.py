"""Checksums that a bucket states of its files.

Source: https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash and, for files that are stored
compressed, https://cloud.google.com/storage/docs/transcoding
"""

import base64
import hashlib
from collections.abc import Iterator

from multidict import CIMultiDictProxy

STORED_ENCODING = "x-goog-stored-content-encoding"
PLAIN = ("", "identity")

Headers = CIMultiDictProxy[str]


def is_as_stated(content: bytes, headers: Headers) -> bool:
    """Whether `content` has every MD5 that `headers` state of it; true where they state none of these bytes."""
    if not _is_as_stored(headers):
        return True
    stated = {value for name, value in _hashes(headers) if name == "md5"}
    return not stated or stated == {base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()}


def _is_as_stored(headers: Headers) -> bool:
    """Whether the bytes that arrived are those that the bucket holds: neither unpacked here nor on the way."""
    encodings = [*headers.getall("Content-Encoding", []), *headers.getall(STORED_ENCODING, [])]
    return all(encoding.strip().lower() in PLAIN for encoding in encodings)


def _hashes(headers: Headers) -> Iterator[tuple[str, str]]:
    """Yield name and value of every hash; they stand in one line or in several."""
    for line in headers.getall("x-goog-hash", []):
        for part in line.split(","):
            name, _, value = part.strip().partition("=")
            yield name.lower(), value
