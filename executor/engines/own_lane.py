"""The lane of an engine whose bodies run in this process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from promissory.executor.engines.engine import Batch, Running, Setup
from promissory.executor.store.keys import log_key
from promissory.executor.worker.capture import Capture

if TYPE_CHECKING:
    from promissory.executor.worker.async_worker import AsyncWorker
    from promissory.executor.worker.lane import Lane


class OwnLane:
    """Runs async tasks on one event loop of this process, which is made when the first one comes.

    Args:
        came: is set when there is an outcome, or an error.

    Attributes:
        outcomes: what came.
        raised: interrupts, and failures of the store.
    """

    def __init__(self, came: threading.Event) -> None:
        self.outcomes: deque[list[Any]] = deque()
        self.raised: deque[BaseException] = deque()
        self._came = came
        self._setup: Setup | None = None
        self._is_ending: Callable[[], bool] = bool
        self._lane: Lane | None = None

    def open(self, setup: Setup, is_ending: Callable[[], bool]) -> None:
        """Get ready for a run."""
        self._setup, self._is_ending = setup, is_ending
        # A body of an earlier run that could not be cancelled keeps the old ones.
        self.outcomes, self.raised = deque(), deque()

    def submit(self, batch: Batch) -> None:
        """Have the one call of a batch run beside others."""
        if self._lane is None:
            # Only runs with async tasks need an event loop, whose import is slow.
            from promissory.executor.worker.lane import Lane

            self._lane = Lane("lane", self._make, self._answer(self.outcomes), self._answer(self.raised))
        self._lane.submit(0, batch.content, batch.sure)

    def taken(self) -> list[Any]:
        """The outcomes that came, which are taken away."""
        found = []
        while self.outcomes:
            found.append(self.outcomes.popleft())
        return found

    def _answer(self, into: deque[Any]) -> Callable[..., None]:
        came = self._came

        def answer(*found: Any) -> None:
            into.append(found[-1])
            came.set()

        return answer

    def _make(self, number: int) -> tuple[AsyncWorker, Capture]:
        from promissory.executor.worker.async_worker import AsyncWorker

        setup = self._setup
        assert setup is not None
        name = f"lane-{setup.epoch}-{number}"
        capture = Capture(setup.store, log_key(setup.run_id, name), setup.echo, setup.log_level)
        worker = AsyncWorker(
            setup.store,
            setup.run_id,
            name,
            setup.created,
            capture,
            epoch=setup.epoch,
            bundle=setup.bundle,
            is_ending=self._is_ending,
        )
        return worker, capture

    def running(self) -> list[Running]:
        """The bodies that run. From any thread."""
        lane = self._lane
        return (
            [] if lane is None else [Running(frame, index, name, since) for frame, index, since, name in lane.running]
        )

    def close(self) -> None:
        """Cancel the bodies that run."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.close()
        self._setup = None
