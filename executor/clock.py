"""The clock of a run: it tells when a delay is over, and when the whole run is late. A test gives a run another clock
(`promissory.testing.MockClock`). And the clock that pauses of a process are told by."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

_LOOK_UP: Final = 1.0
"""Seconds after which `wait` returns, though nothing has happened."""

PAUSE: Final = 3.0
"""Seconds after which an executor can't be sure any more that its run is still its own (rule J3). Another one that
watches it waits for longer, so nobody is overtaken within that time but by somebody's order."""

since_boot: Final[Callable[[], float]] = partial(
    time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
)
"""Seconds since the machine was started, those in which it was suspended too. All its processes have the same."""


class Clock(Protocol):
    """The moments and waits that a run loop needs."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def time(self) -> float:
        """Seconds since the epoch, for moments that outlive this process. They may jump."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Wait for an event, at most for some seconds, or less. Nothing runs meanwhile."""


class SystemClock:
    """The machine's clock.

    >>> SystemClock().monotonic() <= SystemClock().monotonic()
    True
    """

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def wait(self, event: threading.Event, seconds: float) -> None:
        event.wait(min(seconds, _LOOK_UP))
