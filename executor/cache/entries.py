"""Memoised outcomes in the store: one entry a key, and leases for calls that are to run once at a time (rule R3).

An entry is written once its outcome is committed, never before, so an outcome that another run takes can't be lost any
more. An entry that is damaged, or whose value is gone, counts as missing and is written anew.

A lease says which run is at work on a call. It is the next number under the key, taken with put-if-absent: of two runs
that find the last lease free, one gets the next. A lease is free again when it was given back, or when its run's
executor is gone; so a holder that dies frees it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from promissory.executor.crash_points import reached
from promissory.executor.errors import NotInStore, StoreDamage
from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.events import tree_of
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.scheduler.cache_key import Fields, futures_key_of, result_key
from promissory.executor.scheduler.calls import Settled
from promissory.executor.store.forms import is_ours
from promissory.executor.store.keys import CACHE, cache_entry_key, is_run_id, lease_key
from promissory.executor.store.store import Store
from promissory.planner.plan.format import futures_from_bytes
from promissory.planner.plan.model import Value, is_in_parts
from promissory.typesys.canonical import has_parts, pack_map, unpack_canonical
from promissory.typesys.envelope import seal, unseal
from promissory.typesys.errors import FormatError

MAGIC: Final = b"PRMC"
VERSION: Final = 2
"""Since version 2 values may have parts."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A memoised outcome.

    Attributes:
        fields: the fields of the call, by which `explain` tells calls apart.
        value: the call's result; None if the entry holds a futures file.
        futures: the futures file that the call emitted; None if the entry holds a value.
        run_id, path: the call that made it.
        created: µs since the epoch.
    """

    fields: Fields
    value: Value | None
    futures: bytes | None
    run_id: str
    path: str
    created: int

    @property
    def task(self) -> str:
        """The callable's name."""
        return self.fields[0][1].decode()

    @property
    def key(self) -> bytes:
        """The key under which the entry lies."""
        return result_key(self.fields) if self.futures is None else futures_key_of(self.fields)


def entry_to_bytes(entry: Entry) -> bytes:
    """The sealed bytes of an entry."""
    tree = {
        "created": entry.created,
        "fields": [list(field) for field in entry.fields],
        "futures": entry.futures,
        "path": entry.path,
        "run": entry.run_id,
        "value": None if entry.value is None else tree_of(entry.value),
    }
    in_parts = entry.value is not None and is_in_parts(entry.value)
    return seal(MAGIC, VERSION if in_parts else 1, 1, pack_map(tree))


def entry_from_bytes(data: bytes, key: str) -> Entry:
    """Decode the bytes of an entry. Raises `FormatError`."""
    _, _, payload = unseal(data, MAGIC, range(1, VERSION + 1), key)
    tree = unpack_canonical(payload, key)
    try:
        told = tuple(
            (fields.text(name), fields.data(one)) for name, one in map(fields.items, fields.items(tree["fields"]))
        )
        value = None if tree["value"] is None else fields.value(tree["value"])
        futures = None if tree["futures"] is None else fields.data(tree["futures"])
        entry = Entry(
            told, value, futures, fields.text(tree["run"]), fields.text(tree["path"]), fields.whole(tree["created"])
        )
        if (value is None) is (futures is None) or [name for name, _ in told[:3]] != ["task", "version", "interface"]:
            raise ValueError("it holds no outcome")
        told[0][1].decode(), told[1][1].decode()
        if futures is not None:
            futures_from_bytes(futures)
    except FormatError as error:
        raise FormatError(key, f"holds a futures file that {error.problem}", error.offset) from None
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise FormatError(key, f"is malformed ({error})", 0) from None
    return entry


def read_entry(store: Store, key: bytes) -> Entry | None:
    """The entry of a key; None if no usable one is there."""
    name = cache_entry_key(key)
    try:
        entry = entry_from_bytes(store.get(name), name)
    except (NotInStore, StoreDamage, FormatError):
        return None
    if entry.key != key or not all(map(store.has_whole, values_in(entry))):
        return None
    return entry


