"""The standard streams while bodies run: what a body writes goes to the capture of its call, all other text goes where
it always went (rule X5).

`sys.stdout` and `sys.stderr` are stand-ins that look which body is writing. So two runs in two threads, and the
author's own code beside them, don't get into each other's way. The streams themselves are listened to as well, for code
that took one before the run began (a log handler has).
"""

from __future__ import annotations

import io
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Protocol, TextIO, cast

from promissory.executor.store.backend import is_asking
from promissory.typesys.ledger import LEDGER

Through = Callable[[Any], bool]
"""Writes to the program's own stream. Returns False if that can't be done."""


class Listener(Protocol):
    """Takes what one body after the other says.

    Attributes:
        turn: a number that is another one for each body, and between bodies.
        is_plain: whether text also goes where the program would write it.
    """

    turn: int
    is_plain: bool

    def take(self, text: str, through: Through | None) -> None:
        """Take text that the body wrote to a stream."""

    def take_bytes(self, data: bytes, through: Through | None) -> None:
        """Take bytes that the body wrote to a stream."""


speaker: Final[ContextVar[tuple[Listener, int] | None]] = ContextVar("promissory_speaker", default=None)
"""Who listens to the body that runs in this context, and the body's turn."""

speaking: Final[list[Listener]] = []
"""The listeners of all bodies that run in this process."""


class _Muted:
    """Takes what a body says that only does again what it has done."""

    turn = 0
    is_plain = False
    level = sys.maxsize
    is_muted = True

    def take(self, text: str, through: Through | None) -> None:
        """Drop text."""

    def take_bytes(self, data: bytes, through: Through | None) -> None:
        """Drop bytes."""

    def record(self, line: str, aloud: bool) -> None:
        """Drop a log record."""


_MUTED: Final = _Muted()


@contextmanager
def muted() -> Iterator[None]:
    """Drop what the code inside says: it was said before."""
    token = speaker.set((_MUTED, 0))
    try:
        yield
    finally:
        speaker.reset(token)


def listening() -> Listener | None:
    """Who listens to the code that runs here; None if the code belongs to no body: what a store's library says of a
    request is the program's.

    A thread that no body started, and that is none of ours, may do a body's work (a pool of a library): its text goes
    to the only body that runs, if there is just one.
    """
    if is_asking.get():
        return None
    said = speaker.get()
    if said is not None:
        listener, turn = said
        return listener if listener.turn == turn else None
    if len(speaking) != 1:
        return None
    thread = threading.current_thread()
    ours = thread is threading.main_thread() or thread.name.startswith("promissory ")
    return None if ours else speaking[0]


class _StandIn(io.TextIOBase):
    """Stands for `sys.stdout` or `sys.stderr`: a body's text goes to its listener, other text to the stream itself."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        listener = listening()
        if listener is None:
            return len(text) if self.stream is None else self.stream.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        listener.take(text, self._through)
        return len(text)

    def _through(self, text: Any) -> bool:
        return write_to(self.stream, text)

    def flush(self) -> None:
        listener = listening()
        if self.stream is None:
            return
        if listener is None:
            self.stream.flush()
        elif listener.is_plain:
            write_to(self.stream, "", flush=True)

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Close nothing: the stream below belongs to the program."""

    def __getattr__(self, name: str) -> Any:
        if name == "stream":
            raise AttributeError(name)
        return getattr(self.stream, name)

    def isatty(self) -> bool:
        return not self._is_kept_only and self.stream is not None and self.stream.isatty()

    @property
    def _is_kept_only(self) -> bool:
        """Whether text that is written now does not reach the stream as it is."""
        listener = listening()
        return listener is not None and not listener.is_plain

    def fileno(self) -> int:
        if self.stream is None:
            raise io.UnsupportedOperation("this program has no such stream")
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8" if self.stream is None or self._is_kept_only else self.stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return "backslashreplace" if self.stream is None or listening() is not None else self.stream.errors

    @property
    def buffer(self) -> Any:
        """The stream for bytes."""
        listener = listening()
        if listener is not None:
            return _Bytes(listener, self.stream)
        return None if self.stream is None else self.stream.buffer


class _Bytes(io.RawIOBase):
    """Takes bytes that a body writes."""

    def __init__(self, listener: Listener, stream: TextIO | None) -> None:
        self._listener = listener
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._listener.take_bytes(bytes(data), self._through)
        return len(data)

    def _through(self, text: Any) -> bool:
        data = text.encode("utf-8", "surrogateescape")
        if self._stream is None or not hasattr(self._stream, "buffer"):
            return write_to(self._stream, data.decode("utf-8", "backslashreplace"))
        return write_to(self._stream, "", flush=True) and write_to(self._stream.buffer, data)


