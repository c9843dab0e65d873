"""The output of bodies: printed text and log records are kept for the attempt's log, and echoed with the node's path
(rule X5).

While any run goes on in this process, standard output and error are stand-ins that look which thread is writing. A
thread's output inside a body is captured for that body; any other output goes where it always went. So two runs in two
threads, and the author's own code beside them, don't get into each other's way. The streams themselves are listened to
as well, for code that took one before the run began. Each worker has one log, and a body
without output writes nothing. Output that code below Python writes straight to file descriptors is not seen here.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TextIO, cast

from promissory.executor.store.store import Store
from promissory.executor.worker.descriptors import occupy_closed
from promissory.executor.worker.task_log import Log
from promissory.typesys.ledger import LEDGER
from promissory.typesys.secret import masked

_PIECE: Final = 1 << 16


class Capture:
    """Takes the output of one worker's bodies.

    Args:
        store: the store of the log.
        key: the worker's log.
        echo: whether to repeat each line, with the node's path, on standard error.
    """

    def __init__(self, store: Store, key: str, echo: bool) -> None:
        self._log = Log(store, key)
        self._echo = echo
        self._path = ""
        self._said: list[str] = []
        self._length = 0
        self._line: list[str] = []
        self._outer: Capture | None = None

    def open(self) -> None:
        """Begin to listen."""
        occupy_closed()
        _stand_ins.install()

    def close(self) -> None:
        """Stop listening."""
        _stand_ins.remove()

    def begin(self, path: str) -> None:
        """A body begins in this thread."""
        self._path = path
        self._outer, _thread.capture = _thread.capture, self
        _stand_ins.speaking.append(self)

    def end(self) -> list[Any] | None:
        """The body has ended. Returns [key, offset, length] of its output, or None. Raises `StoreError`."""
        _thread.capture, self._outer = self._outer, None  # the body may itself run inside a body that began a run
        _stand_ins.speaking.remove(self)
        if self._said:
            self._write()
            if self._line:
                self._repeat(["".join(self._line)])
                self._line.clear()
        return self._log.address()

    def _write(self) -> None:
        said, self._said = self._said, []
        self._length = 0
        self._log.write("".join(said).encode("utf-8", "backslashreplace"))

    def take(self, text: str, aloud: bool = True) -> None:
        """Take a piece of the body's output."""
        self._said.append(text)
        self._length += len(text)
        if self._length > _PIECE:
            self._write()
        if self._echo and aloud:
            self._line.append(text)
            if "\n" in text:
                *whole, rest = "".join(self._line).split("\n")
                self._line = [rest] if rest else []
                self._repeat(whole)

    def _repeat(self, lines: list[str]) -> None:
        self._echo = echo(with_path(self._path, lines))


def with_path(path: str, lines: list[str]) -> str:
    """Lines as they are echoed: with the path of the node that wrote them."""
    return "".join(f"{path} | {line}\n" for line in masked("\n".join(lines)).split("\n"))


def echo(text: str) -> bool:
    """Write to this process's own standard error. Returns False if there is none, or nothing reads it any more."""
    stream = _stand_ins.stderr
    if stream is None:
        return False
    try:
        write = _stand_ins.writer_of(stream)
        try:
            write(text)
        except UnicodeEncodeError:
            encoding = getattr(stream, "encoding", None) or "ascii"
            write(text.encode(encoding, "backslashreplace").decode(encoding))
        if hasattr(stream, "flush"):
            stream.flush()
    except Exception:  # the stream may be an object of the program's, which raises anything
        return False
    return True


class _Thread(threading.local):
    capture: Capture | None = None


_thread = _Thread()


def _listening() -> Capture | None:
    """The capture of the body that this thread runs. A thread that a body started is not known: its text goes to the
    only body that runs, if there is just one."""
    capture = _thread.capture
    if capture is not None or len(_stand_ins.speaking) != 1:
        return capture
    thread = threading.current_thread()
    ours = thread is threading.main_thread() or thread.name.startswith("promissory ")
    return None if ours else _stand_ins.speaking[0]


