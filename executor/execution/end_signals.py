"""SIGTERM and SIGHUP are a stop (rule X10): bodies hear `ctx.cancelled`, what runs may finish for some seconds, and the
run can be resumed.

A signal handler runs between any two instructions of the main thread, which may hold any lock. So the handler only
writes a byte, and a thread that waits for the byte gives the command.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Final

from promissory.executor.records.inbox import Command
from promissory.executor.worker.forks import default_in_forks

_ENDS: Final = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGTERM,)


class EndSignals:
    """The first signal that told this process to end.

    Attributes:
        number: the signal; None if none has come.
        writing: the end of a pipe that wakes the thread which gives the command.
    """

    def __init__(self, grace: float) -> None:
        self.number: int | None = None
        self._grace = grace
        self._until = 0.0
        self.writing = -1

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:  # a second signal says that its sender does not want to wait
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.number, self._until = number, time.monotonic() + self._grace
        os.write(self.writing, b"!")

    def _watch(self, reading: int, command: Callable[[Command], None]) -> None:
        if os.read(reading, 1) == b"!":
            assert self.number is not None
            reason = f"stopped by {signal.Signals(self.number).name}"
            command(Command("stop", reason, "its own process", time.time_ns() // 1000))
        os.close(reading)

    @property
    def grace_is_over(self) -> bool:
        """Whether bodies had their time to finish."""
        return self.number is not None and time.monotonic() > self._until


@cache
def _leave_forks_alone() -> None:
    """A signal to a body's fork is none to the run."""
    default_in_forks(_ENDS, lambda handler: getattr(handler, "__func__", None) is EndSignals._handle)


@contextmanager
def taken_as_a_stop(command: Callable[[Command], None], grace: float | None) -> Iterator[EndSignals]:
    """Take over the signals in a `with` block of this.

    They are taken over in the main thread, and only where their default action stands: a handler of the program's
    stays, and so does a signal that was ignored when the program began (`nohup`).

    Args:
        command: takes the command to stop, in another thread.
        grace: seconds that running bodies have; None if the signals are not to be taken over.
    """
    signals = EndSignals(grace or 0.0)
    is_main = grace is not None and threading.current_thread() is threading.main_thread()
    mine = [number for number in _ENDS if is_main and signal.getsignal(number) is signal.SIG_DFL]
    if not mine:
        yield signals
        return
    _leave_forks_alone()
    reading, signals.writing = os.pipe()
    threading.Thread(target=signals._watch, args=(reading, command), name="promissory signals", daemon=True).start()
    for number in mine:
        signal.signal(number, signals._handle)
    try:
        yield signals
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)
        os.close(signals.writing)  # ends the thread
