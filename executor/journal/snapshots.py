"""Snapshots of the scheduler in their run's folder: a segment names each; a newer snapshot replaces an older one."""

from __future__ import annotations

from promissory.executor.errors import NotInStore, StoreError
from promissory.executor.store.keys import snapshot_key
from promissory.executor.store.store import Store
from promissory.planner.plan.model import Large, Value
from promissory.typesys.canonical import INLINE_LIMIT, digest


def put_snapshot(store: Store, run_id: str, data: bytes) -> Value:
    """Store a snapshot in its run's folder, and return the value by which a segment names it. A small snapshot is that
    value itself, and nothing is stored."""
    if len(data) <= INLINE_LIMIT:
        return data
    name = digest("value", data)
    store.put_same(snapshot_key(run_id, name), data, durable=False)
    return Large(name, len(data))


def drop_snapshot(store: Store, run_id: str, state: Value) -> None:
    """Remove a snapshot that a newer one replaces. A replay never depends on it: the segments hold every event."""
    if isinstance(state, Large):
        try:
            store.remove(snapshot_key(run_id, state.digest))
        except StoreError:
            return  # the snapshot stays until garbage is collected


def get_snapshot(store: Store, run_id: str, state: Value) -> bytes:
    """The bytes of a snapshot. Raises `StoreError` if they are missing or damaged."""
    if isinstance(state, bytes):
        return state
    key = snapshot_key(run_id, state.digest)
    try:
        data = store.get(key)
    except NotInStore:
        return store.get_value(state)  # version 1 of the journal kept snapshots among the objects
    if digest("value", data) != state.digest:
        raise StoreError(f"{key} in the store {store.url} is damaged: its digest does not match its bytes")
    return data
