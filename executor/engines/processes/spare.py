"""Workers between runs: a worker that has ended its run well is kept for the next run of this process.

No more are kept than the largest run may have, and none longer than a minute. A thread ends them then; the thread is
there only while workers wait. Spare workers end with the program. A child that this process forks leaves them to its
parent.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from contextlib import ExitStack, suppress
from typing import Final

from promissory.executor.engines.processes.child import WorkerProcess

PATIENCE: Final = 1.0
"""Seconds that a worker has to end by itself."""
IDLE: Final = 60.0
"""Seconds after which a worker that had nothing to do ends."""


class _Spare:
    """The workers that wait, the longest waiting first."""

    def __init__(self) -> None:
        self.workers: list[WorkerProcess] = []
        self.lock = threading.Lock()
        self._changed = threading.Event()
        self._watched = False
        self._most = 0

    def keep(self, worker: WorkerProcess, most: int) -> None:
        worker.idle_since = time.monotonic()
        with self.lock:
            self._most = max(self._most, most)
            self.workers.append(worker)
            too_many, self.workers = self.workers[: -self._most], self.workers[-self._most :]
            if not self._watched:
                with suppress(RuntimeError):  # this program ends, or may start no thread: workers end with it then
                    threading.Thread(target=self._watch, name="promissory idle workers", daemon=True).start()
                    self._watched = True
        _end(too_many)

    def kept(self) -> WorkerProcess | None:
        while True:
            with self.lock:
                if not self.workers:
                    return None
                worker = self.workers.pop()
                self._changed.set()
            if not worker.has_ended:
                return worker
            worker.close()

    def end_all(self) -> None:
        with self.lock:
            ending, self.workers, self._most = self.workers, [], 0
            self._changed.set()
        _end(ending)

    def _watch(self) -> None:
        """End workers whose time is over, until none waits."""
        while True:
            with self.lock:
                self._changed.clear()
                now = time.monotonic()
                over = [worker for worker in self.workers if worker.has_ended or now - worker.idle_since >= IDLE]
                self.workers = [worker for worker in self.workers if worker not in over]
                if not self.workers:
                    self._watched, self._most = False, 0
                    next_look = 0.0
                else:
                    next_look = self.workers[0].idle_since + IDLE - now
            _end(over)
            if not next_look:
                return
            self._changed.wait(next_look)


def _end(workers: list[WorkerProcess]) -> None:
    with ExitStack() as resources:
        for worker in workers:
            resources.callback(worker.close, PATIENCE)


_spare = _Spare()


def keep(worker: WorkerProcess, most: int) -> None:
    """Keep an idle worker of a run that may have so many. One that has waited longer ends, if there are too many."""
    _spare.keep(worker, most)


def kept() -> WorkerProcess | None:
    """A worker that an earlier run left, if one is alive."""
    return _spare.kept()


@atexit.register
def end_idle_workers() -> None:
    """End the worker processes that wait for the next run of this program.

    Runs on `processes` leave their workers to the next run, which then starts more quickly. A worker ends by itself
    when it has had nothing to do for a minute, and with the program. Call this to have their memory at once. Workers
    of runs that go on are not touched, and the next run starts new ones.

    >>> import promissory
    >>> promissory.end_idle_workers()
    """
    _spare.end_all()


def _forget_all() -> None:
    global _spare
    _spare = _Spare()  # the workers are the parent's, and its lock may be held


os.register_at_fork(after_in_child=_forget_all)
