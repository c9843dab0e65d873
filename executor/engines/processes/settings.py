"""The settings of a worker's interpreter and process that a body may change, and that would reach the bodies after it
(rule X12). Beside them stand the `surroundings`: folder, environment, streams, descriptors.

What reads in a few nanoseconds is compared after each body: recursion limit, warnings, root logger, `sys.path`, time
zone, tracing. What takes a system call (limits, signal mask, processors, priority, locale, user) is compared after a
body that called a function that changes it, which is watched, or that took so long that the comparison costs nothing
beside it: an extension module calls no function of Python's.

A setting that this process is not allowed to put back (a hard limit, a priority, a user) is a reason to end it. A
module that is loaded for the first time may change a setting for good.
"""

from __future__ import annotations

import _locale
import gc
import logging
import os
import resource
import signal
import sys
import threading
import time
import warnings
from _signal import getsignal, pthread_sigmask  # type: ignore[import-not-found, unused-ignore]
from _socket import getdefaulttimeout, setdefaulttimeout
from collections.abc import Callable
from faulthandler import disable as disable_faults
from faulthandler import enable as enable_faults
from faulthandler import is_enabled as tells_faults
from functools import wraps
from gc import isenabled as collects_garbage
from sys import getprofile, getrecursionlimit, gettrace
from types import ModuleType
from typing import Any, Final, NamedTuple

LOOKS_CLOSELY: Final = 5000
"""µs from which a body took so long that each setting is compared."""

_root: Final = logging.getLogger()


class _Setting(NamedTuple):
    """How a setting is read, and how it is put back."""

    read: Callable[[], Any]
    put: Callable[[Any], object]


def _limits() -> list[tuple[int, tuple[int, int]]]:
    return [(number, resource.getrlimit(number)) for number in _LIMITS]


def _put_limits(wanted: list[tuple[int, tuple[int, int]]]) -> None:
    for number, (soft, hard) in wanted:
        if resource.getrlimit(number) != (soft, hard):
            try:
                _set_limit(number, (soft, hard))
            except (OSError, ValueError):  # the body lowered the hard limit: the soft one gets as near as may be
                lowered = resource.getrlimit(number)[1]
                _set_limit(number, (lowered, lowered))
    if _limits() != wanted:
        raise PermissionError


def _handlers() -> list[Any]:
    return [getsignal(number) for number in _SIGNALS]


def _put_handlers(wanted: list[Any]) -> None:
    for number, handler in zip(_SIGNALS, wanted, strict=True):
        if handler is not None and getsignal(number) is not handler:
            signal.signal(number, handler)


def _put_locale(wanted: str) -> None:
    _set_locale(_locale.LC_ALL, wanted)


def _users() -> tuple[Any, ...]:
    return os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()


def _put_users(wanted: tuple[Any, ...]) -> None:
    _, user, _, group, _ = wanted
    os.seteuid(user)
    os.setegid(group)
    if _users() != wanted:
        raise PermissionError


_LIMITS: Final = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
_SIGNALS: Final = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
_set_limit: Final = resource.setrlimit
_set_locale: Final = _locale.setlocale


def _rest() -> list[_Setting]:
    found = [
        _Setting(_limits, _put_limits),
        _Setting(_handlers, _put_handlers),
        _Setting(
            lambda: pthread_sigmask(signal.SIG_BLOCK, ()), lambda wanted: pthread_sigmask(signal.SIG_SETMASK, wanted)
        ),
        _Setting(lambda: _set_locale(_locale.LC_ALL, None), _put_locale),
        _Setting(gc.get_threshold, lambda wanted: gc.set_threshold(*wanted)),
        _Setting(threading.stack_size, threading.stack_size),
        _Setting(lambda: _root.manager.disable, logging.disable),
        _Setting(sys.getswitchinterval, sys.setswitchinterval),
        _Setting(sys.get_int_max_str_digits, sys.set_int_max_str_digits),
        _Setting(_users, _put_users),
        _Setting(
            lambda: os.getpriority(os.PRIO_PROCESS, 0),
            lambda wanted: os.setpriority(os.PRIO_PROCESS, 0, wanted),
        ),
    ]
    if hasattr(os, "sched_setaffinity"):
        put = os.sched_setaffinity
        found.append(_Setting(lambda: os.sched_getaffinity(0), lambda wanted: put(0, wanted)))
    return found


