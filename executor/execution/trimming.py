"""The trimming of a run's journal behind a snapshot, where the run was told to keep only so many rounds of its cycles
(`keep_cycles`, rule C5).

A journal is trimmed to the newest snapshot before which there are only rounds that need not be kept. What came before
is then known by its effects alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from promissory.executor.history.recovery import Stand
from promissory.executor.journal.base import trim, write_base
from promissory.executor.journal.snapshots import drop_snapshot, get_snapshot
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.snapshot import values_of
from promissory.executor.store.keys import segment_key, snapshot_key
from promissory.executor.store.store import Store
from promissory.planner.plan.model import Large, Value


class Trimming:
    """Trims one run's journal.

    Args:
        store, run_id: the run.
        keep: how many rounds of each cycle are kept.
        own: the number of this executor's first segment.
        write: has an action done beside the run.
        before: the snapshot with which this executor began; None if it began with none.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        keep: int,
        own: int,
        write: Callable[[Callable[[], object]], None],
        before: Stand | None,
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._keep = keep
        self._own = own
        self._write = write
        self._given: deque[dict[Key, int]] = deque()
        self._there = [before] if before is not None else []
        self._begins = 0
        self._one_at_a_time = threading.Lock()
        self._newest = 0

    def give(self, scheduler: Scheduler) -> None:
        """A snapshot of the run as it stands is about to be given to the journal."""
        self._given.append({key: cycle.next for key, cycle in scheduler.cycles.items()})

    def take(self, segment: int, state: Value) -> None:
        """The oldest snapshot that was given is committed, in a segment of this number. From the journal's thread."""
        rounds = self._given.popleft()
        self._there.append(Stand(segment, state, rounds))
        base = max((number for number, one in enumerate(self._there) if self._is_past(one.rounds, rounds)), default=0)
        dropped, self._there = self._there[:base], self._there[base:]
        begins = self._there[0]
        if begins.segment > self._begins and self._is_past(begins.rounds, rounds):
            self._begins = begins.segment
            self._write(lambda: self._trim(begins, dropped))

    def _is_past(self, then: dict[Key, int], now: dict[Key, int]) -> bool:
        """Whether the rounds to be kept began after a snapshot."""
        return bool(now) and all(next_one <= now[key] - self._keep for key, next_one in then.items() if key in now)

    def _trim(self, begins: Stand, dropped: list[Stand]) -> None:
        """Have the journal begin with a snapshot. A store that fails meanwhile only leaves more than is needed."""
        with self._one_at_a_time:
            if begins.segment < self._newest:
                return
            store, run_id = self._store, self._run_id
            store.sync(self._named(begins))
            write_base(store, run_id, begins.segment)
            self._newest = begins.segment
            trim(store, run_id, begins.segment, self._own)
            for one in dropped:
                drop_snapshot(store, run_id, one.state)

    def _named(self, begins: Stand) -> list[str]:
        """The keys with which the journal is to begin: the segment, its snapshot, and the objects that this names."""
        keys = [segment_key(self._run_id, begins.segment)]
        if isinstance(begins.state, Large):
            keys.append(snapshot_key(self._run_id, begins.state.digest))
        values = values_of(get_snapshot(self._store, self._run_id, begins.state))
        return [*keys, *dict.fromkeys(key for value in values for key in self._store.keys_of(value))]
