"""The export of a run: a store with one run and all keys that it refers to. `show`, `status`, `logs` and `resume` work
on it wherever it is taken (rule J7)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace

from promissory.executor.errors import NotInStore, RunExists, StoreError
from promissory.executor.journal.base import first_segment
from promissory.executor.journal.reader import find_end, keys_named, read_segments
from promissory.executor.journal.snapshots import get_snapshot
from promissory.executor.protocol.events import ENDED, SNAPSHOT, Event, meta_of, value_of
from promissory.executor.records.checkpoints import checkpoint_keys
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.manifest import read_manifest, read_plan
from promissory.executor.scheduler.snapshot import values_of
from promissory.executor.store.forms import is_ours
from promissory.executor.store.keys import (
    CHECKPOINTS,
    FUTURES,
    OBJECTS,
    PARTS,
    bundle_key,
    is_log,
    is_replaced,
    plan_key,
    run_key,
    segment_key,
)
from promissory.executor.store.mark import mark
from promissory.executor.store.store import Store
from promissory.planner.plan.model import Value
from promissory.typesys.buffer import blake3
from promissory.typesys.canonical import digest


def export(source: Store, run_id: str, target: Store) -> int:
    """Copy a run to another store. Returns how many keys were copied.

    A key is written before the keys that refer to it, and the manifest last, so a copy that was cut short is no run.

    Raises:
        RunNotFound: the store has no such run.
        RunExists: the other store has a run of this name that is not a copy of this one.
        JournalError, StoreError: the run can't be read, or not be written.
    """
    manifest_key = run_key(run_id, "manifest")
    read_manifest(source, run_id)
    if target.exists(manifest_key) and target.get(manifest_key) != source.get(manifest_key):
        raise RunExists(f"the store {target.url} has another run {run_id!r}: export into a store of its own")
    there = min(find_end(source, run_id), find_end(target, run_id)) if target.exists(manifest_key) else 0
    begins = max(first_segment(source, run_id), first_segment(target, run_id)) if there else 0
    if begins and begins >= there:
        raise RunExists(
            f"the journal of the run {run_id!r} was trimmed since it was exported to the store {target.url}, "
            "so the two can't be compared: export into a store of its own"
        )
    for key in (segment_key(run_id, number) for number in range(begins, there)):
        if source.get(key) != target.get(key):
            raise RunExists(
                f"the run {run_id!r} has gone on in the store {target.url} since it was exported there: "
                "export into a store of its own"
            )
    mark(target)
    copied = 0
    for key in dict.fromkeys(keys_of(source, run_id)):
        if key == manifest_key:
            continue
        try:
            data = source.get(key)
        except NotInStore:
            if can_be_missing(run_id, key):
                continue
            raise
        if digest_by_key(key, data) not in (None, key.rpartition("/")[2]):
            raise StoreError(
                f"{key} in the store {source.url} is damaged: its digest does not match its bytes. "
                f"`promissory doctor {run_id}` tells all"
            )
        if is_log(key):
            _append_rest(target, key, data)
        elif is_replaced(key):
            target.put(key, data)
        else:
            target.put_same(key, data)
        copied += 1
    beat = read_beat(source, run_id)
    told = b"{}" if beat is None else json.dumps(asdict(replace(beat, over=True))).encode()
    target.put_new(run_key(run_id, "beat"), told)  # no executor works on a copy
    target.put_new(manifest_key, source.get(manifest_key))
    return copied + 2


def can_be_missing(run_id: str, key: str) -> bool:
    """Whether a run is whole without a key: a log that was never written, a futures file that is written behind, a
    checkpoint, a snapshot that no replay depends on."""
    return is_log(key) or key.startswith(
        (run_key(run_id, FUTURES), run_key(run_id, CHECKPOINTS), run_key(run_id, "snapshots"), run_key(run_id, "code"))
    )


def digest_by_key(key: str, data: bytes) -> str | None:
    """The digest of what lies under a key that is named by it, an object or a part; None for any other key."""
    if key.startswith(f"{OBJECTS}/"):
        return digest("value", data).hex()
    return blake3(data).hex() if key.startswith(f"{PARTS}/") else None


def _append_rest(target: Store, key: str, data: bytes) -> None:
    """Append the part of a log that the target lacks: the log may have grown since an earlier export."""
    try:
        there = len(target.get(key))
    except NotInStore:
        there = 0
    if there < len(data):
        target.append(key, data[there:])


def keys_of(store: Store, run_id: str) -> Iterator[str]:
    """The keys of a run and all keys that it refers to, some more than once, some of them perhaps missing. Raises
    `RunNotFound`, `JournalError`."""
    manifest = read_manifest(store, run_id)
    yield run_key(run_id, "manifest")
    yield plan_key(manifest.plan)
    if manifest.bundle:
        yield bundle_key(manifest.bundle)
    yield from _keys(store, manifest.inputs.values())
    yield from _keys(store, read_plan(store, manifest).literals)
    yield from filter(is_ours, store.list(run_key(run_id, "code")))
    for folder in store.list(run_key(run_id, FUTURES)):
        yield from filter(is_ours, store.list(folder))
    yield from checkpoint_keys(store, run_id)
    first, end = first_segment(store, run_id), find_end(store, run_id)
    yield from filter(is_ours, store.list(run_key(run_id, "base")))
    yield from (segment_key(run_id, number) for number in range(first, end))
    newest: Event | None = None
    for segment, _ in read_segments(store, run_id, first, end):
        for event in segment.events:
            if event[0] == SNAPSHOT:
                newest = event
                if segment.number == first:  # the journal begins with it
                    yield from keys_named(store, run_id, event, as_far_as_known=True)
                    yield from _keys(store, values_of(get_snapshot(store, run_id, event[1])))
            else:
                yield from keys_named(store, run_id, event, as_far_as_known=True)
                yield from _of_event(store, event)
    if newest is not None:
        yield from keys_named(store, run_id, newest, as_far_as_known=True)
        try:
            yield from _keys(store, values_of(get_snapshot(store, run_id, newest[1])))
        except NotInStore:
            return  # a replay of all segments needs no snapshot


def _of_event(store: Store, event: Event) -> Iterator[str]:
    """The keys that an event refers to, apart from the objects that it names: logs, and the outputs of the run."""
    if event[0] == ENDED and event[3] is not None:
        yield from _keys(store, (value_of(tree) for tree in event[3] if tree is not None))
    meta = meta_of(event)
    if meta is not None and meta[4] is not None:
        yield meta[4][0]


def _keys(store: Store, values: Iterable[Value]) -> Iterator[str]:
    """The keys under which values lie, as far as they are known."""
    for value in values:
        yield from store.keys_of(value, as_far_as_known=True)
