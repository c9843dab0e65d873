"""The garbage of a store, to which nothing refers: values of runs that were removed, snapshots that newer ones
replaced, leases, locks and temporary files that killed processes left (`promissory gc`).

Garbage is found by marking: every run and every cache entry names the keys that it needs. A run that goes on is the
danger, since nothing names its newest values yet. So nothing is collected while a run goes on, no key is collected that
is younger than asked for, and a run that begins meanwhile ends the collection.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from promissory.executor.cache.entries import entries, values_in
from promissory.executor.errors import NotInStore, RunIsLive, RunNotFound
from promissory.executor.history.summary import is_being_taken
from promissory.executor.maintenance.export import keys_of
from promissory.executor.records.executors import may_be_at_work
from promissory.executor.records.heartbeat import live_one
from promissory.executor.store.forms import is_leftover, is_ours
from promissory.executor.store.keys import (
    CODE,
    EXECUTORS,
    LEASES,
    OBJECTS,
    PARTS,
    PLANS,
    RUNS,
    alive_key,
    is_executor_id,
    is_run_id,
    run_key,
)
from promissory.executor.store.mark import require_mark
from promissory.executor.store.store import Store


@dataclass(frozen=True, slots=True)
class Garbage:
    """A key to which nothing refers, and when it was written (seconds since the epoch)."""

    key: str
    changed: float


def garbage(store: Store, older_than: float, without: Sequence[str] = ()) -> list[Garbage]:
    """The keys of a store to which nothing refers, and which are older than `older_than` seconds, as if the runs
    `without` were not there.

    Raises:
        RunIsLive: a run goes on.
        RunNotFound: `without` has what can't name a run.
        JournalError: a run can't be read, so it is not known which keys it needs.
    """
    for run_id in without:
        if not is_run_id(run_id):
            raise RunNotFound(f"there is no run {run_id!r} in the store {store.url}")
    before = time.time() - older_than
    runs = [run_id for run_id in _runs(store) if run_id not in without]
    _refuse_live(store, runs)
    _refuse_taken(store, runs)
    found = [
        Garbage(key, changed)
        for key in _candidates(store, runs)
        if (is_ours(key) or is_leftover(key)) and (changed := _changed(store, key)) is not None and changed <= before
    ]
    needed = _needed(store, runs)
    return [one for one in found if one.key not in needed]


def remove(store: Store, found: list[Garbage]) -> int:
    """Remove the keys that `garbage` found. Returns how many were removed.

    Raises:
        RunIsLive: a run has begun since; the keys that are left stay.
        StoreError: nothing says that the store is one of ours.
    """
    if found:
        require_mark(store)
    for count, one in enumerate(found):
        if count % 256 == 0:
            _refuse_live(store, _runs(store))
        store.remove(one.key)
    return len(found)


def remove_run(store: Store, run_id: str) -> None:
    """Remove a run's folder, the manifest first, so that a crash leaves garbage. Raises `RunNotFound`, `RunIsLive`."""
    _require_run(store, run_id)
    require_mark(store)
    _refuse_live(store, [run_id])
    _refuse_taken(store, [run_id])
    store.remove(run_key(run_id, "manifest"))
    store.remove(run_key(run_id, "summary"))  # lists of runs may look at nothing else
    for key in filter(is_ours, _below(store, f"{RUNS}/{run_id}")):
        store.remove(key)


def _require_run(store: Store, run_id: str) -> None:
    if not is_run_id(run_id) or not store.exists(run_key(run_id, "manifest")):
        raise RunNotFound(f"there is no run {run_id!r} in the store {store.url}")


def _runs(store: Store) -> list[str]:
    return [name for key in store.list(RUNS) if is_run_id(name := key.rpartition("/")[2])]


def _refuse_live(store: Store, runs: list[str]) -> None:
    live = live_one(store, runs)
    if live is not None:
        raise RunIsLive(f"run {live} goes on: what it needs next is named by nothing yet. Collect when it has ended")


def _refuse_taken(store: Store, runs: list[str]) -> None:
    """Raise `RunIsLive` if an executor has just taken a run over, and its first beat is still to come."""
    for run_id in runs:
        if store.exists(run_key(run_id, "manifest")) and is_being_taken(store, run_id):
            raise RunIsLive(f"run {run_id} goes on: somebody has just taken it over")


def _candidates(store: Store, runs: list[str]) -> Iterator[str]:
    for kind in (OBJECTS, PARTS, PLANS, CODE, LEASES):
        yield from _below(store, kind)
    for folder in store.list(EXECUTORS):
        name = folder.rpartition("/")[2]
        if is_executor_id(name) and not may_be_at_work(store, name):
            yield alive_key(name)
    for run_id in runs:
        if store.exists(run_key(run_id, "manifest")):
            yield from store.list(run_key(run_id, "snapshots"))
            yield from store.list(run_key(run_id, "inbox"))
        else:
            yield from _below(store, f"{RUNS}/{run_id}")
    yield from store.leftovers()


def _below(store: Store, folder: str) -> Iterator[str]:
    """All keys below a folder, however deep."""
    todo = [folder]
    while todo:
        for key in store.list(todo.pop()):
            if store.is_folder(key):
                todo.append(key)
            else:
                yield key


def _changed(store: Store, key: str) -> float | None:
    try:
        return store.changed(key)
    except NotInStore:
        return None


def _needed(store: Store, runs: list[str]) -> set[str]:
    needed: set[str] = set()
    for run_id in runs:
        if store.exists(run_key(run_id, "manifest")):
            needed.update(keys_of(store, run_id))
    for key, entry in entries(store):
        needed.add(key)
        if entry is not None:
            for value in values_in(entry):
                needed.update(store.keys_of(value, as_far_as_known=True))
    return needed
