"""The engine `threads`: bodies run in threads of this process. It is for tasks that wait for the network or release the
interpreter's lock.

Python can't stop a thread: a body that never returns keeps its thread until the process ends, and a time-out is noticed
only when the body returns (rule R2). All bodies share the process's working directory, environment and modules.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from promissory.executor.engines.engine import Batch, Interruptible, Running, Setup, cores
from promissory.executor.engines.own_lane import OwnLane
from promissory.executor.errors import EngineError
from promissory.executor.protocol.messages import unstarted
from promissory.executor.store.keys import log_key
from promissory.executor.worker.awaiting import Bodies
from promissory.executor.worker.capture import Capture
from promissory.executor.worker.worker import Worker


class Threads:
    """As many threads as there may be bodies at one time, one queue for all."""

    name = "threads"
    largest_batch = 1
    ahead = 1
    remote = False
    stops_bodies = False

    def __init__(self) -> None:
        self._setup: Setup | None = None
        self._begin()

    def _begin(self) -> None:
        """Begin with empty tables. Threads of an earlier run keep the old ones, so their late outcomes go unread."""
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()
        self._outcomes: deque[Any] = deque()
        self._raised: deque[BaseException] = deque()
        self._came = threading.Event()
        self._workers: list[Worker] = []
        self._outstanding = 0
        self._ending = threading.Event()
        self._bodies = Bodies()
        self._lane = OwnLane(self._came)

    def slots(self, wanted: int | None) -> int:
        """The number that is wanted; by default four more than the processors, since threads are for waiting tasks."""
        return wanted or cores() + 4

    def open(self, setup: Setup) -> None:
        """Get ready; threads are started when there is work for them. Raises `EngineError` if the engine is open."""
        if self._setup is not None:
            raise EngineError(
                "this engine carries a run already; give each run an engine of its own, or the engine's name"
            )
        self._begin()
        self._setup = setup
        self._lane.open(setup, self._ending.is_set)

    def submit(self, batch: Batch) -> None:
        """Have a batch run by the next thread that is free."""
        assert self._setup is not None
        if batch.overlaps:
            self._lane.submit(batch)
            return
        self._outstanding += 1
        if len(self._workers) < min(self._outstanding, self._setup.parallel):
            self._start(self._setup)
        self._queue.put(batch)

    def _start(self, setup: Setup) -> None:
        name = f"thread-{setup.epoch}-{len(self._workers) + 1}"
        capture = Capture(setup.store, log_key(setup.run_id, name), setup.echo, setup.log_level)
        worker = Worker(
            setup.store,
            setup.run_id,
            name,
            setup.created,
            capture,
            epoch=setup.epoch,
            bundle=setup.bundle,
            is_ending=self._ending.is_set,
            bodies=self._bodies,
        )
        self._workers.append(worker)
        work = (worker, capture, self._queue, self._outcomes, self._raised, self._came)
        threading.Thread(target=_work, args=work, name=f"promissory {name}", daemon=True).start()

    def wait(self, timeout: float, interruptible: Interruptible) -> list[Any]:
        """The outcomes that threads have put down, one at least unless the time is over."""
        if not (self._outcomes or self._lane.outcomes):
            with interruptible():
                self._came.wait(timeout)
        self._came.clear()
        for raised in (self._raised, self._lane.raised):
            if raised:
                raise raised.popleft()
        return self.salvage()

    def wake(self) -> None:
        """Have `wait` return."""
        self._came.set()

    def salvage(self) -> list[Any]:
        """The outcomes that are there."""
        outcomes = []
        while self._outcomes:
            outcomes.append(self._outcomes.popleft())
        self._outstanding -= len(outcomes)
        return outcomes + self._lane.taken()

    def recall(self) -> None:
        """Give back the batches that are still queued."""
        with suppress(Empty):
            while True:
                batch = self._queue.get_nowait()
                if batch is not None:
                    self._outcomes.extend(unstarted(batch.calls))

    def announce_end(self, ending: bool) -> None:
        """Note whether the run is to end; running bodies may ask."""
        if ending:
            self._ending.set()
        else:
            self._ending.clear()

    def running(self) -> list[Running]:
        """The body that each thread runs."""
        found = []
        for worker in list(self._workers):
            now = worker.now
            if now is not None:
                found.append(Running(now[0], now[1], worker.name, now[2]))
        return found + self._lane.running()

    def close(self) -> None:
        """Let idle threads end. A thread whose body still runs ends after it, and the body's outcome counts no more."""
        self.recall()
        self._ending.set()  # tells bodies that still run
        for _ in self._workers:
            self._queue.put(None)
        self._lane.close()
        self._bodies.close()
        self._setup = None


def _work(
    worker: Worker,
    capture: Capture,
    queue: Any,
    outcomes: deque[Any],
    raised: deque[BaseException],
    came: threading.Event,
) -> None:
    capture.open()
    try:
        while True:
            batch = queue.get()
            if batch is None:
                return
            try:
                worker.run(batch.content, outcomes, batch.sure)
            except BaseException as error:  # an interrupt or a store that fails: the run loop raises it
                raised.append(error)
            came.set()
    finally:
        capture.close()
