"""The output of bodies in a worker process: everything that goes to its file descriptors 1 and 2, be it from Python,
from C or from programs that a body starts.

Both descriptors lead to a file without a name, which the executor holds too. So a body that prints never waits for a
reader, and the last words of a worker that crashed can be read. After each body, and now and then while a body runs,
the new output goes to the worker's log.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from promissory.executor.engines.processes.surroundings import standard_streams
from promissory.executor.store.store import Store
from promissory.executor.worker.capture import with_path
from promissory.executor.worker.task_log import Log
from promissory.typesys.secret import masked

_LOOK: Final = 0.25
_PIECE: Final = 1 << 20
_AT_ONCE: Final = 1 << 16
_C: Final = ctypes.CDLL(None)


class Output:
    """Listens to the worker's descriptors.

    Args:
        store: the store of the log.
        key: the worker's log.
        level: the level from which on log records are kept.
        echo: is given lines, and how many bytes of the file are echoed now; None if lines are not
            echoed.
        with_paths: whether lines bear the node's path.

    Attributes:
        level: the level from which on log records are kept.
        is_speaking: whether a body runs.
    """

    def __init__(
        self, store: Store, key: str, level: int, echo: Callable[[str, int], None] | None, with_paths: bool
    ) -> None:
        self.level = level
        self._log = Log(store, key)
        self._echo = echo
        self._with_paths = with_paths
        self._path = ""
        self._line = b""
        self._position = 0
        self._unsaid: list[tuple[int, bytes]] = []
        self._kept = 0
        self._had_no_room = False
        self._keeping = threading.Lock()
        self._lock = threading.Lock()
        self.is_speaking = False
        self._over = threading.Event()
        threading.Thread(target=self._look, name="promissory output", daemon=True).start()

    def begin(self, path: str) -> None:
        """A call begins. Its code is looked for now, and loaded if need be."""
        self._path = path

    def speak(self, loaded: bool) -> None:
        """The call's body begins. Output of modules while they were loaded belongs to no task, and is dropped."""
        if loaded:
            self._flush()
            self._unsaid.clear()
            os.ftruncate(1, 0)
        self.is_speaking = True

    def end(self) -> list[Any] | None:
        """The call has ended. Returns [key, offset, length] of its output, or None. Raises `StoreError`."""
        with self._lock:
            self._take_all()  # makes room, where the disk or a limit of file sizes left none for what is held back
        try:
            self._flush()
        except (OSError, ValueError):
            standard_streams()  # a stream keeps the text that it could not write, and would raise for ever
            self._had_no_room = True
        with self._lock:
            self.is_speaking = False
            if self._had_no_room:
                self._had_no_room = False
                self._log.write(b"(some of the output had no room)\n")
            self._take_all()
            if self._line:
                self._repeat(b"\n" if self._with_paths else b"", ended=True)
            return self._log.address()

    def record(self, line: str, aloud: bool) -> None:
        """Take a log record; `aloud` if no handler of the program's shows it. One that is not shown goes into the same
        file: there it keeps its place, outlives a crash, and a thread that serves a store's requests waits for none."""
        self._flush_softly()
        if aloud and sys.stderr is not None:
            sys.stderr.write(line)
            return
        data = line.encode("utf-8", "backslashreplace")
        with self._keeping:
            if self._echo is not None:
                self._unsaid.append((os.fstat(1).st_size, data))
            try:
                while data:
                    written = os.write(1, data)
                    self._kept += written
                    data = data[written:]
            except OSError:
                self._had_no_room = True

    @contextmanager
    def handing_on(self) -> Iterator[Callable[[], bool]]:
        """The program's handlers are about to get a record. Gives a function that tells whether one of them wrote it to
        the descriptors."""
        self._flush_softly()
        before = self._shown()

        def is_written() -> bool:
            self._flush_softly()
            return self._shown() != before

        yield is_written

    def _take_all(self) -> None:
        """Copy all output that was written into the log."""
        if os.fstat(1).st_size:
            self._take()
            os.ftruncate(1, 0)
            self._position = 0
            self._unsaid.clear()

    def _flush(self) -> None:
        """Have Python and C write the output that they hold back."""
        sys.stdout.flush()
        sys.stderr.flush()
        _C.fflush(None)

    def _flush_softly(self) -> None:
        """`_flush`, on behalf of a log record: streams that the body has put away or closed do no harm."""
        with suppress(Exception):  # at the end of the call it is told
            self._flush()

    def _shown(self) -> int:
        """The bytes in the file that are no records which are only kept."""
        with self._keeping:
            return os.fstat(1).st_size - self._kept

    def close(self) -> None:
        """End the looking thread, since the run is over."""
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(_LOOK):
            with self._lock:
                if self.is_speaking:
                    self._take()

    def _take(self) -> None:
        """Copy the output since the last time into the log."""
        while piece := os.pread(1, _PIECE, self._position):
            begin = self._position
            self._position += len(piece)
            self._log.write(piece)
            if self._echo is not None:
                self._repeat(self._said_in(piece, begin))

    def _said_in(self, piece: bytes, begin: int) -> bytes:
        """A piece of the file without the records that are only kept. Each stands where the file ended when it was
        written, or behind what another process wrote at that moment."""
        if not self._unsaid:
            return piece
        kept, later, said, done = list(self._unsaid), [], [], begin
        for least, data in kept:
            found = os.pread(1, len(data) + _AT_ONCE, least).find(data)
            start = least + found
            if found < 0 or start + len(data) > begin + len(piece):
                later.append((least, data))
            if found >= 0:
                said.append(piece[done - begin : max(start, done) - begin])
                done = max(done, start + len(data))
        self._unsaid[: len(kept)] = later
        return b"".join((*said, piece[done - begin :]))

    def _repeat(self, piece: bytes, ended: bool = False) -> None:
        if self._echo is None:
            return
        whole, newline, self._line = (self._line + piece).rpartition(b"\n")
        if ended:
            whole, self._line = whole + newline + self._line, b""
            newline = b""
        if not whole + newline:
            return
        text = (whole + newline).decode("utf-8", "replace")
        shown = with_path(self._path, text.removesuffix("\n").split("\n")) if self._with_paths else masked(text)
        self._echo(shown, self._position - len(self._line))
