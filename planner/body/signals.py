"""Signals: exceptions by which a task ends with a wish to its run (rules R1, S1, S6).

Requests by calls are in `promissory.planner.body.context`.

Signals derive from `BaseException`, so that a body's own `except Exception` lets them through: they are ends that the
author wants, not errors.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

from promissory._names import publish
from promissory.planner.plan.policy import seconds


class Signal(BaseException):
    """An exception that a task raises to its run. Its text is for places where no run takes it."""

    def __str__(self) -> str:
        said = f"{super().__str__()!r}" if super().__str__() else ""
        return (
            f"{type(self).__name__}({said}) was raised where no run takes it: raise it in a @task or "
            "@dynamic, and run that with promissory.run(…)"
        )


class Retry(Signal):
    """Raised by a task that wants another attempt, within its budget of `retries`.

    Args:
        after: seconds (or a timedelta) before the next attempt; by default the `retry_delay` of the task.
        message: the reason, for the log and for the error when the budget is spent.

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
    """Raised by a task or dynamic that wants another iteration (rule S1).

    Each iteration is a run of the body of its own, with its own retries and time-out.

    Args:
        result: the next iteration's `current_context().loop_result`; plain data. In a dynamic it may hold promises: the
            next iteration starts when their values are there.
        message: the reason, for the log.

    A loop is no recursion: a million iterations need no more depth and no more memory than one.

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
    """Raised by a task or dynamic that is not to be done this time (rule S6).

    A skip is neither success nor failure; a node that wants the skipped value is skipped too.

    Args:
        reason: the reason, for people.

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


publish(globals())
