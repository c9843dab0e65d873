"""The way of calls from the scheduler to the engine: as many as there is room for, in batches, or to the cache."""

from __future__ import annotations

from typing import Protocol

from promissory.executor.clock import Clock
from promissory.executor.engines.engine import OVERLAPPING, Setup
from promissory.executor.execution.materialize import BatchSize, batch_of
from promissory.executor.execution.options import Options
from promissory.executor.journal.writer import Journal
from promissory.executor.scheduler.calls import Call
from promissory.executor.scheduler.scheduler import Scheduler


class Cache(Protocol):
    """Takes calls whose outcome may be in the cache."""

    def go_on(self) -> None:
        """Act on what was found since."""

    def begin(self, calls: list[Call]) -> None:
        """Look for the outcomes of calls."""


class GivingOut:
    """Gives the scheduler's calls out.

    Args:
        scheduler: the run's state.
        options: how the run is carried.
        setup: what the engine was told.
        journal: is asked whether the run is still this executor's own.
        clock: the run's.

    Attributes:
        outstanding: how many calls the engine has.
        size: how many calls a batch has.
    """

    def __init__(self, scheduler: Scheduler, options: Options, setup: Setup, journal: Journal, clock: Clock) -> None:
        self.outstanding = 0
        self.size = BatchSize()
        self._scheduler = scheduler
        self._engine = options.engine
        self._journal = journal
        self._clock = clock
        self._run_id = setup.run_id
        self._parallel = setup.parallel
        # Async calls count among the others only if the author has said how many may run.
        self._overlapping = OVERLAPPING * setup.parallel if options.max_parallelism is None else None
        store = setup.store
        self._carry_from = store if options.engine.remote and not store.outlives_the_process else None

    def go_on(self, cache: Cache) -> None:
        """Give out what there is room for."""
        scheduler = self._scheduler
        if scheduler.sleeping:
            scheduler.wake(self._clock.monotonic())
        cache.go_on()
        if scheduler.weighted:  # calls take different numbers of places: keep no more in flight than there are places
            room = self._parallel - scheduler.places_in_use
        else:
            ahead = self._parallel * max(self.size.calls, self._engine.ahead)
            room = ahead - len(scheduler.in_flight) + len(scheduler.overlaps)
        if self._overlapping is None:
            room -= len(scheduler.overlaps)
        while room > 0 and self._give(scheduler.take(room, *self._now_if_asked()), cache):
            room = self._parallel - scheduler.places_in_use  # outcomes found in the cache made other calls ready
        while scheduler.overlapping:
            if self._overlapping is None:
                room = self._parallel - len(scheduler.in_flight)
            else:
                room = self._overlapping - len(scheduler.overlaps)
            if room <= 0 or not self._give(scheduler.take_overlapping(room, *self._now_if_asked()), cache):
                return

    def _now_if_asked(self) -> tuple[float, float]:
        """The moments of clock and calendar if a gate, cycle or awaiting body may be about to begin, else zeros."""
        scheduler = self._scheduler
        if not (scheduler.gates_ready or scheduler.failing or scheduler.timed):
            return 0.0, 0.0
        return self._clock.monotonic(), self._clock.time()

    def _give(self, calls: list[Call], cache: Cache) -> bool:
        """Have calls run, or look for their outcomes in the cache. Returns whether any may be there."""
        cached = [call for call in calls if call.cached]
        self.submit([call for call in calls if not call.cached] if cached else calls)
        if cached:
            cache.begin(cached)
        return bool(cached)

    def submit(self, calls: list[Call]) -> None:
        """Have calls run."""
        if not calls:
            return
        scheduler, first = self._scheduler, calls[0]
        if scheduler.topologies.commit_each and scheduler.commit_each(calls):
            self._journal.look_for_successor()
        sure = self._journal.make_sure()
        is_alone = scheduler.tries or first.frame.topology.overlaps(first.node)
        largest = 1 if is_alone else self._engine.largest_batch
        self.outstanding += len(calls)
        for start in range(0, len(calls), largest):
            batch = batch_of(
                calls[start : start + largest],
                self._carry_from,
                self._run_id,
                scheduler.channel,
                sure,
                self._engine.remote,
            )
            self._engine.submit(batch)
