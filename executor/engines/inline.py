"""Runs everything in the calling thread, one batch at a time. No processes, no pickles: for debugging, tests and small work."""

from __future__ import annotations

from collections import deque
from typing import Any

from executor.capture import Capture
from executor.engines.engine import Setup
from executor.errors import EngineError
from executor.invoke import Worker
from executor.layout import log_key


class Inline:
    """The engine that plain calls use."""

    name = "inline"
    slots = 1

    def __init__(self) -> None:
        self._batches: deque[bytes] = deque()
        self._outcomes: list[Any] = []
        self._worker: Worker | None = None
        self._capture: Capture | None = None

    def open(self, setup: Setup) -> None:
        """Make the worker. Raises `EngineError` if it is open: an engine carries one run at a time."""
        if self._capture is not None:
            raise EngineError("this engine carries a run already; give each run an engine of its own, or the engine's name")
        self._batches.clear()
        self._outcomes.clear()
        name = f"inline-{setup.epoch}"
        self._capture = Capture(setup.store, log_key(setup.run_id, name), setup.echo)
        self._capture.open()
        self._worker = Worker(setup.store, name, setup.created, self._capture)

    def submit(self, batch: bytes) -> None:
        """Have a batch run at the next `wait`."""
        self._batches.append(batch)

    def wait(self, timeout: float | None) -> list[Any]:
        """Run the next batch."""
        assert self._worker is not None
        if self._batches:
            self._worker.run(self._batches.popleft(), self._outcomes)
        return self.salvage()

    def salvage(self) -> list[Any]:
        """What the batch that was interrupted had done."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def close(self) -> None:
        """Stop listening to what bodies say."""
        self._batches.clear()
        if self._capture is not None:
            self._capture.close()
            self._capture = None
