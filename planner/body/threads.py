"""The threads that a body starts: they run in the body's context, so `current_context()` is the body's in them, too.

Python gives a new thread an empty context before 3.14. Once a body has run in this process, a thread that is started
inside a body gets a copy of the body's context, as `asyncio` gives one to each task (PEP 567). Threads that are started
anywhere else are left as they are.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from functools import wraps
from typing import Any

from promissory.planner.body.context import current_body

_is_inherited = False


def inherit_context() -> None:
    """Have threads that bodies start inherit the context, from the first call on."""
    global _is_inherited
    if _is_inherited:
        return
    _is_inherited = True
    start = threading.Thread.start

    @wraps(start)
    def start_in_context(thread: threading.Thread, *arguments: Any, **options: Any) -> None:
        if current_body.get() is not None:
            context, run = copy_context(), thread.run

            def run_in_context() -> None:
                del thread.run  # or the thread and this function would keep each other alive
                context.run(run)

            thread.run = run_in_context  # type: ignore[method-assign]
        start(thread, *arguments, **options)

    threading.Thread.start = start_in_context  # type: ignore[method-assign, assignment]
