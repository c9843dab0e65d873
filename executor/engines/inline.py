"""The engine `inline`: everything runs in the calling thread, one batch at a time, but async tasks, which overlap on an
event loop beside. It needs no processes and no pickles: for debugging, tests and small work."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from promissory.executor.engines.engine import Batch, Interruptible, Running, Setup
from promissory.executor.engines.own_lane import OwnLane
from promissory.executor.errors import EngineError
from promissory.executor.protocol.messages import unstarted
from promissory.executor.store.keys import log_key
from promissory.executor.worker.capture import Capture
from promissory.executor.worker.worker import Worker


class Inline:
    """The engine that plain calls use."""

    name = "inline"
    largest_batch = 256
    ahead = 1
    remote = False
    stops_bodies = False

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self._outcomes: list[Any] = []
        self._worker: Worker | None = None
        self._capture: Capture | None = None
        self._ending = False
        self._came = threading.Event()
        self._lane = OwnLane(self._came)

    def slots(self, wanted: int | None) -> int:
        """One place, whatever number is wanted."""
        return 1

    def open(self, setup: Setup) -> None:
        """Make the worker. Raises `EngineError` if the engine is open already: an engine carries one run at a time."""
        if self._capture is not None:
            raise EngineError(
                "this engine carries a run already; give each run an engine of its own, or the engine's name"
            )
        self._batches.clear()
        self._outcomes.clear()
        self._lane.open(setup, lambda: self._ending)
        name = f"inline-{setup.epoch}"
        self._capture = Capture(setup.store, log_key(setup.run_id, name), setup.echo, setup.log_level)
        self._capture.open()
        self._worker = Worker(
            setup.store,
            setup.run_id,
            name,
            setup.created,
            self._capture,
            epoch=setup.epoch,
            bundle=setup.bundle,
            is_ending=lambda: self._ending,
        )

    def submit(self, batch: Batch) -> None:
        """Have a batch run at the next `wait`. Async tasks begin at once, on an event loop beside."""
        if batch.overlaps:
            self._lane.submit(batch)
        else:
            self._batches.append(batch)

    def wait(self, timeout: float, interruptible: Interruptible) -> list[Any]:
        """Run the next batch; without one, wait for async tasks."""
        assert self._worker is not None
        if not self._batches:
            if not (self._outcomes or self._lane.outcomes):
                with interruptible():
                    self._came.wait(timeout)
            self._came.clear()
            if self._lane.raised:
                raise self._lane.raised.popleft()
        else:
            batch = self._batches.popleft()
            with interruptible():
                self._worker.run(batch.content, self._outcomes, batch.sure)
        return self.salvage()

    def wake(self) -> None:
        """Have `wait` return, if it waits for async tasks."""
        self._came.set()

    def salvage(self) -> list[Any]:
        """The outcomes of a batch that was interrupted."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes + self._lane.taken()

    def recall(self) -> None:
        """Give back the batches that have not begun."""
        while self._batches:
            self._outcomes += unstarted(self._batches.popleft().calls)

    def announce_end(self, ending: bool) -> None:
        """Note whether the run is to end; the running body may ask."""
        self._ending = ending

    def running(self) -> list[Running]:
        """The one body that runs."""
        worker = self._worker
        beside = self._lane.running()
        now = None if worker is None else worker.now
        return beside if now is None or worker is None else [Running(now[0], now[1], worker.name, now[2]), *beside]

    def close(self) -> None:
        """Stop listening to the output of bodies."""
        self._batches.clear()
        self._lane.close()
        if self._worker is not None:
            self._worker.close()
        self._ending = False
        if self._capture is not None:
            self._capture.close()
            self._capture = None
