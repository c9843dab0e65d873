"""What a task may ask of its run, as something that it raises (rule R1; semantics, "Signals").

These derive from `BaseException`, so that a body's own `except Exception` lets them through: they are ends that the author wants, not errors.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn

from planner.policy import seconds


class Signal(BaseException):
    """Anything that a task raises to its run."""


class Retry(Signal):
    """Raised by a task: let me try again, within my budget of `retries`.

    Args:
        after: seconds (or a timedelta) before the next attempt; by default what `retry_delay` says.
        message: why, for the log and for the error when the budget is spent.

    >>> from planner import Retry, task
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


def _refuse(after: object) -> NoReturn:
    raise ValueError(f"Retry(after=…) wants a number of seconds of at least 0, or a timedelta, not {after!r}")
