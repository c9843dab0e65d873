"""The trimming of a run's journal behind a snapshot, where the run was told to keep only so many rounds of its cycles
(`keep_cycles`, rule C5).

A journal is trimmed to the newest snapshot before which there are only rounds that need not be kept. What came before
is then known by its effects alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from promissory.executor.journal.base import trim
from promissory.executor.journal.snapshots import drop_snapshot
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.store import Store
from promissory.planner.plan.model import Value

Rounds = dict[Key, int]
"""The next round of each cycle."""


class _Snapshot(NamedTuple):
    segment: int
    state: Value
    rounds: Rounds


class Trimming:
    """Trims one run's journal.

    Args:
        store, run_id: the run.
        keep: how many rounds of each cycle are kept.
        first: the number of the journal's first segment.
        write: has an action done beside the run.
    """

    def __init__(
        self, store: Store, run_id: str, keep: int, first: int, write: Callable[[Callable[[], object]], None]
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._keep = keep
        self._first = first
        self._write = write
        self._given: deque[Rounds] = deque()
        self._there: list[_Snapshot] = []

    def give(self, scheduler: Scheduler) -> None:
        """A snapshot of the run as it stands is about to be given to the journal."""
        self._given.append({key: cycle.next for key, cycle in scheduler.cycles.items()})

    def take(self, segment: int, state: Value) -> None:
        """The oldest snapshot that was given is committed, in a segment of this number. From the journal's thread."""
        rounds = self._given.popleft()
        self._there.append(_Snapshot(segment, state, rounds))
        base = max((number for number, one in enumerate(self._there) if self._is_past(one.rounds, rounds)), default=0)
        if not base:
            return
        dropped, self._there = self._there[:base], self._there[base:]
        begins, self._first, first = self._there[0].segment, self._there[0].segment, self._first

        def drop() -> None:
            for one in dropped:
                drop_snapshot(self._store, self._run_id, one.state)

        self._write(lambda: trim(self._store, self._run_id, begins, first, drop))

    def _is_past(self, then: Rounds, now: Rounds) -> bool:
        """Whether the rounds to be kept began after a snapshot."""
        return bool(now) and all(next_one <= now[key] - self._keep for key, next_one in then.items() if key in now)
