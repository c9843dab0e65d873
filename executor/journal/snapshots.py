"""States of the scheduler in their run's folder: kept, named by a segment, dropped when a newer one replaces them."""

from __future__ import annotations

from promissory.executor.errors import NotInStore, StoreError
from promissory.executor.store.keys import snapshot_key
from promissory.executor.store.store import Store
from promissory.planner.plan.model import Large, Value
from promissory.typesys.canonical import INLINE_LIMIT, digest


def put_snapshot(store: Store, run_id: str, data: bytes) -> Value:
    """Store a state in its run's folder; the value that a segment names it by: itself if it is small."""
    if len(data) <= INLINE_LIMIT:
        return data
    name = digest("value", data)
    store.put_same(snapshot_key(run_id, name), data, durable=False)
    return Large(name, len(data))


def drop_snapshot(store: Store, run_id: str, state: Value) -> None:
    """Remove a state that a newer one replaces. What a replay needs is in the segments."""
    if isinstance(state, Large):
        try:
            store.delete(snapshot_key(run_id, state.digest))
        except StoreError:
            return  # it stays, until it is collected


def get_snapshot(store: Store, run_id: str, state: Value) -> bytes:
    """The bytes of a state. Raises `StoreError` if they are not there or damaged."""
    if isinstance(state, bytes):
        return state
    key = snapshot_key(run_id, state.digest)
    try:
        data = store.get(key)
    except NotInStore:
        return store.get_value(state)  # version 1 of the journal has them among the objects
    if digest("value", data) != state.digest:
        raise StoreError(f"{key} in the store {store.url} is damaged: its digest does not match its bytes")
    return data
