"""What a task's body prints and logs, kept for its attempt's log and echoed with the node's path (rule X5).

Standard output and error are replaced while a batch runs, and restored between batches, so that the author's own code around a run prints as
always. Output goes to one log a worker; nothing is written where nothing was said. What code below Python writes straight to file
descriptors is not seen here.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from executor.store import Store


class Capture(io.TextIOBase):
    """Stands for `sys.stdout` and `sys.stderr` while bodies run.

    Args:
        store: where the log goes.
        key: the worker's log.
        echo: where to repeat each line with the node's path; None for nowhere.
    """

    def __init__(self, store: Store, key: str, echo: TextIO | None) -> None:
        self._store = store
        self._key = key
        self._echo = echo
        self._path = ""
        self._said: list[str] = []
        self._line = ""
        self._log_handler = _LogHandler(self)

    # --- the stream ---

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        self._said.append(text)
        if self._echo is not None:
            self._line += text
            if "\n" in self._line:
                *whole, self._line = self._line.split("\n")
                self._repeat(whole)
        return len(text)

    def _repeat(self, lines: list[str]) -> None:
        echo = cast(TextIO, self._echo)
        try:
            echo.write("".join(f"{self._path} | {line}\n" for line in lines))
            echo.flush()
        except (OSError, ValueError):
            self._echo = None  # nobody reads it any more; the log goes on

    # --- around bodies ---

    @contextmanager
    def streams(self) -> Iterator[None]:
        """Take over standard output, standard error and the root logger."""
        stdout, stderr = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = cast(Any, self)
        root = logging.getLogger()
        self._log_handler.speaks_up = not root.handlers
        root.addHandler(self._log_handler)
        try:
            yield
        finally:
            root.removeHandler(self._log_handler)
            sys.stdout, sys.stderr = stdout, stderr

    def begin(self, path: str) -> None:
        """A body begins."""
        self._path = path

    def end(self) -> list[Any] | None:
        """A body has ended: [key, offset, length] of what it said, or None. Raises `StoreError`."""
        if not self._said:
            return None
        data = "".join(self._said).encode("utf-8", "backslashreplace")
        self._said.clear()
        if self._line and self._echo is not None:
            self._repeat([self._line])
        self._line = ""
        return [self._key, self._store.append(self._key, data), len(data)]


class _LogHandler(logging.Handler):
    """Writes log records into the attempt's log; aloud only where the author has set up no handler of their own."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self._capture = capture
        self.speaks_up = True
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record) + "\n"
        except Exception:  # logging's own rule: a bad record is reported, never raised
            self.handleError(record)
            return
        if self.speaks_up:
            self._capture.write(text)
        else:
            self._capture._said.append(text)
