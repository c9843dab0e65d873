"""The log records of bodies: they are kept in the attempt's log from a level on, and shown where the program shows its
records (rule X5).

No handler of ours is put into the program's loggers: with one there, a body's own `logging.basicConfig` would do
nothing. Instead the two methods that every record passes are stood in for while bodies run: `Logger.isEnabledFor`,
because the root logger's level of WARNING would drop what the log is to keep, and `Logger.callHandlers`, which gives a
record to the handlers that there are.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

OURS: Final = "promissory."
"""The names of the loggers that contexts give begin with this."""

_METHODS: Final = ("isEnabledFor", "callHandlers")


class Listener(Protocol):
    """Takes the records of one body after the other.

    Attributes:
        level: the level from which on records are kept.
    """

    level: int

    def record(self, line: str, aloud: bool) -> None:
        """Keep a record, and show it if it is to be shown: the program has set up no logging."""

    def handing_on(self) -> AbstractContextManager[Callable[[], bool]]:
        """The program's handlers are about to get a record. Gives a function that tells whether a handler wrote it to
        the body's streams, so that it is kept already."""


class RecordTap:
    """Stands in for the two methods while bodies run.

    Args:
        listening: tells who listens to the code that runs here; None if that code belongs to no body.
    """

    def __init__(self, listening: Callable[[], Listener | None]) -> None:
        self._listening = listening
        self._form = logging.Formatter("%(levelname)s %(name)s: %(message)s")
        self._lock = threading.Lock()
        self._uses = 0
        self._methods: tuple[Any, Any] = (logging.Logger.isEnabledFor, logging.Logger.callHandlers)
        self._ours: tuple[Any, Any] = (None, None)

    def install(self) -> None:
        """Stand in, until `remove` was called as often."""
        with self._lock:
            self._uses += 1
            if self._uses > 1:
                return
            self._methods = is_enabled, _ = logging.Logger.isEnabledFor, logging.Logger.callHandlers
            listening, wanted = self._listening, _is_wanted

            def is_enabled_for(logger: logging.Logger, level: int) -> bool:
                if is_enabled(logger, level):
                    return True
                listener = listening()
                return listener is not None and level >= listener.level and wanted(logger, level)

            def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
                self._hand_on(logger, record)

            self._ours = is_enabled_for, call_handlers
            for name, own in zip(_METHODS, self._ours, strict=True):
                setattr(logging.Logger, name, own)

    def remove(self) -> None:
        """Put the methods back. One that another library put over ours meanwhile stays."""
        with self._lock:
            self._uses -= 1
            if self._uses == 0:
                for name, own, before in zip(_METHODS, self._ours, self._methods, strict=True):
                    if getattr(logging.Logger, name) is own:
                        setattr(logging.Logger, name, before)

    def _hand_on(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        is_enabled_for, call_handlers = self._methods
        listener = self._listening()
        if listener is None:
            call_handlers(logger, record)
            return
        if getattr(listener, "is_muted", False):
            return
        is_written = False
        has_handlers = logger.hasHandlers()
        if has_handlers and is_enabled_for(logger, record.levelno):
            with listener.handing_on() as told:
                call_handlers(logger, record)
                is_written = told()
        if is_written:
            return
        loud = logging.INFO if logger.name.startswith(OURS) else logging.WARNING
        aloud = not has_handlers and record.levelno >= loud
        if aloud or record.levelno >= listener.level:
            try:
                line = self._form.format(record) + "\n"
            except Exception:  # the rule of `logging` itself: an error of a record is reported, never raised
                logging.Handler().handleError(record)
                return
            listener.record(line, aloud)


def _is_wanted(logger: logging.Logger, level: int) -> bool:
    """Whether a record is wanted that the root logger's level, or its default, keeps from being shown. A level that the
    program gave a logger of a name counts, and so does `logging.disable`."""
    if logger.disabled or logger.manager.disable >= level:
        return False
    above: logging.Logger | None = logger
    while above is not None and above is not logger.root:
        if above.level:
            return level >= above.level
        above = above.parent
    return True
