"""Death at a named point of the executor's own code: a real one, or an exception that no code handles."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from promissory.executor import crash_points
from promissory.executor.crash_points import Crashed


@contextmanager
def crash_at(point: str, occurrence: int = 1, how: Literal["raise", "kill"] = "raise") -> Iterator[None]:
    """Have this process die when it comes to a point for the n-th time.

    Args:
        point: one of `promissory.executor.crash_points.POINTS`.
        occurrence: n, from 1.
        how: "raise" raises `Crashed`; "kill" ends the process as `kill -9` does.

    Raises:
        ValueError: there is no such point.

    >>> from promissory import task
    >>> import promissory
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> with crash_at("journal.segment-written"):
    ...     try:
    ...         promissory.run(inc, {"x": 1}, store="memory://crash", run_id="crashed")
    ...     except Crashed:
    ...         print("it is dead")
    it is dead
    >>> promissory.resume("crashed", store="memory://crash").result
    2
    """
    if point not in crash_points.POINTS:
        raise ValueError(f"there is no point {point!r}; there are: {', '.join(crash_points.POINTS)}")
    lock, seen, dead = threading.Lock(), 0, False

    def watch(reached: str) -> None:
        nonlocal seen, dead
        with lock:
            if dead:
                raise Crashed(point)  # a dead process does nothing more, on any thread
            seen += reached == point
            if reached != point or seen != occurrence:
                return
            dead = True
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise Crashed(point)

    before, crash_points.watcher = crash_points.watcher, watch
    try:
        yield
    finally:
        crash_points.watcher = before


__all__ = ["Crashed", "crash_at"]
