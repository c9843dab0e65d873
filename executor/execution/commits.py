"""The consequences of commits: progress that may be seen, nodes that may go on, files and cache entries that are
written for others. The journal's thread tells of commits; the run loop says beforehand which of them it waits for.

Events of the scheduler are counted when they are given to the journal, and when they come back committed. A mark says
where the run stood when a number of events had been given. The mark is reached when as many have come back.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final, NamedTuple

from promissory.executor.crash_points import reached
from promissory.executor.execution.trimming import Trimming
from promissory.executor.execution.words import TOLD, Words
from promissory.executor.history.recovery import Stand
from promissory.executor.journal.snapshots import drop_snapshot
from promissory.executor.protocol.events import (
    AWAITED,
    EXPANDED,
    LOOPED,
    NODE_DONE,
    NODE_FAILED,
    NODE_SKIPPED,
    RESUMED,
    SIGNALLED,
    SNAPSHOT,
    Event,
    futures_of,
)
from promissory.executor.protocol.identity import node_identity
from promissory.executor.scheduler.calls import Key, Settled
from promissory.executor.scheduler.replay import TOLD as OF_THE_SCHEDULER
from promissory.executor.store.keys import futures_key
from promissory.executor.store.store import Store
from promissory.executor.store.write_behind import WriteBehind
from promissory.planner.plan.format import futures_from_bytes
from promissory.planner.plan.model import Value

_OF_THE_SCHEDULER: Final = OF_THE_SCHEDULER - {RESUMED}
_HELD: Final = frozenset((NODE_DONE, EXPANDED, NODE_FAILED, LOOPED, NODE_SKIPPED, SIGNALLED))
"""The kinds of events whose nodes may be held back until they are committed."""


def _none() -> int:
    return -1


class Mark(NamedTuple):
    """Where the run stood at a moment, and what may be done when all events before it are committed.

    Attributes:
        done, nodes: how many nodes were done, and how many were known.
        settled: outcomes that may be kept for other runs then.
        ended_frames: nodes that stand for frames, and are committed then.
    """

    done: int
    nodes: int
    settled: list[Settled]
    ended_frames: list[Key]


class Commits:
    """The commits of one executor.

    Args:
        store, run_id: the run.
        words: is told of what people are told; None if nobody listens.

    Attributes:
        keep: writes an outcome into the cache; set when the cache is opened.
        shown: how many nodes are done, and how many are known, as far as is committed.
        expanded: how many futures files are committed.
        stored: nodes that were held back and are committed now, so that the nodes after them may start.
        snapshot: the newest snapshot that the journal names. It is dropped when the next one is committed.
        trimming: trims the journal; None if all of it is kept.
        newest: gives the number of the segment that was written last.
    """

    def __init__(self, store: Store, run_id: str, words: Words | None = None) -> None:
        self._store = store
        self._run_id = run_id
        self._words = words
        self.keep: Callable[[Settled], None] | None = None
        self.shown = (0, 0)
        self.expanded = 0
        self.stored: deque[Key] = deque()
        self.snapshot: Value | None = None
        self.trimming: Trimming | None = None
        self._replayed_from: Stand | None = None
        self.newest: Callable[[], int] = _none
        self._came = threading.Condition()
        self._takes = 0
        self._marks: deque[tuple[int, Mark]] = deque()
        self._given = self._back = 0
        self._lock = threading.Lock()
        self._behind = WriteBehind(store)

    # --- the run loop's side ---

    def gives(self, events: Iterable[Event], mark: Mark | None = None) -> None:
        """Count events that are about to be given to the journal; `mark` says where the run stands after them."""
        count = 0
        for event in events:
            kind = event[0]
            if kind == NODE_DONE:  # the commonest case, taken first
                count += 1
            elif kind in _OF_THE_SCHEDULER:
                count += 1
                if kind in TOLD and self._words is not None:
                    self._words.take(event)
        with self._lock:
            self._given += count
            if mark is not None:
                self._marks.append((self._given, mark))

    def stands(self, mark: Mark) -> None:
        """Mark where the run stands after the events that were given already."""
        with self._lock:
            self._marks.append((self._given, mark))
        self._reach_marks()

    def wait(self, seen: int, seconds: float) -> int:
        """Wait, for so many seconds at most, until there were more commits than were seen. Returns how many there were.
        From any thread."""
        with self._came:
            self._came.wait_for(lambda: self._takes != seen, seconds)
            return self._takes

    def close(self) -> None:
        """Wait for the writes that are under way."""
        self._behind.close()

    # --- the journal's side ---

    def take(self, events: tuple[Event, ...], holding: Collection[Key]) -> None:
        """Act on committed events. `holding` are the nodes that are held back until theirs are."""
        for event in events:
            kind = event[0]
            if kind == NODE_DONE and not holding:  # the commonest case, taken first
                self._back += 1
                continue
            if kind == SNAPSHOT and self.trimming is not None:
                self.trimming.take(self.newest(), event[1])
            elif kind == SNAPSHOT:
                before, self.snapshot = self.snapshot, event[1]
                if before is not None:
                    drop_snapshot(self._store, self._run_id, before)
            if kind not in _OF_THE_SCHEDULER:
                continue
            self._back += 1
            futures = futures_of(event) if kind in (EXPANDED, SIGNALLED, AWAITED) else None
            if futures is not None:
                self.expanded += 1
                self._write(partial(write_futures, self._store, self._run_id, futures))
            if holding and kind in _HELD and (event[1], event[2]) in holding:
                self.stored.append((event[1], event[2]))
        self._reach_marks()
        with self._came:
            self._takes += 1
            self._came.notify_all()

    def _reach_marks(self) -> None:
        while True:
            with self._lock:
                if not self._marks or self._marks[0][0] > self._back:
                    return
                _, mark = self._marks.popleft()
            self._reach(mark)

    def _reach(self, mark: Mark) -> None:
        self.shown = (mark.done, mark.nodes)
        self.stored += mark.ended_frames
        for settled in mark.settled:
            assert self.keep is not None
            self._write(partial(self.keep, settled))

    def replaces(self, snapshot: Value | None, replayed_from: Stand | None) -> None:
        """Note the run's newest snapshot, which is dropped when the next one is committed, and what was read."""
        self.snapshot = snapshot
        self._replayed_from = replayed_from

    def trims(self, keep: int, own: int, newest: Callable[[], int]) -> None:
        """Trim the journal behind snapshots, from now on.

        Args:
            keep: how many rounds of each cycle are kept.
            own: the number of this executor's first segment.
            newest: gives the number of the segment that was written last.
        """
        self.newest = newest
        self.trimming = Trimming(self._store, self._run_id, keep, own, self._write, self._replayed_from)

    def _write(self, action: Callable[[], object]) -> None:
        self._behind.write(action)


def write_futures(store: Store, run_id: str, data: bytes) -> None:
    """Put a futures file where people and tools look for it. The journal already holds its bytes."""
    reached("futures.before-write")
    _, header = futures_from_bytes(data)
    key = futures_key(run_id, node_identity(header.parent, header.index))
    store.put_same(key, data, durable=False)
