"""What a task raises to its run (rules R1, S1, S6). What it asks by calls is in `promissory.planner.body.context`.

These derive from `BaseException`, so that a body's own `except Exception` lets them through: they are ends that the author wants, not errors.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

from promissory.planner.plan.policy import seconds


class Signal(BaseException):
    """Anything that a task raises to its run. Its text is for where no run takes it."""

    def __str__(self) -> str:
        said = f"{super().__str__()!r}" if super().__str__() else ""
        return f"{type(self).__name__}({said}) was raised where no run takes it: raise it in a @task or @dynamic, and run that with promissory.run(…)"


class Retry(Signal):
    """Raised by a task: let me try again, within my budget of `retries`.

    Args:
        after: seconds (or a timedelta) before the next attempt; by default what `retry_delay` says.
        message: why, for the log and for the error when the budget is spent.

    >>> from promissory import Retry, task
    >>> @task(retries=5)
    ... def job_result(job: str) -> str:
    ...     raise Retry(after=30, message=f"{job} is not ready yet")
    """

    def __init__(self, after: float | timedelta | None = None, message: str = "") -> None:
        delay = seconds(after)
        if delay is not None and not (isinstance(delay, float) and 0 <= delay < float("inf")):
            _refuse(after)
        super().__init__(message)
        self.after = delay
        self.message = message

    def __reduce__(self) -> tuple[type[Retry], tuple[float | None, str]]:
        return type(self), (self.after, self.message)


class Loop(Signal):
    """Raised by a task or dynamic: run me again (rule S1). Each iteration is a run of its own, with its own retries and time-out.

    Args:
        result: what the next iteration finds as `current_context().loop_result`; plain data. In a dynamic it may hold promises: the next iteration starts when
            their values are there.
        message: why, for the log.

    It is not recursion: a million iterations need no more depth and no more memory than one.

    >>> from promissory import Loop, current_context, task
    >>> @task
    ... def fib_above(limit: int) -> int:
    ...     a, b = current_context().loop_result or (0, 1)
    ...     if b > limit:
    ...         return b
    ...     raise Loop((b, a + b))
    >>> import promissory
    >>> promissory.run(fib_above, {"limit": 100}, store="memory://doctest-loop").result
    144
    """

    def __init__(self, result: Any = None, message: str = "") -> None:
        super().__init__(message)
        self.result = result
        self.message = message

    def __reduce__(self) -> tuple[type[Loop], tuple[Any, str]]:
        return type(self), (self.result, self.message)


class Skip(Signal):
    """Raised by a task or dynamic: I am not to be done this time (rule S6). It is neither success nor failure; what wants its value is skipped too.

    Args:
        reason: why, for people.

    >>> from promissory import Skip, task
    >>> @task
    ... def thumbnail(kind: str) -> bytes:
    ...     if kind != "image":
    ...         raise Skip(f"{kind} has no thumbnail")
    ...     return b"..."
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason

    def __reduce__(self) -> tuple[type[Skip], tuple[str]]:
        return type(self), (self.reason,)


def _refuse(after: object) -> NoReturn:
    raise ValueError(f"Retry(after=…) wants a number of seconds of at least 0, or a timedelta, not {after!r}")
