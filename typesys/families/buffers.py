"""Bytes-likes: the bytes travel, and each consumer gets a buffer of its own."""

from __future__ import annotations

from promissory.typesys.errors import TypeMismatch
from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import BYTES


def _bytes_of(view: memoryview) -> bytes:
    if view.format != "B" or view.ndim != 1:
        raise TypeMismatch(
            f"a memoryview of {view.format!r} items in {view.ndim} dimensions would come back as one of bytes; "
            "use an array"
        )
    return view.tobytes()


declare(Family(bytearray, named("bytearray", BYTES), bytes, bytearray, hashable=False))
declare(Family(memoryview, named("memoryview", BYTES), _bytes_of, memoryview))
