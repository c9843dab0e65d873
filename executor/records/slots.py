"""Limits of queues: how many runs of a queue, and of each owner in it, are carried at one time over all workers
(rule Q2).

A limit of n is n slots, each of which one run may have. A worker takes the slots before it claims a run, so the limit
is hard. A slot is the next number under its name, taken with put-if-absent: of two workers that find the last holder
gone, one gets the next number. It is free again when it was given back, or when the worker that took it is gone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from promissory.executor.errors import NotInStore, StoreDamage
from promissory.executor.protocol.seats import Seat
from promissory.executor.records.executors import is_taken
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.manifest import Manifest
from promissory.executor.store.keys import limits_key, slot_key
from promissory.executor.store.store import Store

_BEGINNING: Final = 60.0
"""Seconds that the holder of a slot has to begin with its run, where nothing proves that it lives."""


class Limits(NamedTuple):
    """How many runs of a queue, and of each owner in it, are carried at one time; None for any number."""

    runs: int | None = None
    of_an_owner: int | None = None


def read_limits(store: Store, queue: str) -> Limits:
    """The limits of a queue. What can't be read limits nothing."""
    try:
        said = json.loads(store.get(limits_key(queue)))
    except (NotInStore, StoreDamage, ValueError, RecursionError):
        return Limits()
    return Limits(*(_count(said, name) for name in Limits._fields)) if isinstance(said, dict) else Limits()


def _count(said: dict[str, Any], name: str) -> int | None:
    found = said.get(name)
    return found if found.__class__ is int and found > 0 else None


def write_limits(store: Store, queue: str, limits: Limits) -> None:
    """Set the limits of a queue, from the next claim on."""
    store.put(limits_key(queue), json.dumps(limits._asdict()).encode())


def take_slots(store: Store, manifest: Manifest, limits: Limits, seat: Seat) -> list[str] | None:
    """Take the slots that a run needs. Returns their keys; None if there is none free, and then none was taken.

    Args:
        seat: a seat that this process holds as long as it carries the run.
    """
    owner = blake2b(manifest.user.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    taken: list[str] = []
    for name, count in (("all", limits.runs), (owner, limits.of_an_owner)):
        if count is None:
            continue
        places = (_take(store, manifest, f"{name}-{number}", seat) for number in range(count))
        found = next((key for key in places if key is not None), None)
        if found is None:
            give_back(store, taken)
            return None
        taken.append(found)
    return taken


def give_back(store: Store, keys: Iterable[str]) -> None:
    """Give slots back."""
    for key in keys:
        store.put(key, b"{}")


def _take(store: Store, manifest: Manifest, name: str, seat: Seat) -> str | None:
    """Take a slot if it is free, and give its key."""
    there = sorted(store.list(slot_key(manifest.queue, name)))
    number = int(there[-1].rpartition("/")[2]) if there else -1
    if there and _is_held(store, there[-1]):
        return None
    mine = {"run": manifest.run_id, "executor": seat.executor, "place": seat.place, "time": time.time()}
    key = slot_key(manifest.queue, name, number + 1)
    if not store.put_new(key, json.dumps(mine).encode(), durable=False):
        return None
    for older in there[:-1]:  # the last one stays: a slow worker may still be about to create its successor
        store.remove(older)
    return key


def _is_held(store: Store, key: str) -> bool:
    """Whether the holder of a slot may still need it."""
    try:
        said = json.loads(store.get(key))
        run_id, seat, since = str(said["run"]), Seat(str(said["executor"]), int(said["place"])), float(said["time"])
    except (NotInStore, StoreDamage, ValueError, TypeError, KeyError, RecursionError):
        return False  # it was given back, or is damaged
    known = is_taken(store, seat)
    if known is not None:
        return known
    beat = read_beat(store, run_id)
    if beat is not None and beat.executor == seat.executor:
        return beat.is_known_to_live(store, run_id) is not False
    return abs(time.time() - since) < _BEGINNING