def values_in(entry: Entry) -> list[Value]:
    """The values that an entry names, apart from those that it holds whole."""
    if entry.futures is None:
        found = [] if entry.value is None else [entry.value]
    else:
        found = list(futures_from_bytes(entry.futures)[0].literals)
    return [value for value in found if not isinstance(value, bytes) or has_parts(value)]


def write_entry(store: Store, settled: Settled, run_id: str, created: int) -> None:
    """Write the entry of an outcome that is committed."""
    reached("cache.before-write")
    entry = Entry(settled.fields, settled.value, settled.futures, run_id, settled.path, created)
    name, data = cache_entry_key(entry.key), entry_to_bytes(entry)
    if not store.put_new(name, data, durable=False) and read_entry(store, entry.key) is None:
        # Nothing of ours removes a folder that lies under the key; the outcome is committed, and counts without it.
        with suppress(StoreDamage):
            store.put(name, data)
    reached("cache.written")


def entries(store: Store) -> Iterator[tuple[str, Entry | None]]:
    """Every entry of a store with its key; None for an entry that can't be read."""
    for folder in store.list(CACHE):
        for key in filter(is_ours, store.list(folder)):
            try:
                yield key, entry_from_bytes(store.get(key), key)
            except (FormatError, StoreDamage):
                yield key, None
            except NotInStore:
                continue


# --- leases ---


def take_lease(store: Store, key: bytes, run_id: str, epoch: int) -> bool:
    """Take the lease on a call that is to run once at a time. Returns False if another run is at work on the call."""
    number, holder = _last_lease(store, key)
    if holder is not None and _holds(store, holder):
        return bool(holder["run"] == run_id and holder["epoch"] == epoch)
    mine = {"run": run_id, "epoch": epoch, "nonce": secrets.token_hex(8)}
    taken = store.put_new(lease_key(key, number + 1), json.dumps(mine).encode(), durable=False)
    if taken and number > 0:
        # Keep the previous lease: a slow writer may still be about to create its successor.
        store.remove(lease_key(key, number - 1))
    return taken


def at_work(store: Store, key: bytes) -> str | None:
    """The run at work on a call that is to run once at a time; None if no run is."""
    _, holder = _last_lease(store, key)
    return str(holder["run"]) if holder is not None and _holds(store, holder) else None


def give_back(store: Store, key: bytes, run_id: str, epoch: int) -> None:
    """Give this run's lease on a call back: the call has ended, or it failed."""
    number, holder = _last_lease(store, key)
    if holder is not None and holder["run"] == run_id and holder["epoch"] == epoch:
        store.put(lease_key(key, number), b"{}")


def _last_lease(store: Store, key: bytes) -> tuple[int, dict[str, Any] | None]:
    """The number of the newest lease, -1 if there was none, and its holder, None if it was given back."""
    keys = [one for one in store.list(lease_key(key, 0).rpartition("/")[0]) if one.rpartition("/")[2].isdecimal()]
    if not keys:
        return -1, None
    try:
        said = json.loads(store.get(keys[-1]).decode())
        whole = (
            isinstance(said, dict)
            and isinstance(said.get("epoch"), int)
            and isinstance(said.get("run"), str)
            and is_run_id(said["run"])
        )
    except (NotInStore, StoreDamage, ValueError, RecursionError):
        said, whole = None, False
    return int(keys[-1].rpartition("/")[2]), said if whole else None


def _holds(store: Store, holder: dict[str, Any]) -> bool:
    """Whether a holder may live. Those who wait for it look again and again, so they watch it as long as it takes."""
    beat = read_beat(store, holder["run"])
    if beat is None or beat.epoch != holder["epoch"]:
        return False
    return beat.is_known_to_live(store, holder["run"]) is not False