_WATCHED: Final = {
    "resource": ("setrlimit", "prlimit"),
    "signal": ("pthread_sigmask",),
    "locale": ("setlocale",),
    "_locale": ("setlocale",),
    "gc": ("set_threshold",),
    "logging": ("disable",),
    "threading": ("stack_size",),
    "sys": ("setswitchinterval", "set_int_max_str_digits"),
    "os": (
        *("nice", "setpriority", "sched_setaffinity", "sched_setscheduler", "sched_setparam"),
        *("setuid", "seteuid", "setreuid", "setresuid", "setgid", "setegid", "setregid", "setresgid"),
        *("setgroups", "initgroups"),
    ),
}


class Settings:
    """Remembers the settings, and puts them back. From now on it watches the functions that change some of them.

    >>> settings = Settings()
    >>> sys.setrecursionlimit(5000)
    >>> settings.restore(), sys.getrecursionlimit()
    (None, 1000)
    """

    def __init__(self) -> None:
        self._rest = _rest()
        self._called = False
        self._loads = False
        self._modules = len(sys.modules)
        self.note()

    def watch(self) -> None:
        """Watch the functions that change what is not compared after each body. This changes their modules, so it is
        for a process of our own."""
        for module, names in _WATCHED.items():
            if module in sys.modules:
                for name in names:
                    self._watch(sys.modules[module], name)

    def _watch(self, module: ModuleType, name: str) -> None:
        function = getattr(module, name, None)
        if function is None:
            return  # this system has no such function

        @wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            self._called = True
            return function(*args, **kwargs)

        setattr(module, name, watched)

    def note(self) -> None:
        """Remember the settings as they are now: code that was loaded may have changed them for good."""
        self._path = list(sys.path)
        self._filters = list(warnings.filters)
        self._root_handlers = list(_root.handlers)
        self._root_filters = list(_root.filters)
        self._zone = time.tzname
        self._quick = _quick()
        self._values = [setting.read() for setting in self._rest]
        self._called = False

    def body_begins(self) -> None:
        """Remember how many modules there are, because some may be loaded by the body itself."""
        self._modules = len(sys.modules)

    def restore(self) -> None:
        """Put back what is compared after each body."""
        if (
            sys.path != self._path
            or warnings.filters != self._filters
            or _root.handlers != self._root_handlers
            or _root.filters != self._root_filters
        ):
            self._put_lists()
        if time.tzname is not self._zone:
            time.tzset()
            self._zone = time.tzname
        if _quick() != self._quick:
            self._put_quick()
        self._loads = False

    def _put_lists(self) -> None:
        """Put back lists that modules add to when they are loaded, unless the body loaded some."""
        if self._loads:
            self._path, self._filters = list(sys.path), list(warnings.filters)
            self._root_handlers, self._root_filters = list(_root.handlers), list(_root.filters)
            return
        if sys.path != self._path:
            sys.path[:] = self._path
        if warnings.filters != self._filters:
            warnings.resetwarnings()
            warnings.filters[:] = self._filters  # type: ignore[index]
        _root.handlers[:] = self._root_handlers
        _root.filters[:] = self._root_filters

    def _put_quick(self) -> None:
        limit, collects, tracer, profiler, tells, timeout, *hooks, level = self._quick
        sys.setrecursionlimit(limit)
        (gc.enable if collects else gc.disable)()
        sys.settrace(tracer)
        sys.setprofile(profiler)
        disable_faults()
        if tells:
            enable_faults(2)
        setdefaulttimeout(timeout)
        sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning = hooks
        _root.setLevel(level)

    def body_is_over(self, took: int) -> bool:
        """Put back what is compared now and then, if a watched function was called, or the body took so many µs.
        Returns whether this process had better end, since it may not put all of it back."""
        self._loads = len(sys.modules) > self._modules
        if not self._called and 0 <= took < LOOKS_CLOSELY:
            return False
        self._called = False
        spoilt = False
        for setting, value in zip(self._rest, self._values, strict=True):
            if setting.read() != value:
                try:
                    setting.put(value)
                except (OSError, ValueError):
                    spoilt = True
        return spoilt


def _quick() -> tuple[Any, ...]:
    return (
        getrecursionlimit(),
        collects_garbage(),
        gettrace(),
        getprofile(),
        tells_faults(),
        getdefaulttimeout(),
        sys.excepthook,
        sys.unraisablehook,
        threading.excepthook,
        warnings.showwarning,
        _root.level,
    )