class _StandIn(io.TextIOBase):
    """Stands for `sys.stdout` or `sys.stderr`: a body's text goes to its capture, other text to the stream itself."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        capture = _listening()
        if capture is None:
            return len(text) if self.stream is None else self.stream.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        capture.take(text)
        return len(text)

    def flush(self) -> None:
        if _listening() is None and self.stream is not None:
            self.stream.flush()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Close nothing: the stream below belongs to the program."""

    def __getattr__(self, name: str) -> Any:
        if name == "stream":
            raise AttributeError(name)
        return getattr(self.stream, name)

    def isatty(self) -> bool:
        return _listening() is None and self.stream is not None and self.stream.isatty()

    def fileno(self) -> int:
        if self.stream is None:
            raise io.UnsupportedOperation("this program has no such stream")
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8" if self.stream is None or _listening() is not None else self.stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return "backslashreplace" if self.stream is None or _listening() is not None else self.stream.errors

    @property
    def buffer(self) -> Any:
        """The stream for bytes."""
        capture = _listening()
        return _Bytes(capture) if capture is not None else None if self.stream is None else self.stream.buffer


class _Tap:
    """Listens to a stream object itself, which code outside may have taken before the run began (a log handler has).

    Only a stream whose objects have attributes of their own can be listened to; Python's text streams have.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.write = stream.write
        stream.write = self._route

    def _route(self, text: Any) -> Any:
        capture = _listening()
        if capture is None or not isinstance(text, str):
            return self.write(text)
        capture.take(text)
        return len(text)

    def remove(self) -> None:
        if vars(self.stream).get("write") == self._route:
            del self.stream.write


def _taps(*streams: Any) -> list[_Tap]:
    different = {id(stream): stream for stream in streams if hasattr(stream, "__dict__") and hasattr(stream, "write")}
    return [_Tap(stream) for stream in different.values()]


class _Bytes(io.RawIOBase):
    """Takes bytes that a body writes, as UTF-8."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._capture.take(bytes(data).decode("utf-8", "backslashreplace"))
        return len(data)


class _LogHandler(logging.Handler):
    """Writes a body's log records into its log, while the author's own handlers write elsewhere.

    The handler is installed only if the author has set up logging before the run. Otherwise Python writes warnings to
    standard error, which is captured, and a body can still set up logging by itself, since no handler of ours is there.
    """

    def emit(self, record: logging.LogRecord) -> None:
        capture = _listening()
        if capture is None:
            return
        try:
            text = self.format(record) + "\n"
        except Exception:  # the rule of `logging` itself: an error of a record is reported, never raised
            self.handleError(record)
            return
        capture.take(text, aloud=False)


class _StandIns:
    """The stand-ins of this process, in place while any capture listens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners = 0
        self.speaking: list[Capture] = []
        self._installed: tuple[_StandIn, _StandIn] | None = None
        self._before: deque[tuple[_StandIn, _StandIn]] = deque(maxlen=64)
        """Earlier stand-ins, kept alive: a `print` in another thread may still hold one without owning it."""
        self._tapped: list[_Tap] = []
        self._handler = _LogHandler()
        self._handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    @property
    def stderr(self) -> TextIO | None:
        """Standard error itself; None in a program without one."""
        stream = sys.stderr
        return stream.stream if isinstance(stream, _StandIn) else cast(TextIO | None, stream)

    def writer_of(self, stream: Any) -> Callable[[str], Any]:
        """The function that writes to a stream itself, also while a body runs."""
        for tap in self._tapped:
            if tap.stream is stream:
                write: Callable[[str], Any] = tap.write
                return write
        found: Callable[[str], Any] = stream.write
        return found

    def install(self) -> None:
        with self._lock:
            self._listeners += 1
            LEDGER.captures += 1
            if self._listeners == 1:
                self._installed = _StandIn(sys.stdout), _StandIn(sys.stderr)
                self._tapped = _taps(sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
                sys.stdout, sys.stderr = cast(Any, self._installed)
                if logging.getLogger().handlers:
                    logging.getLogger().addHandler(self._handler)

    def remove(self) -> None:
        with self._lock:
            self._listeners -= 1
            LEDGER.captures -= 1
            if self._listeners == 0 and self._installed is not None:
                logging.getLogger().removeHandler(self._handler)
                for tap in self._tapped:
                    tap.remove()
                self._tapped = []
                stdout, stderr = self._installed
                if sys.stdout is stdout:  # if other code put another stream there meanwhile, that one stays
                    sys.stdout = cast(Any, stdout.stream)
                if sys.stderr is stderr:
                    sys.stderr = cast(Any, stderr.stream)
                self._before.append(self._installed)
                self._installed = None


_stand_ins = _StandIns()
