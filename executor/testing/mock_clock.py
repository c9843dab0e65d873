"""A clock that goes on only when nothing else is left to do. With it a run with delays of hours ends at once, and in
the right order."""

from __future__ import annotations

import threading
from typing import Final

_A_MOMENT: Final = 0.001


class MockClock:
    """A clock for `promissory.run(…, clock=MockClock())`: where the run would wait for a moment, the clock is put
    forward to that moment.

    Args:
        start: the seconds since the epoch with which the clock begins.

    Attributes:
        slept: the waits that were skipped, in seconds.

    >>> from promissory import Retry, task
    >>> import promissory
    >>> attempts = []
    >>> @task(retries=3, retry_delay=60, backoff=10)
    ... def flaky() -> int:
    ...     attempts.append(len(attempts))
    ...     if len(attempts) < 4:
    ...         raise OSError("not yet")
    ...     return len(attempts)
    >>> clock = MockClock()
    >>> promissory.run(flaky, store="memory://doctest", clock=clock).result, round(clock.monotonic())
    (4, 6660)
    """

    def __init__(self, start: float = 1_000_000_000.0) -> None:
        self._start = start
        self._now = 0.0
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        with self._lock:
            return self._now

    def time(self) -> float:
        """Seconds since the epoch."""
        with self._lock:
            return self._start + self._now

    def advance(self, seconds: float) -> None:
        """Put the clock forward."""
        with self._lock:
            self._now += seconds

    def set_calendar(self, time: float) -> None:
        """Set the calendar, forward or back, as an administrator would; `monotonic` does not notice."""
        with self._lock:
            self._start = time - self._now

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Put the clock forward by the seconds of the wait, unless the event happens at once."""
        if not event.wait(_A_MOMENT):
            self.slept.append(seconds)
            self.advance(seconds)
