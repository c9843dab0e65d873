"""The time that a run goes by: when a delay is over, when the whole run is late. A test gives a run another one (`promissory.testing.MockClock`)."""

from __future__ import annotations

import threading
import time
from typing import Final, Protocol

_LOOK_UP: Final = 1.0
"""Seconds after which whoever waits looks around, though nothing has happened."""


class Clock(Protocol):
    """What a run loop asks of time."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def time(self) -> float:
        """Seconds since the epoch, for what outlives this process; may jump."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Wait for an event, at most so long, or less. Nothing runs meanwhile."""


class SystemClock:
    """The machine's.

    >>> SystemClock().monotonic() <= SystemClock().monotonic()
    True
    """

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def wait(self, event: threading.Event, seconds: float) -> None:
        event.wait(min(seconds, _LOOK_UP))
