"""The output that bodies in this process write straight to file descriptors 1 and 2: code below Python, and
programs that bodies start.

A command whose result goes to standard output lends both descriptors to bodies (rule X5). They lead to a file without a
name, which is read when a body ends, and now and then while bodies run. The command's own streams keep writing where
the descriptors led.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from promissory.executor.worker.descriptors import occupy_closed
from promissory.executor.worker.streams import echo, speaking

_LOOK: Final = 0.25
_PIECE: Final = 1 << 20


class RawOutput:
    """The file to which descriptors 1 and 2 lead while a command lends them to bodies.

    Attributes:
        is_open: whether the descriptors are lent to bodies now.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._file: Any = None
        self._position = 0
        self._lock = threading.Lock()

    def read(self) -> bytes:
        """What was written since the last call."""
        with self._lock:
            found = bytearray()
            while self._file is not None and (piece := os.pread(self._file.fileno(), _PIECE, self._position)):
                self._position += len(piece)
                found += piece
            return bytes(found)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Lend descriptors 1 and 2 to bodies."""
        occupy_closed()
        streams = sys.stdout, sys.stderr
        for stream in streams:
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        kept = [os.dup(1), os.dup(2)]
        own = [_over(stream, number, kept[number - 1]) for number, stream in ((1, sys.stdout), (2, sys.stderr))]
        self._file, self._position = tempfile.TemporaryFile(buffering=0), 0  # noqa: SIM115
        os.dup2(self._file.fileno(), 1)
        os.dup2(self._file.fileno(), 2)
        sys.stdout, sys.stderr = own
        self.is_open = True
        crashes_are_told = faulthandler.is_enabled()
        faulthandler.enable(kept[1])  # what the interpreter says of a crash would be lost with the file
        over = threading.Event()
        looking = threading.Thread(target=self._look, args=(over,), name="promissory descriptors", daemon=True)
        looking.start()
        try:
            yield
        finally:
            self.is_open = False
            over.set()
            looking.join()
            self._show(self.read())
            for number, descriptor in ((1, kept[0]), (2, kept[1])):
                os.dup2(descriptor, number)
            faulthandler.disable()
            if crashes_are_told:
                faulthandler.enable(2)
            for stream, before in zip(own, streams, strict=True):
                if stream is not before:
                    with suppress(OSError, ValueError):
                        stream.close()
            sys.stdout, sys.stderr = streams
            for descriptor in kept:
                os.close(descriptor)
            self._file.close()
            self._file = None

    def _look(self, over: threading.Event) -> None:
        while not over.wait(_LOOK):
            said = self.read()
            if not said:
                continue
            listeners = list(speaking)
            if len(listeners) == 1:
                listeners[0].take_bytes(said, None)
            else:
                self._show(said)

    def _show(self, said: bytes) -> None:
        """Show what can't be told apart: several bodies were running, or none."""
        if said:
            echo(said.decode("utf-8", "backslashreplace"))


def _over(stream: Any, number: int, descriptor: int) -> Any:
    """A stream like the given one, over another descriptor; the stream itself, if it does not write to the standard
    one."""
    try:
        if stream.fileno() != number:
            return stream
    except (OSError, ValueError, AttributeError):
        return stream
    return open(
        descriptor,
        "w",
        encoding=stream.encoding,
        errors=stream.errors,
        closefd=False,
        buffering=1,
    )


raw_output: Final = RawOutput()
