"""The run loop: the only place where scheduler, engine, journal and heartbeat meet.

The scheduler decides, the engine carries, the journal remembers; this loop moves what each gives to the next. It goes on from what is done, without waiting for
commits; it ends only after everything is committed, so what a caller sees is acknowledged.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from executor.engines.engine import Batch, Engine, Setup
from executor.events import CODE, DONE, ENDED, EXPANDED, FAILED, OPENED, RESUMED, Event, tree_of, value_of
from executor.failure import Failure
from executor.frame import joined, node_identity
from executor.heartbeat import Heartbeat, Standing
from executor.interrupts import deferred_interrupts
from executor.invocation import FAILURE, FUTURES, LOST, UNSTARTED, VALUE
from executor.journal import Journal
from executor.layout import futures_key
from executor.limits import Limits
from executor.manifest import Manifest
from executor.materialize import batch_of
from executor.scheduler import Call, Scheduler
from executor.snapshot import dump
from executor.store import Store
from planner.plan_format import futures_from_bytes

_BATCH_SECONDS: Final = 0.005
_LARGEST_BATCH: Final = 256
_SHOWN_RUNNING: Final = 64
_LOOK_UP: Final = 1.0
"""Seconds after which the loop looks whether it was told to stop."""
_TELL: Final = 0.25
"""Seconds after which whoever looks on is told what runs, if nothing was committed."""
_OF_THE_SCHEDULER: Final = (DONE, EXPANDED, OPENED, FAILED)


@dataclass(frozen=True, slots=True)
class Progress:
    """What is committed of a run, for progress bars.

    `done` and `nodes` count nodes, of all frames known so far. `running` says what workers do at this moment: (worker, path, since when in µs since the epoch); `waiting`
    how many calls are ready and wait for a pool or for memory; `lost` how many calls are sent again because their worker was lost.
    """

    done: int
    nodes: int
    expanded: int
    running: tuple[tuple[str, str, int], ...] = ()
    waiting: int = 0
    lost: int = 0


class Execution:
    """One executor's work on one run.

    Args:
        store, manifest: the run.
        scheduler: its state.
        journal: its log, which this executor may write.
        engine: who runs the bodies.
        parallel: how many bodies may run at one time, over all frames.
        script: (module name, file) of the program that defines the workflow.
        modules: (name, file) of the modules that the plan's functions were imported from.
        timeout: seconds that all of it may take; None for no limit.
        echo: repeat what bodies print on standard error.
        on_progress: is told after each commit, from the committing thread.
    """

    def __init__(
        self,
        store: Store,
        manifest: Manifest,
        scheduler: Scheduler,
        engine: Engine,
        *,
        parallel: int = 1,
        script: tuple[str, str] | None = None,
        modules: tuple[tuple[str, str], ...] = (),
        timeout: float | None = None,
        echo: bool = True,
        beat: bool = True,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.store = store
        self.manifest = manifest
        self.scheduler = scheduler
        self.engine = engine
        self.journal: Journal | None = None
        self.cancelled: str | None = None
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
        self._expanded = 0
        self._appended = self._committed = 0
        self._marks: deque[tuple[int, int, int]] = deque()
        self._shown = (0, 0)
        self._telling = threading.Lock()
        self._told = 0.0
        self._stop = threading.Event()
        self._heartbeat: Heartbeat | None = None

    def committed(self, events: tuple[Event, ...]) -> None:
        """Told by the journal: these events may be seen. Futures files are written behind, here."""
        events = tuple(event for event in events if event[0] in _OF_THE_SCHEDULER)
        for event in events:
            if event[0] == EXPANDED:
                self._expanded += 1
                write_futures(self.store, self.manifest.run_id, event[4])
        self._committed += len(events)
        while self._marks and self._marks[0][0] <= self._committed:
            _, done, nodes = self._marks.popleft()
            self._shown = (done, nodes)
        self._tell()

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
                running.append((one.worker, joined(frame.path, frame.topology.name(one.index)), one.since))
        done, nodes = self._shown
        return Progress(done, nodes or scheduler.nodes, self._expanded, tuple(running), scheduler.waiting, len(scheduler.losses))

    def cancel(self, reason: str) -> None:
        """Start nothing new, let what runs finish, end as cancelled. May be called from any thread."""
        self.cancelled = reason
        self._stop.set()

    def run(self) -> tuple[str, str]:
        """Carry the run to its end: its state and a reason.

        Raises `KeyboardInterrupt`, `Fenced` and `StoreError`; the run can be resumed after each.
        """
        assert self.journal is not None
        journal, engine = self.journal, self.engine
        heartbeat = None
        try:
            heartbeat = self._heartbeat = Heartbeat(self.store, self.manifest.run_id, journal.epoch, self._progress) if self._beats else None
            engine.open(self._setup(journal.epoch))
            try:
                self._carry()
            except KeyboardInterrupt:
                journal.flush()
                raise
            state, reason, outputs = self._verdict()
            journal.append([(ENDED, state, reason, outputs)])
            journal.flush()
        finally:
            journal.close()
            engine.close()
            if heartbeat is not None:
                heartbeat.close()
        return state, reason

    def _setup(self, epoch: int) -> Setup:
        manifest = self.manifest
        return Setup(self.store, manifest.run_id, epoch, manifest.created, self._echo, self._parallel, self._script, self._modules, manifest.bundle)

    def _carry(self) -> None:
        """Go on until nothing is left to do. An interrupt keeps what was done."""
        assert self.journal is not None
        scheduler, engine = self.scheduler, self.engine
        recalled = False
        self._deadline = None if self._timeout is None else time.monotonic() + self._timeout
        with deferred_interrupts() as interrupts:
            while True:
                if self._stop.is_set():
                    scheduler.stop()
                if self._is_late:
                    scheduler.stop()
                    if engine.stops_bodies:
                        return
                if scheduler.stopping and not recalled:
                    recalled = True
                    engine.recall()
                self._dispatch()
                self._record()
                if scheduler.ended:
                    return
                if self._heartbeat is not None:
                    self._heartbeat.soon()
                if self._on_progress is not None and time.monotonic() - self._told > _TELL:
                    self._tell()
                begun = time.perf_counter()
                try:
                    outcomes = engine.wait(self._patience, interrupts.welcome)
                except KeyboardInterrupt:
                    self._apply(engine.salvage())
                    self._record()
                    raise
                self._measure(time.perf_counter() - begun, len(outcomes))
                self._apply(outcomes)

    @property
    def _is_late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline and self.scheduler.outputs is None

    @property
    def _patience(self) -> float:
        """How long to wait for something to happen."""
        if self._deadline is None:
            return _LOOK_UP
        return max(0.0, min(_LOOK_UP, self._deadline - time.monotonic()))

    def _verdict(self) -> tuple[str, str, list[Any] | None]:
        scheduler = self.scheduler
        if scheduler.outputs is not None:
            return "SUCCEEDED", "", [tree_of(value) for value in scheduler.outputs]
        if scheduler.failure is not None:
            return "FAILED", f"{scheduler.failure.path}: {scheduler.failure.failure}", None
        if self._is_late:
            return "FAILED", f"it was stopped after {self._timeout:g} s, which is its time-out", None
        return "CANCELLED", self.cancelled or "", None

    def _dispatch(self) -> None:
        scheduler = self.scheduler
        if scheduler.weighted:  # calls of different weight: no more in flight than there is room for
            room = self._parallel - scheduler.places_in_use
        else:
            room = self._parallel * max(self._batch, self.engine.ahead) - len(scheduler.in_flight)
        calls = scheduler.take(room) if room > 0 else []
        largest = self.engine.largest_batch
        if largest == 1 or scheduler.losses:
            for call in calls:
                self.engine.submit(self._batch_of([call], bool(scheduler.losses) and (call.frame.id, call.node) in scheduler.losses))
        else:
            for first in range(0, len(calls), largest):
                self.engine.submit(self._batch_of(calls[first : first + largest], False))

    def _batch_of(self, calls: list[Call], alone: bool) -> Batch:
        return batch_of(calls, alone, self._carry_from, self.manifest.run_id)

    def _measure(self, seconds: float, count: int) -> None:
        """Batches are as long as about 5 ms, so that little is lost in a crash and little time goes into moving them."""
        if count:
            self._batch = max(1, min(_LARGEST_BATCH, 2 * self._batch, int(_BATCH_SECONDS * count / max(seconds, 1e-9))))

    def _record(self) -> None:
        assert self.journal is not None
        log = self.scheduler.log
        if log:
            self.scheduler.log = []
            self._appended += len(log)
            self._marks.append((self._appended, self.scheduler.done_nodes, self.scheduler.nodes))
            self.journal.append(log)
            if self.journal.wants_snapshot():
                self.journal.append_snapshot(self.store.put_value(dump(self.scheduler)))

    def _apply(self, outcomes: list[Any]) -> None:
        scheduler = self.scheduler
        unstarted: list[tuple[int, int]] = []
        for frame, index, status, payload, started, duration, worker, attempt, log, carried in outcomes:
            if carried:
                self.store.take_in(carried)
            meta = (started, duration, worker, attempt, log)
            if status == VALUE:
                scheduler.done(frame, index, payload if payload.__class__ is bytes else value_of(payload), meta)
            elif status == FUTURES:
                scheduler.expanded(frame, index, payload, meta)
            elif status == UNSTARTED:
                unstarted.append((frame, index))
            elif status == LOST:
                scheduler.lost(frame, index, payload, meta)
            else:
                assert status == FAILURE
                scheduler.failed(frame, index, Failure.from_tree(payload), meta)
        for frame, index in reversed(unstarted):
            scheduler.returned(frame, index)

    def _progress(self) -> Standing:
        """For the heartbeat: counts, and some of what runs. What waits in a batch behind another does not run."""
        scheduler = self.scheduler
        running = [[one.frame, one.index, one.worker, one.since] for one in self.engine.running()[:_SHOWN_RUNNING]]
        return Standing(scheduler.done_nodes, scheduler.nodes, running, scheduler.waiting, len(scheduler.losses))


def write_futures(store: Store, run_id: str, data: bytes) -> None:
    """Put a futures file where people and tools look for it. Its bytes are in the journal already."""
    _, header = futures_from_bytes(data)
    key = futures_key(run_id, node_identity(header.parent, header.index))
    if not store.put_new(key, data, durable=False) and store.get(key) != data:
        store.put(key, data)  # damaged since


def resumed_event(epoch: int, limits: Limits) -> Event:
    """The first event of an executor that works on a run."""
    return (RESUMED, epoch, socket.gethostname(), os.getpid(), limits.to_tree(), time.time_ns() // 1000)


def code_event(name: str, old: bytes, new: bytes) -> Event:
    """A callable whose code changed since the run began."""
    return (CODE, name, old, new)
