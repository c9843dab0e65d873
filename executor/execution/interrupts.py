"""Ctrl-C at a safe moment.

Python raises `KeyboardInterrupt` between any two instructions, also in the middle of the scheduler's bookkeeping. While
a run is carried in the main thread, an interrupt is raised at once only where bodies run; anywhere else the interrupt
waits until the bookkeeping is done.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Whether an interrupt may be raised now, and whether one is waiting."""

    def __init__(self) -> None:
        self._welcome = False
        self._waiting = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._welcome or self._waiting:  # a second Ctrl-C says that the user does not want to wait
            raise KeyboardInterrupt
        self._waiting = True

    def welcome(self) -> Interrupts:
        """Raise interrupts at once in a `with` block of this; one that waits is raised when the block begins."""
        return self

    def __enter__(self) -> None:
        try:
            self._welcome = True
            if self._waiting:
                self._waiting = False
                raise KeyboardInterrupt
        except BaseException:
            self._welcome = False
            raise

    def __exit__(self, *_: object) -> None:
        self._welcome = False


@contextmanager
def deferred_interrupts() -> Iterator[Interrupts]:
    """Take over Ctrl-C if this is the main thread and Ctrl-C has Python's own meaning; otherwise change nothing."""
    interrupts = Interrupts()
    mine = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not mine:
        yield interrupts
        return
    signal.signal(signal.SIGINT, interrupts._handle)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if interrupts._waiting:
            interrupts._waiting = False
            raise KeyboardInterrupt
