"""The journal's writing end: segments under contiguous numbers, written with put-if-absent, many events at a time.

Commits run beside the scheduler. A thread writes the gathered events when the oldest of them is as old as max(20 ms,
the duration of the last commit), when they take 1 MiB, or when a caller waits for them. Before a segment is written,
the objects that it names are made durable (payload before pointer).

The numbers alone settle which executor may write, without clocks, as in Delta and SlateDB: an executor that takes a run
over writes the next segment with a higher epoch. An executor that finds its next number taken reads the segment that
stands there. If that has its own nonce, a retried write had succeeded before; if it has a higher epoch, the executor is
fenced and stops.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

from promissory.executor.clock import PAUSE, since_boot
from promissory.executor.crash_points import reached
from promissory.executor.errors import Fenced, StoreError
from promissory.executor.journal.reader import Tail, keys_named
from promissory.executor.journal.segment import (
    GENESIS,
    NO_SNAPSHOT,
    Segment,
    is_torn,
    segment_digest,
    segment_from_bytes,
    segment_to_bytes,
)
from promissory.executor.protocol.events import (
    NODE_DONE,
    RESUMED,
    SNAPSHOT,
    Event,
    futures_of,
    may_name_objects,
    values_of,
)
from promissory.executor.protocol.seats import Seat, in_words
from promissory.executor.store.keys import segment_key
from promissory.executor.store.store import Store
from promissory.planner.plan.model import Value

COMMIT_INTERVAL = 0.020
_COMMIT_BYTES: Final = 1 << 20
_BACKLOG_BYTES: Final = 2 << 20
SNAPSHOT_EVENTS = 10_000

Listener = Callable[[tuple[Event, ...]], None]


def _nobody() -> None:
    return


class LostRace(Exception):
    """An executor with a lower epoch wrote the segment whose number was to be written."""


class Journal:
    """The writing end of one run's journal.

    Args:
        store: the run's store.
        run_id: the run.
        epoch: the epoch of this executor.
        tail: the segment after which to write; None for a new run.
        durable: sync each segment before it is acknowledged, so that it survives the machine's death and not only the
            process's.
        listener: is told the events of each commit, in order, from the committing thread.
        nonce: 16 bytes by which segments name this executor, and no other one; random bytes if none are given.

    Attributes:
        when_stopped: called, from the committing thread, when that thread can't go on; the next caller of the journal
            gets its error.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        epoch: int,
        tail: Tail | None,
        durable: bool,
        listener: Listener,
        nonce: bytes | None = None,
    ) -> None:
        self.epoch = epoch
        self._store = store
        self._run_id = run_id
        self._durable = durable
        self._listener = listener
        self._nonce = nonce or secrets.token_bytes(16)
        self._next = 0 if tail is None else tail.number + 1
        self._previous = GENESIS if tail is None else tail.digest
        self._snapshot = NO_SNAPSHOT if tail is None else tail.snapshot
        self._condition = threading.Condition()
        self._waiting: list[Event] = []
        self._bytes = 0
        self._oldest = 0.0
        self._appended = 0
        self._committed = 0
        self._hurry = False
        self._closed = False
        self._error: BaseException | None = None
        self._last_commit = 0.0
        self._events_since_snapshot = 0
        self._bytes_since_snapshot = 0
        self._last_snapshot_bytes = 0
        self._thread: threading.Thread | None = None
        self._sure = since_boot()
        self.when_stopped: Callable[[], None] = _nobody

    def claim(self, events: tuple[Event, ...]) -> None:
        """Write the first segment of this executor, which takes the run over.

        Raises:
            LostRace: an executor of a lower epoch wrote just before; its segment counts, and has to be read first.
            Fenced: an executor of the same or a higher epoch wrote first.
        """
        self._write(events)

    @property
    def newest(self) -> int:
        """The number of the segment that was written last; -1 before the first."""
        return self._next - 1

    # --- the scheduler's side ---

    def append(self, events: list[Event]) -> None:
        """Take events; they are committed soon. Raises the error that stopped the committing thread."""
        size = 0
        for event in events:
            if event[0] == NODE_DONE:
                value = event[3]
                size += len(value) + 16 if value.__class__ is bytes else 64
            else:
                size += _size_of(event)
        with self._condition:
            while self._bytes > _BACKLOG_BYTES and self._error is None:
                self._condition.wait()
            self._raise_error()
            first = not self._waiting
            if first:
                self._oldest = time.monotonic()
            self._waiting += events
            self._appended += len(events)
            self._bytes += size
            self._events_since_snapshot += len(events)
            self._bytes_since_snapshot += size
            if first or self._bytes >= _COMMIT_BYTES:
                self._condition.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._commit_for_ever, name=f"promissory journal {self._run_id}", daemon=True
            )
            self._thread.start()

    def wants_snapshot(self) -> bool:
        """Whether enough has happened since the last snapshot: 10,000 events, and as many bytes as that snapshot had,
        so that snapshots cost a constant share."""
        return (
            self._events_since_snapshot >= SNAPSHOT_EVENTS and self._bytes_since_snapshot >= self._last_snapshot_bytes
        )

    def has_snapshot(self, state: Value | None, events: int, size: int) -> None:
        """Note the journal's newest snapshot, and the events, of so many bytes, that other executors wrote after it."""
        self._events_since_snapshot, self._bytes_since_snapshot = events, size
        if state is not None:
            self._last_snapshot_bytes = _size(state)

    def append_snapshot(self, state: Value) -> None:
        """Take the scheduler's state after all events so far."""
        self.append([(SNAPSHOT, state)])
        self._events_since_snapshot = self._bytes_since_snapshot = 0
        self._last_snapshot_bytes = _size(state)

    def flush(self) -> None:
        """Wait until every event taken so far is committed. Raises `Fenced`, `StoreError`."""
        with self._condition:
            target = self._appended
            while self._committed < target:
                self._raise_error()
                self._hurry = True
                self._condition.notify_all()
                self._condition.wait()
            self._raise_error()

    def close(self) -> None:
        """End the committing thread. Events that were not flushed are dropped."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise the error that stopped the committing thread, if one did."""
        self._raise_error()

    def look_for_successor(self) -> None:
        """Raise `Fenced` if another executor has taken the run over. Without writing, this one would not find out."""
        key = segment_key(self._run_id, self._next)
        if self._store.exists(key):
            found = self._store.get(key)
            if not is_torn(found):
                self._check_fence(segment_from_bytes(found, key))

    def make_sure(self) -> float:
        """Look for a successor, if this executor has not been sure for a while that there is none: its process may have
        been stopped, or its machine suspended. What it writes makes it sure. Returns this moment, in
        seconds since boot. Raises `Fenced`, `StoreError`."""
        now = since_boot()
        if now - self._sure > PAUSE:
            self.look_for_successor()
            self._sure = now
        return now

    def _check_fence(self, winner: Segment) -> None:
        """Raise `Fenced` if another executor, of no lower epoch, wrote the segment that this one was to write."""
        if winner.epoch >= self.epoch and winner.nonce != self._nonce:
            who = _writer(winner)
            raise Fenced(
                f"run {self._run_id} was taken over by another executor, {who} "
                f"(epoch {winner.epoch}, this one has {self.epoch}); nothing that this one does counts any more",
                self._next,
                who,
            )

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    # --- the committing thread ---

    def _commit_for_ever(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._closed:
                    self._condition.wait()
                due = self._oldest + max(COMMIT_INTERVAL, self._last_commit)
                while not (self._closed or self._hurry or self._bytes >= _COMMIT_BYTES):
                    remaining = due - time.monotonic()
                    if remaining <= 0:
                        break
                    self._condition.wait(remaining)
                if self._closed:
                    return
                events, self._waiting = self._waiting, []
                self._bytes = 0
                self._hurry = False
                self._condition.notify_all()
            begun = time.monotonic()
            try:
                self._commit(events)
            except BaseException as error:  # the caller that waits for the commit raises it
                with self._condition:
                    self._error = error
                    self._condition.notify_all()
                self.when_stopped()
                return
            with self._condition:
                self._last_commit = time.monotonic() - begun
                self._committed += len(events)
                self._condition.notify_all()

    def _commit(self, events: list[Event]) -> None:
        """Write events. A snapshot gets a segment of its own."""
        batch: list[Event] = []
        for event in events:
            if event[0] == SNAPSHOT:
                if batch:
                    self._write(tuple(batch))
                    batch = []
                self._snapshot = self._next
                self._write((event,))
            else:
                batch.append(event)
        if batch:
            self._write(tuple(batch))

    def _write(self, events: tuple[Event, ...]) -> None:
        if self._durable:
            named = filter(may_name_objects, events)
            keys = dict.fromkeys(key for event in named for key in keys_named(self._store, self._run_id, event))
            self._store.sync(list(keys))
            reached("journal.objects-synced")
        if self._next and self._store.is_near and not self._store.exists(segment_key(self._run_id, self._next - 1)):
            self.look_for_successor()  # it may have trimmed the journal
            raise StoreError(
                f"the journal of run {self._run_id} is gone from the store {self._store.url}: "
                "what was acknowledged was removed by somebody"
            )
        now = time.time_ns() // 1000
        segment = Segment(self._next, self.epoch, self._nonce, self._previous, self._snapshot, now, events)
        data = segment_to_bytes(segment)
        key = segment_key(self._run_id, self._next)
        begun = since_boot()
        if not self._store.put_new(key, data, durable=self._durable):
            found = self._store.get(key)
            if is_torn(found):
                raise LostRace(key)
            winner = segment_from_bytes(found, key)
            if winner.epoch < self.epoch:
                raise LostRace(key)
            self._check_fence(winner)
        reached("journal.segment-written")
        self._sure = begun
        self._previous = segment_digest(data)
        self._next += 1
        self._listener(events)
        reached("journal.committed")


def _writer(segment: Segment) -> str:
    """The executor that began to work on a run with this segment, in words."""
    name = Seat.of(segment.nonce).executor
    for event in segment.events:
        if event[0] == RESUMED:
            _, _, host, pid, _, moment = event
            return in_words(host, pid, name, moment / 1e6)
    return f"executor {name}"


def _size(state: Value) -> int:
    return len(state) if isinstance(state, bytes) else state.size


def _size_of(event: Event) -> int:
    """About how many bytes an event takes."""
    futures = futures_of(event)
    values = sum(len(value) if value.__class__ is bytes else 48 for value in values_of(event))
    return 64 + values + (0 if futures is None else len(futures))
