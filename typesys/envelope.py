"""The sealed envelope that every stored file wears: it says which kind and version a file is, and proves that it is
whole.

Envelope (all integers big-endian)::

    0   4  magic, one for each family of files
    4   2  format version
    6   1  kind within the family
    7   8  payload length n
    15  n  payload
    15+n 32 BLAKE2b-256 over everything before it
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import Final

from promissory.typesys.errors import FormatError

_HEADER: Final = struct.Struct(">4sHBQ")
_CHECK_SUM_SIZE: Final = 32


def seal(magic: bytes, version: int, kind: int, payload: bytes) -> bytes:
    """Wrap a payload: magic, version and kind in front, a check sum over all of it behind."""
    header = _HEADER.pack(magic, version, kind, len(payload))
    state = blake2b(header, digest_size=_CHECK_SUM_SIZE)
    state.update(payload)
    return b"".join((header, payload, state.digest()))


def is_cut_short(data: bytes) -> bool:
    """Tell whether sealed bytes are fewer than their header says.

    >>> sealed = seal(b"TEST", 1, 1, b"payload")
    >>> is_cut_short(sealed), is_cut_short(sealed[:-1])
    (False, True)
    """
    if len(data) < _HEADER.size:
        return True
    magic, version, kind, length = _HEADER.unpack_from(data)
    if len(data) >= _HEADER.size + length + _CHECK_SUM_SIZE:
        return False
    payload = data[_HEADER.size : -_CHECK_SUM_SIZE]
    return (
        seal(magic, version, kind, payload) != _HEADER.pack(magic, version, kind, len(payload)) + data[_HEADER.size :]
    )  # Otherwise the length itself is damaged.


def unseal(data: bytes, magic: bytes, versions: range, what: str) -> tuple[int, int, bytes]:
    """Give (version, kind, payload) of sealed bytes.

    Raises `FormatError`, with the offset, if the bytes are another kind of file, cut short, longer than their header
    says, changed anywhere, or of a version that this reader does not know.
    """
    if len(data) < _HEADER.size:
        raise FormatError(what, f"is cut short: {len(data)} bytes are less than a header", offset=len(data))
    found, version, kind, length = _HEADER.unpack_from(data)
    if found != magic:
        raise FormatError(what, f"begins with {found!r}, not with {magic!r}: this is some other file", offset=0)
    if version not in versions:
        newest = versions.stop - 1
        way_out = "install a newer promissory to read it" if version > newest else "it was never released"
        raise FormatError(what, f"has format version {version}; this reader knows up to {newest}: {way_out}", offset=4)
    end = _HEADER.size + length
    if len(data) < end + _CHECK_SUM_SIZE:
        raise FormatError(
            what, f"is cut short: {len(data)} of {end + _CHECK_SUM_SIZE} bytes are there", offset=len(data)
        )
    if len(data) > end + _CHECK_SUM_SIZE:
        raise FormatError(what, "has bytes after its end", offset=end + _CHECK_SUM_SIZE)
    if blake2b(memoryview(data)[:end], digest_size=_CHECK_SUM_SIZE).digest() != data[end:]:
        raise FormatError(what, "is damaged: its check sum does not match its bytes", offset=end)
    return version, kind, data[_HEADER.size : end]
