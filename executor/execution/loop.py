"""The run loop: the only place where scheduler, engine, journal, cache and heartbeat meet.

The scheduler decides, the engine carries, the journal remembers; this loop moves calls, outcomes and events between
them. The loop goes on from outcomes without waiting for their commits. It ends only after everything is committed, so
an end that a caller sees is acknowledged.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from promissory.executor.cache.kept import Kept
from promissory.executor.cache.lookups import Lookups
from promissory.executor.cache.reuse import Reuse
from promissory.executor.clock import Clock, SystemClock
from promissory.executor.crash_points import reached
from promissory.executor.engines.engine import Setup
from promissory.executor.execution.asking import Asks
from promissory.executor.execution.commands import Commands
from promissory.executor.execution.commits import Commits, Mark
from promissory.executor.execution.end_signals import EndSignals, taken_as_a_stop
from promissory.executor.execution.giving_out import GivingOut
from promissory.executor.execution.interrupts import Interrupts, deferred_interrupts
from promissory.executor.execution.options import Options
from promissory.executor.execution.outcomes import apply
from promissory.executor.execution.presence import Presence
from promissory.executor.execution.telling import Telling
from promissory.executor.execution.verdict import verdict
from promissory.executor.execution.words import Words
from promissory.executor.history.at_a_glance import store_overview
from promissory.executor.history.recovery import Recovered
from promissory.executor.history.summary import Ending
from promissory.executor.journal.reader import Tail
from promissory.executor.journal.snapshots import put_snapshot
from promissory.executor.journal.writer import Journal
from promissory.executor.protocol.events import ENDED, Event, value_of
from promissory.executor.protocol.messages import UNSTARTED, VALUE
from promissory.executor.records.inbox import Command, Inbox, acknowledge
from promissory.executor.records.manifest import Manifest
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.snapshot import dump, has_place_for

_log = logging.getLogger("promissory")
_LOOK_UP: Final = 1.0
"""Seconds after which the loop looks around, though nothing has happened."""

examine: Callable[[Execution], None] | None = None
"""A test's look at each round: it is called at the round's end (`promissory.testing.always_replay`)."""


class Execution:
    """One executor's work on one run.

    Args:
        manifest: the run.
        scheduler: the run's state.
        options: how the run is carried.
        setup: what the engine's workers are told: the store, the executor's epoch, how many bodies may run at one time.
        presence: tells others how the run stands, unless they are not to see it. `run` ends it.
        tail: the segment after which this executor writes (`promissory.executor.journal.writer`).
        kept: gives the cached outcomes that can be used, at the first call that may be cached.
        words: is told of retries and gates; None if nobody wants to hear of them.
        asks: answers gates at once; None if they wait for a command.
    """

    def __init__(
        self,
        manifest: Manifest,
        scheduler: Scheduler,
        options: Options,
        setup: Setup,
        presence: Presence,
        tail: Tail | None,
        kept: Callable[[], Kept],
        words: Words | None = None,
        asks: Asks | None = None,
    ) -> None:
        self.store = store = setup.store
        self.manifest = manifest
        self.scheduler = scheduler
        self.engine = engine = options.engine
        self.presence = presence
        self.journal = Journal(
            store, manifest.run_id, setup.epoch, tail, options.durability == "disk", self.committed, presence.nonce
        )
        self.clock: Clock = options.clock or SystemClock()
        self._is_overtaken = False
        self._broken: Exception | None = None
        self._setup = setup
        self._timeout = options.timeout
        self._grace = options.grace
        self._deadline: float | None = None
        self._happened = threading.Event()
        self._words = words
        self._keep_cycles = options.keep_cycles
        self._kept = kept
        self._asks = asks
        self._commits = Commits(store, manifest.run_id, words)
        self._commands = Commands(store, scheduler, self._record, presence.now, self._announce)
        self._telling = Telling(scheduler, engine, self._commits, self._commands, options.on_progress)
        self._giving = GivingOut(scheduler, options, setup, self.journal, self.clock)
        self.reuse = Reuse(manifest, scheduler, self.clock, self._open_lookups, self._giving.submit)

    # --- from other threads ---

    def wake(self) -> None:
        """Have the loop look around. From any thread."""
        self._happened.set()
        self.engine.wake()

    def command(self, command: Command) -> None:
        """Take a command. From any thread."""
        self._commands.take(command)
        self.wake()
        self._announce()

    def _take_message(self, key: str, command: Command) -> None:
        """Take a command of another process. From the inbox's thread."""
        self._commands.take(command, partial(acknowledge, self.store, key), partial(self.store.exists, key))
        self.wake()
        self._announce()

    def _announce(self) -> None:
        """Tell bodies whether the run is to end: at once, because a body may keep the loop from obeying."""
        self.engine.announce_end(self._is_overtaken or self.scheduler.stopping or self._commands.want_the_end)

    def _note_overtaken(self) -> None:
        """Note that another executor beats for the run. From the heartbeat's thread."""
        self._is_overtaken = True
        self._announce()
        self.wake()

    def _note_broken(self, error: Exception) -> None:
        """Note that a thread of the run can't go on, so that the run can't either. From that thread."""
        self._broken = error
        self.wake()

    def committed(self, events: tuple[Event, ...]) -> None:
        """Act on a commit: these events may be seen. From the journal's thread."""
        self._commits.take(events, self.scheduler.holding)
        if self._commits.stored:
            self.wake()
        self._telling.tell()

    def wait_for_commit(self, seen: int, seconds: float) -> int:
        """Wait, for so many seconds at most, until there were more commits than were seen. Returns how many there were.
        From any thread."""
        return self._commits.wait(seen, seconds)

    def flush(self) -> None:
        """Wait until every event recorded so far is committed. From any thread."""
        self.journal.flush()

    def begins_with(self, events: list[Event]) -> None:
        """Begin the journal with these events."""
        self._commits.gives(events)
        self.journal.append(events)

    def claims(self, events: tuple[Event, ...]) -> None:
        """Write the journal's first segment, with these events."""
        self._commits.gives(events)
        self.journal.claim(events)

    def continues(self, recovered: Recovered) -> None:
        """Note where the journal stands that others wrote. Its newest snapshot is dropped when the next one is
        committed; a trimmed journal begins with an older one."""
        self._commits.replaces(recovered.snapshot, recovered.replayed_from)
        self.journal.has_snapshot(recovered.snapshot, recovered.events, recovered.size)

    # --- the loop ---

    def run(self) -> Ending:
        """Carry the run to its end. Returns its state, the reason and its outputs.

        Raises `KeyboardInterrupt`, `Fenced` and `StoreError`; the run can be resumed after each.
        """
        resources = ExitStack()
        try:
            ending = self._run_with(resources)
        except BaseException as raised:
            try:
                resources.close()
            except Exception as error:
                raised.add_note(f"and to close what the run used raised {error!r}")
            raise
        try:
            resources.close()
        except Exception:  # the end is committed, so it counts even if a part could not be closed after it
            _log.exception(
                "run %s has ended (%s), and what it used could not all be closed", self.manifest.run_id, ending.state
            )
        self._commands.close()
        return ending

    def _run_with(self, resources: ExitStack) -> Ending:
        """Carry the run to its end. `resources` closes every part, even if one raises at that, and the beat last."""
        journal, engine, run_id = self.journal, self.engine, self.manifest.run_id
        resources.callback(self.presence.end)
        self.presence.begin(run_id, journal.epoch, self._telling, self._note_overtaken, self._note_broken)
        resources.callback(self.reuse.close)
        resources.callback(self._commits.close)
        resources.callback(engine.close)
        resources.callback(journal.close)
        if self.presence.is_shown:
            resources.callback(Inbox(self.store, run_id, self._take_message, self._note_broken).close)
        journal.when_stopped = self.wake
        if self._keep_cycles is not None:
            self._commits.trims(self._keep_cycles, max(0, journal.newest), lambda: journal.newest)
        engine.open(self._setup)
        self._announce()
        self.reuse.begin_with_replayed()
        if self._words is not None:
            self._words.begin()
        try:
            with taken_as_a_stop(self.command, self._grace if self.presence.is_shown else None) as signals:
                self._carry(signals)
        except KeyboardInterrupt:
            journal.flush()
            raise
        state, reason, outputs = verdict(self.store, self.scheduler, self._commands, self._timeout)
        if state != "INTERRUPTED":
            journal.append([(ENDED, state, reason, outputs)])
        journal.flush()
        reached("run.ended")
        if state != "INTERRUPTED" and self.presence.is_shown:
            store_overview(self.store, self.manifest, self.scheduler, (state, reason), journal.newest, journal.epoch)
        return Ending(state, reason, outputs, journal.newest, signals.number)

    def _carry(self, signals: EndSignals) -> None:
        """Carry on until nothing is left to do. An interrupt keeps the outcomes that have come."""
        scheduler, engine = self.scheduler, self.engine
        recalled = announced = False
        self._deadline = None if self._timeout is None else self.clock.monotonic() + self._timeout
        with deferred_interrupts() as interrupts:
            while True:
                if self._happened.is_set():
                    self._happened.clear()
                    if self._broken is not None:
                        raise self._broken
                    self.journal.check()
                    if self._commands or self._is_overtaken:
                        self.journal.look_for_successor()
                    self._commands.obey(self.journal)
                    self._release()
                if self._is_late:
                    scheduler.stop()
                if engine.stops_bodies and (self._is_late or signals.grace_is_over or self._commands.is_cancelled):
                    return
                if scheduler.stopping and not announced:
                    self._announce()
                    announced = True
                if (scheduler.stopping or scheduler.paused) and not recalled:
                    engine.recall()
                recalled = scheduler.stopping or scheduler.paused
                self._giving.go_on(self.reuse)
                self._record()
                if examine is not None:
                    examine(self)
                if scheduler.ended:
                    return
                self.presence.soon()
                self._telling.tell_if_due()
                self._wait(interrupts)

    def _wait(self, interrupts: Interrupts) -> None:
        """Wait for an outcome, a command, or a moment that a node or the time-out waits for."""
        begun = time.perf_counter()
        try:
            if self._asks is not None and self.scheduler.waiting:
                with interrupts.welcome():
                    if self._asks(self.scheduler, not self._giving.outstanding):
                        return
            if not self._giving.outstanding:
                scheduler = self.scheduler
                at_rest = not (scheduler.in_flight or scheduler.holding or scheduler.paused)
                with interrupts.welcome():
                    if at_rest and (scheduler.sleeping or self._deadline is not None):
                        # Before that moment nothing can come from the run itself, so the run's clock may pass the time.
                        self.clock.wait(self._happened, self._patience)
                    else:
                        self._happened.wait(min(self._patience, _LOOK_UP))
                return
            outcomes = self.engine.wait(min(self._patience, _LOOK_UP), interrupts.welcome)
        except KeyboardInterrupt:
            self._apply(self.engine.salvage())
            self._record()
            raise
        self._giving.size.measure(time.perf_counter() - begun, len(outcomes))
        self._apply(outcomes)

    @property
    def _is_late(self) -> bool:
        deadline = self._deadline
        return deadline is not None and self.clock.monotonic() >= deadline and self.scheduler.outputs is None

    @property
    def _patience(self) -> float:
        """The seconds for which the loop may wait."""
        if self._happened.is_set():
            return 0.0
        if self._deadline is None and not self.scheduler.sleeping:
            return _LOOK_UP
        due = None if self.scheduler.paused else self.scheduler.next_due
        moments = [moment for moment in (self._deadline, due) if moment is not None]
        return max(0.0, min(moments) - self.clock.monotonic()) if moments else _LOOK_UP

    def _open_lookups(self) -> Lookups:
        lookups = Lookups(self._kept(), self.store, self.manifest.run_id, self.journal.epoch, self.wake)
        self._commits.keep = lookups.keep
        return lookups

    # --- in: outcomes ---

    def _record(self) -> None:
        scheduler = self.scheduler
        log = scheduler.log
        if not (log or self.reuse.has_to_keep or scheduler.ended_frames):
            return
        mark = Mark(scheduler.done_nodes, scheduler.known_nodes, self.reuse.to_keep(), scheduler.ended_frames)
        scheduler.log, scheduler.ended_frames = [], []
        if not log:
            self._commits.stands(mark)
            if self._commits.stored:
                self._happened.set()
            return
        self._commits.gives(log, mark)
        self.journal.append(log)
        if self.journal.wants_snapshot() and has_place_for(scheduler):
            if scheduler.holding:  # a snapshot has no place for nodes that are done but held back until committed
                self.journal.flush()
                self._release()
            if self._commits.trimming is not None:
                self._commits.trimming.give(scheduler)
            self.journal.append_snapshot(put_snapshot(self.store, self.manifest.run_id, dump(scheduler)))
            reached("snapshot.written")

    def _release(self) -> None:
        """Go on after nodes that were held back until they were committed."""
        while self._commits.stored:
            self.scheduler.committed(*self._commits.stored.popleft())

    def _apply(self, outcomes: list[Any]) -> None:
        scheduler = self.scheduler
        unstarted: list[tuple[int, int]] = []
        self._giving.outstanding -= len(outcomes)
        for outcome in outcomes:
            frame, index, status, payload, started, duration, worker, attempt, log, carried, asked = outcome
            if carried:
                self.store.take_in(carried)
            if status == VALUE and asked is None:
                value = payload if payload.__class__ is bytes else value_of(payload)
                scheduler.done(frame, index, value, (started, duration, worker, attempt, log))
            elif status == UNSTARTED:
                unstarted.append((frame, index))
            else:
                apply(scheduler, outcome, self.clock.monotonic(), self.clock.time())
        for frame, index in reversed(unstarted):
            scheduler.returned(frame, index)
        self.reuse.settle()
