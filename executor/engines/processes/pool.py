"""The engine `processes`: bodies run in processes of this machine. They are really parallel, and a body that crashes or
never returns hurts only its own task.

A process pool of the standard library does not serve: it doesn't say which call a dead worker was running, breaks the
whole pool when one worker dies, can't stop a body, and imports the user's program as `__main__`. Here each invocation
is a message of its own, answered before the next one is taken. So when a worker dies, it is known which call it was
running; the outcomes that it had sent are not lost, and the calls that it had not begun go to other workers.

Calls are given ahead, so that a worker has the next call when it is done with one. A worker without work takes calls
that another worker has not begun, so a long body never holds up the calls behind it. Workers that have ended a run well
serve the next run of this process.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from contextlib import ExitStack, suppress
from typing import Any, Final

from promissory.executor.clock import since_boot
from promissory.executor.engines.engine import Batch, Interruptible, Running, Setup, cores
from promissory.executor.engines.processes.child import WorkerProcess
from promissory.executor.engines.processes.host import Room, failed_start
from promissory.executor.engines.processes.messages import (
    AT_ONCE,
    CLOSE,
    KEPT,
    LEAVING,
    OPENED,
    OUTCOME,
    SAID,
    STALE,
    STOPPED,
)
from promissory.executor.engines.processes.opening import opening_of
from promissory.executor.engines.processes.spare import PATIENCE, keep, kept
from promissory.executor.engines.processes.unanswered import outcome_for
from promissory.executor.errors import EngineError, StoreError
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.messages import FAILURE, LOST, unstarted
from promissory.executor.worker.descriptors import occupy_closed
from promissory.executor.worker.streams import show_as

_MOST_AHEAD: Final = 64
_STARTED_AGAIN: Final = 3


class Processes:
    """As many worker processes as there may be bodies at one time, started when there is work for them."""

    name = "processes"
    largest_batch = 1
    ahead = 2
    remote = True
    stops_bodies = True

    def __init__(self) -> None:
        self._setup: Setup | None = None
        self._workers: list[WorkerProcess] = []
        self._queue: deque[Batch] = deque()
        self._outcomes: list[Any] = []
        self._stopped: BaseException | None = None
        self._started = self._failed_starts = 0
        self._answers_come_at_once = False
        self._asked = self._waits = 0.0
        self._ending = False
        self._waker: tuple[socket.socket, socket.socket] | None = None

    def slots(self, wanted: int | None) -> int:
        """The number that is wanted; by default the number of processors that this process may use."""
        return wanted or cores()

    def open(self, setup: Setup) -> None:
        """Get ready for a run. Raises `EngineError` if the engine is open: an engine carries one run at a time."""
        if self._setup is not None:
            raise EngineError(
                "this engine carries a run already; give each run an engine of its own, or the engine's name"
            )
        self._setup = setup
        occupy_closed()
        self._room = Room(setup.parallel)
        self._opening = opening_of(setup)
        self._selector = selectors.DefaultSelector()
        self._waker = socket.socketpair()
        for end in self._waker:
            end.setblocking(False)
        self._selector.register(self._waker[0], selectors.EVENT_READ, None)

    def submit(self, batch: Batch) -> None:
        """Have a batch run."""
        self._queue.append(batch)

    def wait(self, timeout: float, interruptible: Interruptible) -> list[Any]:
        """Hand out queued batches, and return the outcomes that came back."""
        self._waits = since_boot()
        self._hand_out()
        if not self._outcomes:
            with interruptible():
                events = self._look() or self._selector.select(self._patience(timeout))
            ending = [key.data for key, _ in events if key.data is not None and key.fd == key.data.ending]
            for worker in dict.fromkeys([key.data for key, _ in events]):
                if worker is None:
                    self._woken()
                else:
                    self._hear(worker, worker in ending)
            for worker in [one for one in self._workers if one.ending < 0 and not events]:
                self._hear(worker, True)  # this system doesn't tell when a process ends: look
            self._stop_what_is_late()
            self._hand_out()
        if self._stopped is not None:
            stopped, self._stopped = self._stopped, None
            raise stopped
        return self.salvage()

    def _woken(self) -> None:
        assert self._waker is not None
        with suppress(OSError):
            self._waker[0].recv(4096)

    def _look(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Look for answers without sleeping, if the last answers came at once: to sleep and be woken costs more than a
        short body (30 µs of a chain's 140)."""
        begun = time.perf_counter()
        events: list[tuple[selectors.SelectorKey, int]] = []
        while not events and self._answers_come_at_once and time.perf_counter() - begun < AT_ONCE:
            events = self._selector.select(0)
        self._answers_come_at_once = bool(events) or begun - self._asked < AT_ONCE
        self._asked = begun
        return events

    def wake(self) -> None:
        """Have `wait` return."""
        if self._waker is not None:
            with suppress(OSError):  # the socket is full, so that `wait` is awake; or it was closed just now
                self._waker[1].send(b"!")

    def salvage(self) -> list[Any]:
        """The outcomes that came back and were not returned yet."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def recall(self) -> None:
        """Take back the calls that no worker has begun."""
        batches = [*self._queue, *(batch for worker in self._workers for batch in worker.take_back())]
        self._queue.clear()
        for worker in self._workers:
            if worker.reserved is not None:
                batches.append(worker.reserved)
                worker.reserved = None
        for batch in batches:
            self._outcomes += unstarted(batch.calls)

    def announce_end(self, ending: bool) -> None:
        """Tell each worker, by a byte of memory that its bodies may look at."""
        self._ending = ending
        for worker in list(self._workers):
            worker.announce_end(ending)

    def running(self) -> list[Running]:
        """The first call that each worker has not answered."""
        found = []
        for worker in list(self._workers):
            try:
                frame, index, _ = worker.first.calls[0]
            except (StopIteration, RuntimeError):  # the worker has no call, or has just answered
                continue
            found.append(Running(frame, index, worker.name, worker.since))
        return found

    def close(self) -> None:
        """End workers that are busy; keep the others for the next run."""
        with ExitStack() as resources:
            resources.callback(self._forget_the_run)
            for worker in self._workers:
                if worker.sent:
                    worker.begin_end()  # all of them end at one time
                resources.callback(self._let_go, worker)

    def _let_go(self, worker: WorkerProcess) -> None:
        """Keep an idle worker for the next run; end one that is busy."""
        self._forget(worker)
        if worker.sent or worker.doomed or not worker.opened or worker.has_ended or not worker.send(CLOSE, b""):
            with ExitStack() as resources:
                resources.callback(worker.close)
                worker.kill()
                self._take_last(worker)
        else:
            keep(worker, self._room.workers)

    def _forget_the_run(self) -> None:
        self._workers.clear()
        self._queue.clear()
        self._outcomes.clear()
        if self._waker is not None:
            waker, self._waker = self._waker, None
            self._selector.close()
            for end in waker:
                end.close()
        self._setup, self._stopped, self._started, self._failed_starts, self._ending = None, None, 0, 0, False

    # --- handing out ---

    def _hand_out(self) -> None:
        """Give queued batches to the workers with the fewest calls. Start workers while there are fewer than may be."""
        waiting: list[Batch] = []
        while self._queue:
            batch = self._queue.popleft()
            if not self._place(batch):
                waiting.append(batch)
                if not batch.alone:
                    break
        self._queue.extendleft(reversed(waiting))
        if self._queue:
            self._start_workers(len(self._queue))
        else:
            self._share()

    def _place(self, batch: Batch) -> bool:
        """Give a batch to a worker; False if no worker can take it now."""
        assert self._setup is not None
        is_full = self._is_full
        if batch.alone:
            if is_full:
                return False
            worker = self._start(fresh=True)
            worker.reserved = batch
            return True
        workers = [
            worker for worker in self._workers if worker.opened and not worker.doomed and worker.reserved is None
        ]
        idle = [worker for worker in workers if not worker.sent]
        if idle and not is_full:
            return idle[-1].give(batch)
        busy = [worker for worker in workers if worker.sent]
        if not busy:
            return False
        least = min(busy, key=lambda worker: len(worker.sent))
        return len(least.sent) < _MOST_AHEAD and least.give(batch)

    @property
    def _is_full(self) -> bool:
        """Whether as many bodies run, or are about to, as may run at one time."""
        assert self._setup is not None
        return sum(1 for worker in self._workers if worker.sent or worker.reserved is not None) >= self._setup.parallel

    def _start_workers(self, wanted: int) -> None:
        """Start workers for the queued batches, while there are fewer than there may be."""
        assert self._setup is not None
        starting = sum(1 for worker in self._workers if not worker.opened)
        for _ in range(min(wanted - starting, self._room.workers - len(self._workers))):
            try:
                self._start()
            except EngineError as error:
                self._room.shrink_to(len(self._workers), error)
                return

    def _share(self) -> None:
        """Have workers without work, or workers yet to start, take over calls that others have not begun."""
        assert self._setup is not None
        most = max(self._workers, key=lambda worker: len(worker.sent), default=None)
        if most is None or len(most.sent) < 2 or self._is_full:
            return
        if any(worker.opened and not worker.sent and not worker.doomed for worker in self._workers):
            self._queue.extend(most.take_back())
            while self._queue:
                batch = self._queue.popleft()
                if not self._place(batch):
                    self._queue.appendleft(batch)
                    return
        else:
            self._start_workers(len(most.sent) - 1)

    def _start(self, fresh: bool = False) -> WorkerProcess:
        assert self._setup is not None
        worker = None if fresh else kept()
        if worker is None:
            worker = WorkerProcess(self._room.descriptors)
        self._started += 1
        worker.open(f"process-{self._setup.epoch}-{self._started}", self._opening)
        self._workers.append(worker)
        worker.announce_end(self._ending)
        self._selector.register(worker.pipe, selectors.EVENT_READ, worker)
        if worker.ending >= 0:
            self._selector.register(worker.ending, selectors.EVENT_READ, worker)
        return worker

    # --- hearing ---

    def _hear(self, worker: WorkerProcess, ended: bool = False) -> None:
        for kind, content in worker.hear():
            if kind == OUTCOME:
                self._outcomes.append(content)
            elif kind == OPENED:
                if worker.reserved is not None:
                    worker.give(worker.reserved._replace(sure=self._waits))  # its worker took long to start
                    worker.reserved, worker.doomed = None, True  # the worker gets nothing after this batch
            elif kind == STALE:
                worker.doomed = True
                self._queue.extendleft([*reversed(worker.take_back()), *([worker.answered()] if worker.sent else [])])
            elif kind == LEAVING:
                worker.doomed = True
                self._queue.extendleft(reversed(worker.take_back()))
            elif kind == STOPPED:
                name, text = content
                self._stopped = KeyboardInterrupt(text) if name == "KeyboardInterrupt" else StoreError(text)
                self._outcomes += unstarted(worker.answered().calls)
            else:
                self._take(kind, content)
        if worker.doomed and not worker.sent:  # the worker ends, or has ended, as it said
            self._forget(worker)
            self._workers.remove(worker)
            worker.close(PATIENCE)
        elif (ended or worker.is_silent) and worker.has_ended:
            self._ended(worker)

    def _take(self, kind: int, content: Any) -> None:
        """Take a message that counts even if the worker that sent it is gone."""
        assert self._setup is not None
        if kind == OUTCOME:
            self._outcomes.append(content)
        elif kind == SAID:
            show_as(self._setup.echo)(content[0])
        elif kind == KEPT:
            key, data = content
            self._setup.store.put(key, data)

    def _take_last(self, worker: WorkerProcess) -> bool:
        """Take the last messages of a worker that ended. Returns whether an outcome was among them."""
        before = len(self._outcomes)
        for kind, content in worker.hear():
            self._take(kind, content)
        return len(self._outcomes) > before

    def _ended(self, worker: WorkerProcess) -> None:
        """Act on a worker's death: its running call is lost, and calls that it had not begun go to other workers."""
        self._take_last(worker)
        words = worker.last_words()
        self._queue.extendleft(reversed(worker.take_back()))
        if not worker.opened:
            self._forget(worker)
            self._workers.remove(worker)
            worker.close()
            if worker.reserved is not None:
                self._queue.appendleft(worker.reserved)
            self._failed_starts += 1
            if words[0] is None or self._failed_starts > _STARTED_AGAIN:
                self._room.shrink_to(len(self._workers), failed_start(words))
            return  # a signal that killed the worker says nothing about the next one
        if worker.sent:
            running, *behind = worker.sent.values()
            self._queue.extendleft(reversed(behind))
            self._outcomes.append(self._outcome_for(worker, running, LOST, list(words)))
        worker.sent.clear()
        self._forget(worker)
        self._workers.remove(worker)
        worker.close()

    def _outcome_for(self, worker: WorkerProcess, batch: Batch, status: int, payload: Any) -> list[Any]:
        assert self._setup is not None
        return outcome_for(self._setup, worker, batch, status, payload)

    # --- time-outs ---

    def _patience(self, timeout: float) -> float:
        """The seconds for which `wait` may sleep."""
        deadlines = [worker.deadline for worker in self._workers if worker.deadline is not None]
        return max(0.0, min([timeout, *(deadline - time.monotonic() for deadline in deadlines)]))

    def _stop_what_is_late(self) -> None:
        """Stop bodies whose time is over, and only those: their workers have begun nothing else (rule R2)."""
        now = time.monotonic()
        for worker in [one for one in self._workers if one.deadline is not None and one.deadline <= now]:
            self._hear(worker)
            if worker.deadline is None or worker not in self._workers:
                continue  # the outcome came just in time
            batch = worker.first
            worker.kill()
            if not self._take_last(worker):
                failure = Failure.of_executor(
                    "TaskTimeout", f"its body was stopped after {batch.timeout:g} s, which is its time-out"
                )
                self._outcomes.append(self._outcome_for(worker, batch, FAILURE, failure.to_tree()))
                worker.answered()
            self._queue.extendleft(reversed(worker.take_back()))
            self._forget(worker)
            self._workers.remove(worker)
            worker.close()

    def _forget(self, worker: WorkerProcess) -> None:
        self._selector.unregister(worker.pipe)
        if worker.ending >= 0:
            self._selector.unregister(worker.ending)
