"""Bytes-likes: the bytes travel, and each consumer gets a buffer of its own."""

from __future__ import annotations

from typesys.codecs import Family, declare, named
from typesys.types import BYTES

declare(Family(bytearray, named("bytearray", BYTES), bytes, bytearray, hashable=False))
declare(Family(memoryview, named("memoryview", BYTES), lambda view: view.tobytes(), memoryview))
