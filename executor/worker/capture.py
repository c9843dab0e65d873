"""The output of bodies that run in this process: printed text and log records are kept for the attempt's log, and
echoed (rule X5).

Each worker has one log, and a body without output writes nothing. Output that code below Python writes straight to file
descriptors is seen only where the command line gave the descriptors to us (`promissory.executor.worker.raw_output`).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Token
from typing import Any, Final, Literal, cast

from promissory.executor.store.store import Store
from promissory.executor.worker.descriptors import occupy_closed
from promissory.executor.worker.log_records import RecordTap
from promissory.executor.worker.raw_output import raw_output
from promissory.executor.worker.streams import Through, echo, listening, speaker, speaking, stand_ins
from promissory.executor.worker.task_log import Log
from promissory.typesys.secret import masked, masked_bytes

Echo = Literal["plain", "paths", False]
"""Where the words of bodies are shown: where the program would write them, on standard error with the node's path, or
nowhere."""

_PIECE: Final = 1 << 16


class Capture:
    """Takes the output of one worker's bodies.

    Args:
        store: the store of the log.
        key: the worker's log.
        echo: where the body's words are shown.
        level: the level from which on log records are kept.

    Attributes:
        turn: a number that is another one for each body, and between bodies.
        is_plain: whether text also goes where the program would write it.
    """

    def __init__(self, store: Store, key: str, echo: Echo, level: int) -> None:
        self.level = level
        self.turn = 0
        self.is_plain = echo == "plain"
        self._log = Log(store, key)
        self._is_near = store.is_near
        self._with_paths = echo == "paths"
        self._path = ""
        self._said: list[str] = []
        self._length = 0
        self._heard = 0
        self._line: list[str] = []
        self._held: tuple[bytes, Through | None] = b"", None
        self._lock = threading.RLock()
        self._token: Token[Any] | None = None

    def open(self) -> None:
        """Begin to listen."""
        occupy_closed()
        stand_ins.install()
        _records.install()

    def close(self) -> None:
        """Stop listening."""
        _records.remove()
        stand_ins.remove()

    def begin(self, path: str) -> None:
        """A body begins in this thread."""
        self._path = path
        self.turn += 1
        self._token = speaker.set((self, self.turn))
        speaking.append(self)

    def end(self) -> list[Any] | None:
        """The body has ended. Returns [key, offset, length] of its output, or None. Raises `StoreError`."""
        if raw_output.is_open and len(speaking) == 1:
            self.take_bytes(raw_output.read(), None)
        self.turn += 1
        assert self._token is not None
        speaker.reset(self._token)  # the body may itself run inside a body that began a run
        speaking.remove(self)
        if self._held[1] is not None:
            self._show(b"", None)
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

    def take(self, text: str, through: Through | None) -> None:
        """Take text that the body wrote to a stream; `through` writes to the stream itself."""
        self._take(text, text, through)

    def take_bytes(self, data: bytes, through: Through | None) -> None:
        """Take bytes that the body wrote to a stream; `through` takes them as text with lone surrogates."""
        if data:
            text = data.decode("utf-8", "backslashreplace")
            self._take(text, data.decode("utf-8", "surrogateescape") if self.is_plain else text, through)

    def _take(self, kept: str, shown: str, through: Through | None) -> None:
        with self._lock:
            self._keep(kept)
            if self.is_plain:
                if through is not None and shown:
                    self._show(shown.encode("utf-8", "surrogatepass"), through)
            elif self._with_paths:
                self._line.append(shown)
                if "\n" in shown:
                    *whole, rest = "".join(self._line).split("\n")
                    self._line = [rest] if rest else []
                    self._repeat(whole)

    def _show(self, data: bytes, through: Through | None) -> None:
        """Show text where the program would. The beginning of a secret is held back until more of the text is known."""
        held, before = self._held
        if before is not None and before != through:
            before(masked_bytes(held, ended=True)[0].decode("utf-8", "surrogatepass"))
            held = b""
        shown, rest = masked_bytes(held + data, ended=through is None)
        self._held = rest, through if rest else None
        if shown and through is not None:
            through(shown.decode("utf-8", "surrogatepass"))

    def record(self, line: str, aloud: bool) -> None:
        """Take a log record; `aloud` if no handler of the program's shows it."""
        if aloud:
            self.take(line, echo)
        else:
            with self._lock:
                self._keep(line)

    @contextmanager
    def handing_on(self) -> Iterator[Callable[[], bool]]:
        """The program's handlers are about to get a record. Gives a function that tells whether one of them wrote it to
        the body's streams."""
        before = self._heard
        yield lambda: self._heard != before

    def _keep(self, text: str) -> None:
        self._said.append(text)
        self._heard += 1
        self._length += len(text)
        if self._length > _PIECE and (self._is_near or not _is_in_a_loop()):
            self._write()

    def _repeat(self, lines: list[str]) -> None:
        self._with_paths = echo(with_path(self._path, lines))


def _is_in_a_loop() -> bool:
    """Whether an event loop runs this code: it may be the loop that would have to serve a store's request."""
    asyncio = sys.modules.get("asyncio")  # nothing runs in a loop before this was imported, which takes long
    return asyncio is not None and asyncio._get_running_loop() is not None


def with_path(path: str, lines: list[str]) -> str:
    """Lines as they are echoed: with the path of the node that wrote them."""
    return "".join(f"{path} | {line}\n" for line in masked("\n".join(lines)).split("\n"))


def _record_listener() -> Capture | None:
    return cast(Capture | None, listening())


_records: Final = RecordTap(_record_listener)
