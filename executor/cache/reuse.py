"""The reuse of outcomes of this run and of others: calls are looked up before they run, and outcomes are kept for
others when they are committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from promissory.executor.cache.lookups import FOLLOW, HIT, LATER, LOOK_AGAIN, Found, Lookups
from promissory.executor.clock import Clock
from promissory.executor.records.manifest import Manifest
from promissory.executor.scheduler.calls import Call, Key, Settled
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.planner.plan.format import FuturesHeader, futures_from_bytes, futures_to_bytes

_FROM_CACHE: Final = "cache"


class Reuse:
    """The cache, between the scheduler and the calls of one run.

    Args:
        manifest: the run's manifest.
        scheduler: the run's scheduler.
        clock: the run's clock.
        open_lookups: makes the `Lookups`, at the first call that may be cached.
        submit: has the calls run whose outcomes are not there.
    """

    def __init__(
        self,
        manifest: Manifest,
        scheduler: Scheduler,
        clock: Clock,
        open_lookups: Callable[[], Lookups],
        submit: Callable[[list[Call]], None],
    ) -> None:
        self._created = manifest.created
        self._scheduler = scheduler
        self._clock = clock
        self._open_lookups = open_lookups
        self._submit = submit
        self._lookups: Lookups | None = None
        self._to_keep: list[Settled] = []

    def _opened(self) -> Lookups:
        if self._lookups is None:
            self._lookups = self._open_lookups()
        return self._lookups

    def begin_with_replayed(self) -> None:
        """Keep the outcomes that a replay found, which a crash may have kept from the cache."""
        if self._scheduler.settled:
            self._opened()
            self.settle()

    def begin(self, calls: Iterable[Call]) -> None:
        """Look calls up."""
        self.settle()
        lookups = self._opened()
        for call in calls:
            lookups.begin(call)
            self._take_found(lookups)  # on a near store the result is there at once

    def go_on(self) -> None:
        """Go on with the lookups that have ended since the last call."""
        if self._lookups is not None:
            self.settle()
            self._take_found(self._lookups)

    def _take_found(self, lookups: Lookups) -> None:
        for found in lookups.found():
            self._take(found)

    def _take(self, found: Found) -> None:
        """Go on with a call that was looked up."""
        scheduler, (frame, index) = self._scheduler, (found.call.frame.id, found.call.node)
        if found.verdict == HIT:
            assert found.entry is not None
            meta = (time.time_ns() // 1000 - self._created, 0, _FROM_CACHE, 0, None)
            if found.entry.value is not None:
                scheduler.done(frame, index, found.entry.value, meta)
                self._bring_back(found.entry.fields)
            else:
                assert found.entry.futures is not None
                scheduler.expanded(frame, index, _rebased(found.entry.futures, found.call), meta)
            self.settle()
        elif found.verdict == FOLLOW:
            scheduler.set_aside(frame, index)
        elif found.verdict == LATER:
            scheduler.postponed(frame, index, self._clock.monotonic(), LOOK_AGAIN)
        elif scheduler.stopping or scheduler.paused:
            scheduler.returned(frame, index)
        else:
            self._submit([found.call])

    def _bring_back(self, fields: Any) -> None:
        """Have calls that waited for an equal call looked up again."""
        assert self._lookups is not None
        for frame, index in self._lookups.followers(fields):
            self._scheduler.returned(frame, index)

    def settle(self) -> None:
        """Take new outcomes of this run: its own calls know them at once, and they are to be kept for other runs."""
        if self._scheduler.settled and self._lookups is not None:
            settled, self._scheduler.settled = self._scheduler.settled, []
            for one in settled:
                if self._lookups.settle(one):
                    self._to_keep.append(one)
                if one.futures is None:
                    self._bring_back(one.fields)

    @property
    def set_aside(self) -> list[Key]:
        """The calls that wait for an equal call of this run."""
        return [] if self._lookups is None else self._lookups.set_aside

    @property
    def has_to_keep(self) -> bool:
        """Whether `to_keep` would return any outcome."""
        return bool(self._to_keep)

    def to_keep(self) -> list[Settled]:
        """The outcomes to be kept for other runs once all events so far are committed. Each is returned once."""
        self.settle()
        kept, self._to_keep = self._to_keep, []
        return kept

    def close(self) -> None:
        """End the lookups."""
        if self._lookups is not None:
            self._lookups.close()


def _rebased(futures: bytes, call: Call) -> bytes:
    """A futures file that another call emitted, with the header of this call."""
    plan, _ = futures_from_bytes(futures)
    parent, place = call.frame.slot_of(call.node, call.iteration)
    return futures_to_bytes(plan, FuturesHeader(parent, place, call.frame.depth + 1))
