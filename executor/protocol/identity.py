"""The identity of a node: a hash of its place in the run, and of nothing else."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_SEGMENT: Final = 1 << 60


def node_identity(parent: bytes, index: int) -> bytes:
    """A node's identity. No attempt, time, order of arrival or text path is part of it."""
    return blake2b(parent + index.to_bytes(8, "big"), digest_size=16, person=b"promissory node").digest()


def segment_place(parent: bytes, index: int, ordinal: int) -> tuple[bytes, int]:
    """The two parts that the identity of a segment of an async dynamic is a hash of. The first segment has that of the
    dynamic itself, as the one frame of any other dynamic."""
    return (parent, index) if ordinal == 1 else (node_identity(parent, index), _SEGMENT + ordinal)


def seed_of(run_id: str, parent: bytes, index: int) -> int:
    """A number made of a node's identity: equal on every attempt and engine."""
    state = blake2b(
        run_id.encode() + b"\0" + parent + index.to_bytes(8, "big"), digest_size=8, person=b"promissory seed"
    )
    return int.from_bytes(state.digest(), "big") >> 1
