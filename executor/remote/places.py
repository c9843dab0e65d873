"""The places that the limits of queues leave to the runs of one worker (`promissory.executor.records.slots`)."""

from __future__ import annotations

import time

from promissory.executor.protocol.seats import Seat
from promissory.executor.records.executors import enrol, leave
from promissory.executor.records.manifest import Manifest
from promissory.executor.records.slots import Limits, give_back, read_limits, take_slots
from promissory.executor.store.store import Store

_SOON, _FAR_SOON = 1.0, 10.0
"""Seconds after which a place is asked for again, on a near and on a far store, if there was none."""


class Places:
    """The places that a worker has taken for its runs. With its death they are free, since it holds a seat for them.

    Args:
        store: the store with the queues.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seat: Seat | None = None
        self._full: dict[tuple[str, str], float] = {}

    def is_full(self, manifest: Manifest) -> bool:
        """Whether there was no place for runs of this owner in this queue a moment ago."""
        return self._full.get((manifest.queue, manifest.user), 0.0) > time.monotonic()

    def take(self, manifest: Manifest) -> list[str] | None:
        """The places for a run; None if its queue, or its owner there, has none left."""
        limits = read_limits(self._store, manifest.queue)
        if limits == Limits():
            return []
        if self._seat is None:
            self._seat = enrol(self._store)
        taken = take_slots(self._store, manifest, limits, self._seat)
        if taken is None:
            soon = _SOON if self._store.is_near else _FAR_SOON
            self._full[manifest.queue, manifest.user] = time.monotonic() + soon
        return taken

    def give_back(self, taken: list[str]) -> None:
        """Give the places of a run back."""
        give_back(self._store, taken)
        self._full.clear()

    def close(self) -> None:
        """Leave the seat: what is taken is free."""
        if self._seat is not None:
            leave(self._seat)
            self._seat = None
