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

import time
from collections import deque
from contextlib import ExitStack
from typing import Any, Final

from promissory.executor.clock import since_boot
from promissory.executor.engines.engine import Batch, Interruptible, Running, Setup, cores
from promissory.executor.engines.processes.child import WorkerProcess
from promissory.executor.engines.processes.ears import Ears
from promissory.executor.engines.processes.host import Room, failed_start
from promissory.executor.engines.processes.lanes import Lanes
from promissory.executor.engines.processes.messages import (
    CLOSE,
    KEPT,
    LEAVING,
    OPENED,
    OUTCOME,
    SAID,
    STALE,
    STOPPED,
    Opening,
)
from promissory.executor.engines.processes.opening import older_opening, opening_of
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
        self._waits = 0.0
        self._ending = False
        self._ears: Ears | None = None
        self._lanes: Lanes | None = None

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
        self._ears = Ears()
        self._lanes = Lanes(setup, self._start_lane, self._forget)

    def submit(self, batch: Batch) -> None:
        """Have a batch run."""
        if (batch.overlaps or batch.holder is not None) and not batch.alone:
            assert self._lanes is not None
            self._lanes.submit(batch)
        else:
            self._queue.append(batch)

    def wait(self, timeout: float, interruptible: Interruptible) -> list[Any]:
        """Hand out queued batches, and return the outcomes that came back."""
        assert self._ears is not None
        self._waits = since_boot()
        self._hand_out()
        if not self._outcomes:
            with interruptible():
                heard, was_anything = self._ears.heard(self._patience(timeout))
            for worker, ends in heard.items():
                self._hear(worker, ends)
            for worker in [one for one in self._workers if one.ending < 0 and not was_anything]:
                self._hear(worker, True)  # this system doesn't tell when a process ends: look
            self._stop_what_is_late()
            self._hand_out()
        if self._stopped is not None:
            stopped, self._stopped = self._stopped, None
            raise stopped
        return self.salvage()

    def wake(self) -> None:
        """Have `wait` return."""
        ears = self._ears
        if ears is not None:
            ears.wake()

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
        if self._lanes is not None:
            self._outcomes += self._lanes.recall()

    def announce_end(self, ending: bool) -> None:
        """Tell each worker, by a byte of memory that its bodies may look at."""
        self._ending = ending
        for worker in list(self._workers):
            worker.announce_end(ending)
        if self._lanes is not None:
            self._lanes.announce_end(ending)

    def running(self) -> list[Running]:
        """The first call that each worker has not answered."""
        found = []
        for worker in list(self._workers):
            try:
                frame, index, _ = worker.first.calls[0]
            except (StopIteration, RuntimeError):  # the worker has no call, or has just answered
                continue
            found.append(Running(frame, index, worker.name, worker.since))
        return found + ([] if self._lanes is None else list(self._lanes.running()))

    def close(self) -> None:
        """End workers that are busy; keep the others for the next run."""
        with ExitStack() as resources:
            resources.callback(self._forget_the_run)
            for worker in self._workers:
                if worker.sent:
                    worker.begin_end()  # all of them end at one time
                resources.callback(self._let_go, worker)
            if self._lanes is not None:
                resources.callback(self._lanes.close)

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
        if self._ears is not None:
            ears, self._ears = self._ears, None
            ears.close()
        self._lanes = None
        self._setup, self._stopped, self._started, self._failed_starts, self._ending = None, None, 0, 0, False

    # --- handing out ---

    def _hand_out(self) -> None:
        """Give queued batches to the workers with the fewest calls. Start workers while there are fewer than may be."""
        assert self._lanes is not None
        self._lanes.hand_out()
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
        worker = None if fresh else kept()
        if worker is None:
            worker = WorkerProcess(self._room.descriptors)
        self._workers.append(worker)
        return self._opened(worker, self._opening)

    def _start_lane(self, older: bool) -> WorkerProcess:
        assert self._setup is not None
        opening = older_opening(self._opening, self._setup) if older else self._opening
        return self._opened(WorkerProcess(self._room.descriptors), opening._replace(lane=True))

    def _opened(self, worker: WorkerProcess, opening: Opening) -> WorkerProcess:
        assert self._setup is not None
        self._started += 1
        worker.open(f"process-{self._setup.epoch}-{self._started}", opening)
        worker.announce_end(self._ending)
        assert self._ears is not None
        self._ears.listen_to(worker)
        return worker

    # --- hearing ---

    def _hear(self, worker: WorkerProcess, ended: bool = False) -> None:
        lanes = self._lanes
        assert lanes is not None
        for kind, content in worker.hear():
            if kind == OUTCOME:
                self._outcomes.append(lanes.take(worker, content) if worker.lane else content)
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
                self._outcomes += [] if worker.lane else unstarted(worker.answered().calls)
            else:
                self._take(kind, content)
        if worker.lane:
            if (ended or worker.is_silent) and worker.has_ended and worker in lanes:
                self._outcomes += lanes.ended(worker)
        elif worker.doomed and not worker.sent:  # the worker ends, or has ended, as it said
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
        of_lanes = None if self._lanes is None else self._lanes.next_deadline()
        deadlines += [] if of_lanes is None else [of_lanes]
        return max(0.0, min([timeout, *(deadline - time.monotonic() for deadline in deadlines)]))

    def _stop_what_is_late(self) -> None:
        """Stop bodies whose time is over, and only those: their workers have begun nothing else (rule R2)."""
        now = time.monotonic()
        if self._lanes is not None:
            self._outcomes += self._lanes.stop_what_is_late()
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
        assert self._ears is not None
        self._ears.forget(worker)
