"""Workers between runs: a worker that has ended its run well is kept for the next run of this process.

Spare workers end with the program. A child that this process forks leaves them to its parent.
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import ExitStack
from typing import Final

from promissory.executor.engines.processes.child import WorkerProcess

PATIENCE: Final = 1.0
"""Seconds that a worker has to end by itself."""

_spare: list[WorkerProcess] = []
_lock = threading.Lock()


def keep(worker: WorkerProcess) -> None:
    """Keep an idle worker for the next run."""
    with _lock:
        _spare.append(worker)


def kept() -> WorkerProcess | None:
    """A worker that an earlier run left, if one is alive."""
    with _lock:
        while _spare:
            worker = _spare.pop()
            if not worker.has_ended:
                return worker
            worker.close()
    return None


@atexit.register
def _end_spare_workers() -> None:
    with _lock, ExitStack() as resources:
        resources.callback(_spare.clear)
        for worker in _spare:
            resources.callback(worker.close, PATIENCE)


os.register_at_fork(after_in_child=_spare.clear)
