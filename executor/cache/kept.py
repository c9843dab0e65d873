"""The cached outcomes that one run can use: those of its own store, or, for a plain call, those of the store that `run`
would use (rule A2)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from promissory.executor.cache.entries import Entry, read_entry, values_in, write_entry
from promissory.executor.errors import StoreError
from promissory.executor.scheduler.calls import Call, Settled
from promissory.executor.store.lookup import default_store, is_own
from promissory.executor.store.mark import require_store
from promissory.executor.store.store import Store
from promissory.typesys.types import AnyType, OpaqueType, walk


class Kept:
    """The cached outcomes of a run's own store.

    Args:
        store: the store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def read(self, key: bytes, call: Call) -> Entry | None:
        """The outcome of a key, for a call; None if no usable one is there."""
        return read_entry(self.store, key)

    def write(self, settled: Settled, run_id: str) -> None:
        """Write an outcome that is committed."""
        write_entry(self.store, settled, run_id, time.time_ns() // 1000)


class KeptElsewhere(Kept):
    """The cached outcomes of another store than the run's own, which lies in memory.

    Args:
        store: the store of the outcomes.
        own: the run's own store.
        tell: is told of the path and outcome of a call that need not run.
    """

    def __init__(self, store: Store, own: Store, tell: Callable[[str, Entry], None]) -> None:
        super().__init__(store)
        self._own = own
        self._tell = tell
        self._is_trusted = is_own(_folder(store))

    def read(self, key: bytes, call: Call) -> Entry | None:
        """The outcome of a key, whose values are brought to the run's own store. One that may hold a pickle is used
        only if nobody but this user could write it (rule T2)."""
        entry = super().read(key, call)
        if entry is None or not (self._is_trusted or _holds_no_pickle(entry, call)):
            return None
        try:
            for value in values_in(entry):
                self.store.copy_value(value, self._own)
        except StoreError:  # what can't be had need not be
            return None
        self._tell(call.frame.path_of(call.node, call.iteration), entry)
        return entry

    def write(self, settled: Settled, run_id: str) -> None:
        """Write an outcome, and the values that it names."""
        entry = Entry(settled.fields, settled.value, settled.futures, run_id, settled.path, 0)
        for value in values_in(entry):
            self._own.copy_value(value, self.store)
        super().write(settled, run_id)


def kept_for_plain_calls(own: Store, tell: Callable[[str, Entry], None]) -> Kept:
    """The cached outcomes that a plain call can use. It makes no store, and does not wait for a network; with
    `PROMISSORY_CACHE=0` it uses none."""
    if os.environ.get("PROMISSORY_CACHE") == "0":
        return Kept(own)
    try:
        store = Store(default_store())
        if not store.is_near or not store.outlives_the_process:
            return Kept(own)
        require_store(store)
        return KeptElsewhere(store, own, tell)
    except (StoreError, OSError):  # a plain call needs no store
        return Kept(own)


def _folder(store: Store) -> Path:
    return Path(unquote(urlsplit(store.url).path))


def _holds_no_pickle(entry: Entry, call: Call) -> bool:
    result = call.frame.topology.callee(call.node).interface.result
    return entry.futures is None and not any(isinstance(one, OpaqueType | AnyType) for one in walk(result))
