"""Who a node is: a hash of where it stands, and of nothing else."""

from __future__ import annotations

from hashlib import blake2b


def node_identity(parent: bytes, index: int) -> bytes:
    """A node's identity: never an attempt, a time, an order of arrival or a text path."""
    return blake2b(parent + index.to_bytes(8, "big"), digest_size=16, person=b"promissory node").digest()


def seed_of(run_id: str, parent: bytes, index: int) -> int:
    """A number made of a node's identity: equal on every attempt and engine."""
    state = blake2b(
        run_id.encode() + b"\0" + parent + index.to_bytes(8, "big"), digest_size=8, person=b"promissory seed"
    )
    return int.from_bytes(state.digest(), "big") >> 1