class _Tap:
    """Listens to a stream object itself, which code outside may have taken before the run began.

    Only a stream whose objects have attributes of their own can be listened to; Python's text streams have.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.write = stream.write
        stream.write = self._route

    def _route(self, text: Any) -> Any:
        listener = listening()
        if listener is None or not isinstance(text, str):
            return self.write(text)
        listener.take(text, self._through)
        return len(text)

    def _through(self, text: Any) -> bool:
        return write_to(self.stream, text)

    def remove(self) -> None:
        if vars(self.stream).get("write") == self._route:
            del self.stream.write


def _taps(*streams: Any) -> list[_Tap]:
    different = {id(stream): stream for stream in streams if hasattr(stream, "__dict__") and hasattr(stream, "write")}
    return [_Tap(stream) for stream in different.values()]


class _StandIns:
    """The stand-ins of this process, in place while any capture listens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners = 0
        self._installed: list[tuple[str, _StandIn]] = []
        self._before: deque[_StandIn] = deque(maxlen=128)
        """Earlier stand-ins, kept alive: a `print` in another thread may still hold one without owning it."""
        self._tapped: list[_Tap] = []

    @property
    def stdout(self) -> TextIO | None:
        """Standard output itself; None in a program without one."""
        stream = sys.stdout
        return stream.stream if isinstance(stream, _StandIn) else cast(TextIO | None, stream)

    @property
    def stderr(self) -> TextIO | None:
        """Standard error itself; None in a program without one."""
        stream = sys.stderr
        return stream.stream if isinstance(stream, _StandIn) else cast(TextIO | None, stream)

    def writer_of(self, stream: Any) -> Callable[[Any], Any]:
        """The function that writes to a stream itself, also while a body runs."""
        for tap in self._tapped:
            if tap.stream is stream:
                write: Callable[[Any], Any] = tap.write
                return write
        found: Callable[[Any], Any] = stream.write
        return found

    def install(self) -> None:
        with self._lock:
            self._listeners += 1
            LEDGER.captures += 1
            # The program may have put other streams there since the last time, while a run goes on in the background.
            fresh = [(name, _StandIn(stream)) for name, stream in self._streams() if not isinstance(stream, _StandIn)]
            self._tap(*(one.stream for _, one in fresh), sys.__stdout__, sys.__stderr__)
            for name, one in fresh:
                setattr(sys, name, one)
            self._installed += fresh
        # A command that runs no body writes its messages through this module, and does without the planner.
        from promissory.planner.body.threads import inherit_context

        inherit_context()

    def _streams(self) -> list[tuple[str, Any]]:
        return [("stdout", sys.stdout), ("stderr", sys.stderr)]

    def _tap(self, *streams: Any) -> None:
        known = {id(tap.stream) for tap in self._tapped}
        self._tapped += _taps(*(stream for stream in streams if id(stream) not in known))

    def remove(self) -> None:
        with self._lock:
            self._listeners -= 1
            LEDGER.captures -= 1
            if self._listeners == 0:
                for tap in self._tapped:
                    tap.remove()
                self._tapped = []
                for name, one in reversed(self._installed):
                    if getattr(sys, name) is one:  # if other code put another stream there, that one stays
                        setattr(sys, name, one.stream)
                self._before += [one for _, one in self._installed]
                self._installed = []


stand_ins: Final = _StandIns()


def echo(text: str) -> bool:
    """Write to this process's own standard error. Returns False if there is none, or nothing reads it any more."""
    return write_to(stand_ins.stderr, text, flush=True)


def show_as(how: str | bool) -> Callable[[str], bool]:
    """The function that shows what bodies in other processes said: plainly on standard output, else on standard
    error."""
    return _show_plainly if how == "plain" else echo


def _show_plainly(text: str) -> bool:
    return write_to(stand_ins.stdout, text, flush=True)


def write_to(stream: Any, text: Any, flush: bool = False) -> bool:
    """Write to a stream itself, whoever listens to it. Returns False if there is none, or nothing reads it any more."""
    if stream is None:
        return False
    try:
        write = stand_ins.writer_of(stream)
        try:
            write(text)
        except UnicodeEncodeError:
            encoding = getattr(stream, "encoding", None) or "ascii"
            write(text.encode(encoding, "backslashreplace").decode(encoding))
        if flush and hasattr(stream, "flush"):
            stream.flush()
    except Exception:  # the stream may be an object of the program's, which raises anything
        return False
    return True
