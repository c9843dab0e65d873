"""The worker processes in which async bodies run side by side.

They are apart from those that run one body after the other, so that neither holds up the other. A body of an async
dynamic goes on in the process that has it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from promissory.executor.engines.engine import OVERLAPPING, Batch, Running, Setup
from promissory.executor.engines.processes.child import WorkerProcess
from promissory.executor.engines.processes.host import failed_start
from promissory.executor.engines.processes.messages import OUTCOME
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.messages import FAILURE, LOST, unstarted

_STARTED_AGAIN: Final = 3
_GRACE: Final = 5.0
"""Seconds after a time-out in which a body may still be cancelled, before its process is ended."""


class Lanes:
    """The processes for async bodies.

    Args:
        setup: the run.
        start: starts a process, and listens to it; told whether it is to have the code that the run began with.
        forget: listens to it no more.
    """

    def __init__(
        self, setup: Setup, start: Callable[[bool], WorkerProcess], forget: Callable[[WorkerProcess], None]
    ) -> None:
        self._setup = setup
        self._start = start
        self._forget = forget
        self._failed_starts = 0
        self._queue: deque[Batch] = deque()
        self._workers: list[WorkerProcess] = []
        self._older: set[WorkerProcess] = set()
        self._deadlines: dict[tuple[WorkerProcess, int], float] = {}

    def __contains__(self, worker: WorkerProcess) -> bool:
        return worker in self._workers

    def submit(self, batch: Batch) -> None:
        """Have a batch run beside others."""
        self._queue.append(batch)

    def hand_out(self) -> None:
        """Give the queued batches to the processes: to the one that has the body, else to the one with the fewest."""
        waiting: list[Batch] = []
        while self._queue:
            batch = self._queue.popleft()
            if not self._place(batch):
                waiting.append(batch)
        self._queue.extend(waiting)
        for older in (False, True):
            workers = [worker for worker in self._workers if (worker in self._older) is older]
            starting = sum(OVERLAPPING for worker in workers if not worker.opened)
            if len(workers) < self._setup.parallel and sum(one.is_older is older for one in waiting) > starting:
                worker = self._start(older)
                self._workers.append(worker)
                if older:
                    self._older.add(worker)

    def _place(self, batch: Batch) -> bool:
        ready = [
            worker
            for worker in self._workers
            if worker.opened and not worker.has_ended and (worker in self._older) is batch.is_older
        ]
        holder = (batch.holder or "").partition(".")[0]
        worker = next((one for one in ready if holder and one.name == holder), None)
        if worker is None:
            worker = min(ready, key=lambda one: len(one.sent), default=None)
            if worker is None or len(worker.sent) >= OVERLAPPING:
                return False
        if not worker.give(batch):
            return False
        if batch.timeout is not None:
            number = next(reversed(worker.sent))
            self._deadlines[worker, number] = time.monotonic() + batch.timeout + _GRACE
        return True

    def take(self, worker: WorkerProcess, content: list[Any]) -> list[Any]:
        """An outcome that came from a process."""
        number, outcome = content
        worker.sent.pop(number, None)
        self._deadlines.pop((worker, number), None)
        found: list[Any] = outcome
        return found

    def ended(self, worker: WorkerProcess) -> list[Any]:
        """A process has ended. The outcomes of its calls: which of them ended it is not known, so all are lost, and
        each is begun again alone. Raises `EngineError` if processes end before they are ready."""
        words = list(worker.last_words())
        if not worker.opened:
            self._failed_starts += 1
            if words[0] is None or self._failed_starts > _STARTED_AGAIN:
                self._leave(worker)
                raise failed_start(worker.last_words())
        return self._outcomes(worker, [LOST] * len(worker.sent), [words] * len(worker.sent))

    def stop_what_is_late(self) -> list[Any]:
        """End the processes with a body that could not be cancelled. The outcomes of their calls: the others are given
        back."""
        now, found = time.monotonic(), []
        for worker, number in [key for key, deadline in self._deadlines.items() if deadline <= now]:
            if worker not in self._workers:
                continue
            batch = worker.sent[number]
            failure = Failure.of_executor(
                "TaskTimeout",
                f"its body held its event loop beyond {batch.timeout:g} s, which is its time-out, and was stopped",
            )
            worker.kill()
            found += [self.take(worker, content) for kind, content in worker.hear() if kind == OUTCOME]
            if number in worker.sent:
                del worker.sent[number]
                found.append(self._outcome(worker, batch, FAILURE, failure.to_tree()))
            found += [outcome for other in worker.sent.values() for outcome in unstarted(other.calls)]
            worker.sent.clear()
            self._leave(worker)
        return found

    def _outcomes(self, worker: WorkerProcess, statuses: list[int], payloads: list[Any]) -> list[Any]:
        found = [
            self._outcome(worker, batch, status, payload)
            for batch, status, payload in zip(worker.sent.values(), statuses, payloads, strict=True)
        ]
        worker.sent.clear()
        self._leave(worker)
        return found

    def _outcome(self, worker: WorkerProcess, batch: Batch, status: int, payload: Any) -> list[Any]:
        frame, index, attempt = batch.calls[0]
        begun = worker.since - self._setup.created
        return [frame, index, status, payload, begun, worker.lasted(), worker.name, attempt, None, None, None]

    def _leave(self, worker: WorkerProcess) -> None:
        for key in [key for key in self._deadlines if key[0] is worker]:
            del self._deadlines[key]
        self._forget(worker)
        self._workers.remove(worker)
        self._older.discard(worker)
        worker.close()

    def next_deadline(self) -> float | None:
        """The moment (`time.monotonic`) at which the first process is to be looked at."""
        return min(self._deadlines.values(), default=None)

    def recall(self) -> list[Any]:
        """The outcomes of the batches that were not handed out."""
        found = [outcome for batch in self._queue for outcome in unstarted(batch.calls)]
        self._queue.clear()
        return found

    def announce_end(self, ending: bool) -> None:
        """Tell the bodies that the run is to end, or that it is not."""
        for worker in list(self._workers):
            worker.announce_end(ending)

    def running(self) -> Iterator[Running]:
        """The calls that the processes have. From any thread."""
        for worker in list(self._workers):
            for batch in list(worker.sent.values()):
                frame, index, _ = batch.calls[0]
                yield Running(frame, index, worker.name, worker.since)

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.begin_end()  # all of them end at one time
        for worker in list(self._workers):
            worker.kill()
            self._leave(worker)
        self._queue.clear()
