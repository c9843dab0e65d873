"""The run loop: the only place where scheduler, engine, journal, cache and heartbeat meet.

The scheduler decides, the engine carries, the journal remembers; this loop moves what each gives to the next. It goes on from what is done, without waiting for
commits; it ends only after everything is committed, so what a caller sees is acknowledged.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

from promissory.executor.cache.lookups import Lookups
from promissory.executor.cache.reuse import Reuse
from promissory.executor.clock import Clock, SystemClock
from promissory.executor.crash_points import reached
from promissory.executor.engines.engine import Batch, Engine, Setup
from promissory.executor.execution.commands import Commands
from promissory.executor.execution.commits import Commits, Mark
from promissory.executor.execution.early_outputs import early_outputs
from promissory.executor.execution.interrupts import Interrupts, deferred_interrupts
from promissory.executor.execution.materialize import batch_of
from promissory.executor.execution.outcomes import apply
from promissory.executor.execution.progress import standing_of
from promissory.executor.history.summary import Ending
from promissory.executor.journal.reader import Tail
from promissory.executor.journal.snapshots import put_snapshot
from promissory.executor.journal.writer import Journal
from promissory.executor.protocol.events import CODE, ENDED, RESUMED, Event, tree_of, value_of
from promissory.executor.protocol.limits import Limits
from promissory.executor.protocol.messages import UNSTARTED, VALUE
from promissory.executor.records.heartbeat import Heartbeat
from promissory.executor.records.inbox import Command, Inbox
from promissory.executor.records.manifest import Manifest
from promissory.executor.records.progress import Progress, Standing
from promissory.executor.scheduler.calls import Call
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.snapshot import dump
from promissory.executor.store.store import Store
from promissory.planner.plan.model import Value

_log = logging.getLogger("promissory")
_BATCH_SECONDS: Final = 0.005
_LARGEST_BATCH: Final = 256
_SHOWN_RUNNING: Final = 64
_LOOK_UP: Final = 1.0
"""Seconds after which the loop looks around, though nothing has happened."""
_TELL: Final = 0.25
"""Seconds after which whoever looks on is told what runs, if nothing was committed."""
_FROM_CACHE: Final = "cache"

examine: Callable[[Execution], None] | None = None
"""Called after each round of the loop, where a test wants to look (`promissory.testing.always_replay`)."""


class Execution:
    """One executor's work on one run.

    Args:
        store, manifest: the run.
        scheduler: its state.
        engine: who runs the bodies.
        epoch, tail: of this executor, and the segment after which it writes; see `promissory.executor.journal.writer`.
        durable: sync what is acknowledged.
        parallel: how many bodies may run at one time, over all frames.
        script: (module name, file) of the program that defines the workflow.
        modules: (name, file) of the modules that the plan's functions were imported from.
        timeout: seconds that all of it may take; None for no limit.
        echo: repeat what bodies print on standard error.
        beat: tell others how the run stands, and listen to them.
        on_progress: is told after each commit, from the committing thread.
        clock: whose time delays and time-outs of the run go by.
    """

    def __init__(
        self,
        store: Store,
        manifest: Manifest,
        scheduler: Scheduler,
        engine: Engine,
        *,
        epoch: int,
        tail: Tail | None,
        durable: bool,
        parallel: int = 1,
        script: tuple[str, str] | None = None,
        modules: tuple[tuple[str, str], ...] = (),
        timeout: float | None = None,
        echo: bool = True,
        beat: bool = True,
        on_progress: Callable[[Progress], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.store = store
        self.manifest = manifest
        self.scheduler = scheduler
        self.engine = engine
        self.journal = Journal(store, manifest.run_id, epoch, tail, durable, self.committed)
        self.clock: Clock = clock or SystemClock()
        self._is_overtaken = False
        self._broken: Exception | None = None
        self._parallel = parallel
        self._timeout = timeout
        self._deadline: float | None = None
        self._script = script
        self._modules = modules
        self._carry_from = store if engine.remote and not store.outlives_the_process else None
        self._echo = echo
        self._beats = beat
        self._on_progress = on_progress
        self._batch = 1
        self._outstanding = 0
        self._telling = threading.Lock()
        self._told = 0.0
        self._happened = threading.Event()
        self._commits = Commits(store, manifest.run_id)
        self._commands = Commands(store, scheduler, self._record, self._beat_now, self._announce)
        self._reuse = Reuse(manifest, scheduler, self.clock, self._open_lookups, self._submit)
        self._heartbeat: Heartbeat | None = None

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
        """From the inbox's thread."""
        self._commands.take(command, partial(self.store.delete, key), partial(self.store.exists, key))
        self.wake()
        self._announce()

    def _announce(self) -> None:
        """Tell bodies whether the run is to end: at once, for one of them may keep the loop from obeying."""
        self.engine.announce_end(self._is_overtaken or self.scheduler.stopping or self._commands.want_the_end)

    def _note_overtaken(self) -> None:
        """From the heartbeat's thread."""
        self._is_overtaken = True
        self._announce()
        self.wake()

    def _note_broken(self, error: Exception) -> None:
        """From a thread of the run's that can't go on: neither can the run."""
        self._broken = error
        self.wake()

    def committed(self, events: tuple[Event, ...]) -> None:
        """Told by the journal: these events may be seen."""
        self._commits.take(events, self.scheduler.holding)
        if self._commits.stored:
            self.wake()
        self._tell()

    def flush(self) -> None:
        """Have everything that was recorded so far committed. From any thread."""
        self.journal.flush()

    def begins_with(self, events: list[Event]) -> None:
        """The journal begins with these."""
        self._commits.gives(events)
        self.journal.append(events)

    def claims(self, events: tuple[Event, ...]) -> None:
        """The journal's first segment holds these."""
        self._commits.gives(events)
        self.journal.claim(events)

    def replaces(self, snapshot: Value | None) -> None:
        """The run has this snapshot, which the next one makes superfluous."""
        self._commits.snapshot = snapshot

    def _tell(self) -> None:
        """Tell whoever looks on how things stand."""
        if self._on_progress is None:
            return
        with self._telling:
            self._told = time.monotonic()
            try:
                self._on_progress(self._now())
            except Exception as error:  # whoever looks on must not stop the run
                self._on_progress = None
                warnings.warn(f"on_progress raised {error!r}, and is not called any more", RuntimeWarning, stacklevel=1)

    def _now(self) -> Progress:
        scheduler = self.scheduler
        running = []
        for one in self.engine.running():
            frame = scheduler.frames.get(one.frame)
            if frame is not None:
                running.append(
                    (one.worker, frame.path_of(one.index, scheduler.iteration(one.frame, one.index)), one.since)
                )
        done, nodes = self._commits.shown
        stands = replace(standing_of(scheduler), done=done, nodes=nodes or scheduler.nodes)
        return Progress(**asdict(stands), expanded=self._commits.expanded, running=tuple(running))

    # --- the loop ---

    def run(self) -> Ending:
        """Carry the run to its end: its state, a reason, its outputs.

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
        except Exception:  # the end is committed: it counts, whatever could not be closed after it
            _log.exception(
                "run %s has ended (%s), and what it used could not all be closed", self.manifest.run_id, ending.state
            )
        self._commands.close()
        return ending

    def _run_with(self, resources: ExitStack) -> Ending:
        """Carry the run to its end. What is in use is closed by `resources`: all of it, whatever one of them raises; the beat ends last."""
        journal, engine = self.journal, self.engine
        if self._beats:
            self._heartbeat = Heartbeat(
                self.store, self.manifest.run_id, journal.epoch, self._look, self._note_overtaken, self._note_broken
            )
            resources.callback(self._heartbeat.close)
        resources.callback(self._reuse.close)
        resources.callback(self._commits.close)
        resources.callback(engine.close)
        resources.callback(journal.close)
        if self._beats:
            resources.callback(Inbox(self.store, self.manifest.run_id, self._take_message, self._note_broken).close)
        journal.when_stopped = self.wake
        engine.open(self._setup(journal.epoch))
        self._announce()
        self._reuse.begin_with_replayed()
        try:
            self._carry()
        except KeyboardInterrupt:
            journal.flush()
            raise
        state, reason, outputs = self._verdict()
        if state != "INTERRUPTED":
            journal.append([(ENDED, state, reason, outputs)])
        journal.flush()
        reached("run.ended")
        return Ending(state, reason, outputs, journal.newest)

    def _setup(self, epoch: int) -> Setup:
        manifest = self.manifest
        return Setup(
            self.store,
            manifest.run_id,
            epoch,
            manifest.created,
            self._echo,
            self._parallel,
            self._script,
            self._modules,
            manifest.bundle,
        )

    def _carry(self) -> None:
        """Go on until nothing is left to do. An interrupt keeps what was done."""
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
                if engine.stops_bodies and (self._is_late or self._commands.cancelled is not None):
                    return
                if scheduler.stopping and not announced:
                    self._announce()
                    announced = True
                if (scheduler.stopping or scheduler.paused) and not recalled:
                    engine.recall()
                recalled = scheduler.stopping or scheduler.paused
                self._dispatch()
                self._record()
                if examine is not None:
                    examine(self)
                if scheduler.ended:
                    return
                self._look_around()
                self._wait(interrupts)

    def _look_around(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.soon()
        if self._on_progress is not None and time.monotonic() - self._told > _TELL:
            self._tell()

    def _wait(self, interrupts: Interrupts) -> None:
        """Until something happens: an outcome, a command, a moment that something waits for."""
        begun = time.perf_counter()
        try:
            if not self._outstanding:
                scheduler = self.scheduler
                at_rest = not (scheduler.in_flight or scheduler.holding or scheduler.paused)
                with interrupts.welcome():
                    if at_rest and (
                        scheduler.sleeping or self._deadline is not None
                    ):  # nothing of the run's own can happen before that moment
                        self.clock.wait(self._happened, self._patience)
                    else:
                        self._happened.wait(min(self._patience, _LOOK_UP))
                return
            outcomes = self.engine.wait(min(self._patience, _LOOK_UP), interrupts.welcome)
        except KeyboardInterrupt:
            self._apply(self.engine.salvage())
            self._record()
            raise
        self._measure(time.perf_counter() - begun, len(outcomes))
        self._apply(outcomes)

    @property
    def _is_late(self) -> bool:
        return (
            self._deadline is not None and self.clock.monotonic() >= self._deadline and self.scheduler.outputs is None
        )

    @property
    def _patience(self) -> float:
        """How long to wait for something to happen."""
        if self._happened.is_set():
            return 0.0
        if self._deadline is None and not self.scheduler.sleeping:
            return _LOOK_UP
        moments = [
            moment
            for moment in (self._deadline, None if self.scheduler.paused else self.scheduler.next_due)
            if moment is not None
        ]
        return max(0.0, min(moments) - self.clock.monotonic()) if moments else _LOOK_UP

    def _verdict(self) -> tuple[str, str, list[Any] | None]:
        scheduler = self.scheduler
        if scheduler.cancelled is not None:
            return "CANCELLED", scheduler.cancelled[1], None
        if scheduler.terminated is not None:
            outputs, problem = early_outputs(self.store, scheduler)
            return "TERMINATED", "; ".join(one for one in (scheduler.terminated[0], problem) if one), outputs
        if scheduler.outputs is not None:
            return "SUCCEEDED", "", [None if value is None else tree_of(value) for value in scheduler.outputs]
        if self._commands.cancelled is not None:
            return "CANCELLED", self._commands.cancelled, None
        if scheduler.dead and scheduler.failure is not None:
            return "FAILED", f"{scheduler.failure.path}: {scheduler.failure.failure}", None
        if self._commands.stopped is not None:
            return "INTERRUPTED", self._commands.stopped, None
        assert self._is_late
        return "FAILED", f"it was stopped after {self._timeout:g} s, which is its time-out", None

    # --- out: calls ---

    def _now_for_gates(self) -> tuple[float, float]:
        """The clock's and the calendar's moment, where a gate may be about to begin."""
        scheduler = self.scheduler
        return (self.clock.monotonic(), self.clock.time()) if scheduler.gates_ready or scheduler.failing else (0.0, 0.0)

    def _dispatch(self) -> None:
        scheduler = self.scheduler
        if scheduler.sleeping:
            scheduler.wake(self.clock.monotonic())
        self._reuse.go_on()
        if scheduler.weighted:  # calls of different weight: no more in flight than there is room for
            room = self._parallel - scheduler.places_in_use
        else:
            room = self._parallel * max(self._batch, self.engine.ahead) - len(scheduler.in_flight)
        while room > 0:
            calls = scheduler.take(room, *self._now_for_gates())
            cached = [call for call in calls if call.cached]
            if not cached:
                self._submit(calls)
                return
            self._submit([call for call in calls if not call.cached])
            self._reuse.begin(cached)
            room = self._parallel - scheduler.places_in_use  # what was found made others ready

    def _submit(self, calls: list[Call]) -> None:
        largest = self.engine.largest_batch
        self._outstanding += len(calls)
        if largest == 1 or self.scheduler.tries:
            for call in calls:
                self.engine.submit(self._batch_of([call]))
        else:
            for first in range(0, len(calls), largest):
                self.engine.submit(self._batch_of(calls[first : first + largest]))

    def _batch_of(self, calls: list[Call]) -> Batch:
        return batch_of(calls, self._carry_from, self.manifest.run_id, self.scheduler.channel)

    def _open_lookups(self) -> Lookups:
        lookups = Lookups(self.store, self.manifest.run_id, self.journal.epoch, self.wake)
        self._commits.keep = lookups.keep
        return lookups

    def _measure(self, seconds: float, count: int) -> None:
        """Batches are as long as about 5 ms, so that little is lost in a crash and little time goes into moving them."""
        if count:
            self._batch = max(1, min(_LARGEST_BATCH, 2 * self._batch, int(_BATCH_SECONDS * count / max(seconds, 1e-9))))

    # --- in: what came back ---

    def _record(self) -> None:
        scheduler = self.scheduler
        log = scheduler.log
        if not (log or self._reuse.has_to_keep or scheduler.ended_frames):
            return
        mark = Mark(scheduler.done_nodes, scheduler.nodes, self._reuse.to_keep(), scheduler.ended_frames)
        scheduler.log, scheduler.ended_frames = [], []
        if not log:
            self._commits.stands(mark)
            if self._commits.stored:
                self._happened.set()
            return
        self._commits.gives(log, mark)
        self.journal.append(log)
        if self.journal.wants_snapshot() and not (scheduler.failing or scheduler.dead or scheduler.cancelled):
            if scheduler.holding:  # a snapshot has no place for what is done and not to be acted on
                self.journal.flush()
                self._release()
            self.journal.append_snapshot(put_snapshot(self.store, self.manifest.run_id, dump(scheduler)))
            reached("snapshot.written")

    def _release(self) -> None:
        """Go on after what was held back until it was committed."""
        while self._commits.stored:
            self.scheduler.committed(*self._commits.stored.popleft())

    def _apply(self, outcomes: list[Any]) -> None:
        scheduler = self.scheduler
        unstarted: list[tuple[int, int]] = []
        self._outstanding -= len(outcomes)
        for outcome in outcomes:
            frame, index, status, payload, started, duration, worker, attempt, log, carried, asked = outcome
            if carried:
                self.store.take_in(carried)
            if status == VALUE and asked is None:
                scheduler.done(
                    frame,
                    index,
                    payload if payload.__class__ is bytes else value_of(payload),
                    (started, duration, worker, attempt, log),
                )
            elif status == UNSTARTED:
                unstarted.append((frame, index))
            else:
                apply(scheduler, outcome, self.clock.monotonic(), self.clock.time())
        for frame, index in reversed(unstarted):
            scheduler.returned(frame, index)
        self._reuse.settle()

    def _look(self) -> tuple[Standing, list[Any], bool]:
        """For the heartbeat: how the run stands, some of what runs (what waits in a batch behind another does not), whether it was told to end."""
        running = [[one.frame, one.index, one.worker, one.since] for one in self.engine.running()[:_SHOWN_RUNNING]]
        return standing_of(self.scheduler), running, self._commands.end_the_run

    def _beat_now(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.now()


def resumed_event(epoch: int, limits: Limits) -> Event:
    """The first event of an executor that works on a run."""
    return (RESUMED, epoch, socket.gethostname(), os.getpid(), limits.to_tree(), time.time_ns() // 1000)


def code_event(name: str, old: bytes, new: bytes) -> Event:
    """A callable whose code changed since the run began."""
    return (CODE, name, old, new)
