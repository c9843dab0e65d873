"""What a body may change of its process, put back after it, so that it hurts only its own task.

Put back: working directory, environment, signal handlers and timers, the mask of new files' permissions, and the standard streams. What can't be put back (descriptors that
were opened and never closed, child processes left behind) is a reason to end the worker.
"""

from __future__ import annotations

import os
import signal
import sys
from _signal import getsignal  # type: ignore[import-not-found]  # what `signal.getsignal` wraps: a tenth of its 0.6 µs, eleven times a body
from typing import Any, Final

_WATCHED: Final = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGQUIT", "SIGVTALRM", "SIGPROF")
    if hasattr(signal, name)
)
_MANY: Final = 128
"""Descriptors that may stay open: a library may keep a few connections."""


class Surroundings:
    """Remembers how things are, and puts them back.

    >>> import tempfile
    >>> around = Surroundings()
    >>> os.environ["CHANGED"] = "yes"; os.chdir(tempfile.gettempdir())
    >>> around.restore()
    >>> "CHANGED" in os.environ
    False
    """

    def __init__(self) -> None:
        self.note()
        self._first_free = _lowest_free_descriptor()

    def note(self) -> None:
        """Things are well as they are now: code that was loaded may have changed them for good."""
        self._folder = _folder()
        self._environment = dict(_environment())
        self._handlers = [getsignal(number) for number in _WATCHED]
        self._streams = sys.stdout, sys.stderr, sys.stdin
        self._mask = _mask()

    def restore(self) -> None:
        """Put back what is other than it was."""
        if _folder() != self._folder:
            os.chdir(self._folder)
        if _environment() != self._environment:
            set_environment(self._environment)
        for number, handler in zip(_WATCHED, self._handlers, strict=True):
            if getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            if signal.getitimer(timer)[0]:
                signal.setitimer(timer, 0)
        if (sys.stdout, sys.stderr, sys.stdin) != self._streams:
            sys.stdout, sys.stderr, sys.stdin = self._streams
        os.umask(self._mask)

    @property
    def is_worn_out(self) -> bool:
        """Whether so many descriptors were left open that the next body may lack some."""
        return _lowest_free_descriptor() > self._first_free + _MANY


def has_children() -> bool:
    """Whether a body left processes behind that still run, or that nobody waited for."""
    if not hasattr(os, "waitid"):
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def set_environment(wanted: dict[Any, Any]) -> None:
    """Make the environment this one. Keys and values as the system has them (bytes, on POSIX)."""
    environment = os.environb
    for key in list(environment):
        if key not in wanted:
            del environment[key]
    for key, value in wanted.items():
        if environment.get(key) != value:
            environment[key] = value


def _environment() -> dict[Any, Any]:
    """The environment without the cost of decoding it."""
    found: dict[Any, Any] = vars(os.environ)["_data"]
    return found


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""  # it was removed


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _lowest_free_descriptor() -> int:
    free = os.dup(0)
    os.close(free)
    return free
