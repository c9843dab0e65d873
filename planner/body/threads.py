"""The threads that a body starts: they run in the body's context, so `current_context()` is the body's in them, too.

Python gives a new thread an empty context before 3.14. While bodies run in this process, a thread that is started
inside a body gets a copy of the body's context, as `asyncio` gives one to each task (PEP 567). Threads that are started
anywhere else are left as they are.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import Any

from promissory.planner.body.context import current_body

_lock = threading.Lock()
_bodies = 0
_start = threading.Thread.start


def _start_in_context(thread: threading.Thread, *arguments: Any, **options: Any) -> None:
    if current_body.get() is not None:
        context, run = copy_context(), thread.run

        def run_in_context() -> None:
            del thread.run  # or the thread and this function would keep each other alive
            context.run(run)

        thread.run = run_in_context  # type: ignore[method-assign]
    _start(thread, *arguments, **options)


def inherit_context() -> None:
    """Bodies may run from now on, until `leave_context` was called as often."""
    global _bodies, _start
    with _lock:
        _bodies += 1
        if _bodies == 1 and threading.Thread.start is not _start_in_context:
            _start = threading.Thread.start
            threading.Thread.start = _start_in_context  # type: ignore[method-assign, assignment]


def leave_context() -> None:
    """No more bodies run. A function that another library put over ours meanwhile stays."""
    global _bodies
    with _lock:
        _bodies -= 1
        if _bodies == 0 and threading.Thread.start is _start_in_context:
            threading.Thread.start = _start  # type: ignore[method-assign]
