"""The surroundings of a body: the state of its process that a body may change, put back after it, so that it hurts only
its own task. Processes that a body leaves are `left_behind.py`'s.

Put back are the working directory, environment, signal handlers and timers, the mask of new files' permissions, and the
standard streams. A change that can't be put back (descriptors that were opened and never closed) is a reason to end the
worker.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
import time

# `signal.getsignal` wraps this function, which takes a tenth of its 0.6 µs, and is called eleven times a body.
from _signal import getsignal  # type: ignore[import-not-found, unused-ignore]
from contextlib import suppress
from typing import Any, Final

_WATCHED: Final = tuple(
    getattr(signal, name)
    for name in (
        "SIGINT",
        "SIGTERM",
        "SIGHUP",
        "SIGALRM",
        "SIGCHLD",
        "SIGUSR1",
        "SIGUSR2",
        "SIGPIPE",
        "SIGQUIT",
        "SIGVTALRM",
        "SIGPROF",
    )
    if hasattr(signal, name)
)
_MANY: Final = 128
"""How many more descriptors may stay open: a library may keep a few connections."""


class Surroundings:
    """Remembers the state of the process, and puts it back.

    >>> import tempfile
    >>> around = Surroundings()
    >>> os.environ["CHANGED"] = "yes"; os.chdir(tempfile.gettempdir())
    >>> around.restore()
    >>> "CHANGED" in os.environ
    False
    """

    def __init__(self) -> None:
        self._descriptors = [
            (fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10), _file_behind(number)) for number in range(3)
        ]
        self._streams: tuple[Any, ...] = (sys.stdin, sys.stdout, sys.stderr)
        self._limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.note()
        self._first_free = _lowest_free_descriptor()

    def note(self) -> None:
        """Remember the state as it is now: code that was loaded may have changed it for good."""
        self._folder = _folder()
        self._environment = dict(_environment())
        self._handlers = [getsignal(number) for number in _WATCHED]
        self._mask = _mask()
        self._open = _open_descriptors()

    def restore(self) -> None:
        """Put back every part of the state that differs."""
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
        os.umask(self._mask)

    def restore_descriptors(self) -> bool:
        """Put back descriptors 0 to 2 and the streams over them. Returns whether so many others were left open that
        this process had better end; those are closed."""
        for number, (kept, known) in enumerate(self._descriptors):
            if _file_behind(number) != known:
                os.dup2(kept, number)
        streams = sys.stdin, sys.stdout, sys.stderr
        for name, stream, own in zip(("stdin", "stdout", "stderr"), streams, self._streams, strict=True):
            if stream is not own:
                setattr(sys, name, own)
        if any(stream.closed for stream in self._streams if stream is not None):
            self._streams = self._new_streams()
        if _lowest_free_descriptor() <= self._first_free + _MANY:
            return False
        last = 2
        for kept in [*sorted(number for number in self._open if number > 2), min(self._limit[0], 1 << 20)]:
            os.closerange(last + 1, kept)
            last = kept
        return True

    def _new_streams(self) -> tuple[Any, ...]:
        for number, (kept, _) in enumerate(self._descriptors):
            os.dup2(kept, number)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        standard_streams()
        return sys.stdin, sys.stdout, sys.stderr


def set_environment(wanted: dict[Any, Any]) -> None:
    """Make the environment equal to `wanted`. Keys and values are as the system has them (bytes, on POSIX)."""
    environment = os.environb
    zone = environment.get(b"TZ")
    for key in list(environment):
        if key not in wanted:
            del environment[key]
    for key, value in wanted.items():
        if environment.get(key) != value:
            environment[key] = value
    if environment.get(b"TZ") != zone:
        time.tzset()


def _environment() -> dict[Any, Any]:
    """The environment without the cost of decoding it."""
    found: dict[Any, Any] = vars(os.environ)["_data"]
    return found


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""  # the folder was removed


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _lowest_free_descriptor() -> int:
    try:
        free = os.dup(0)
    except OSError:  # no descriptor is free
        return 1 << 30
    os.close(free)
    return free


def _open_descriptors() -> frozenset[int]:
    """The descriptors that are open now."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return frozenset(map(int, os.listdir(folder)))
    return frozenset()


def _file_behind(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None  # the descriptor was closed
    return found.st_dev, found.st_ino


def standard_streams() -> None:
    """Make new `sys.stdout` and `sys.stderr` over the descriptors: UTF-8, a line at a time."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = open(  # noqa: SIM115
            number, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
        )
        setattr(sys, name, stream)
