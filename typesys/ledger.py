"""The ledger of secrets: values that one process revealed, for the processes that write down its output.

A body's child prints into the body's log, and the worker masks that log. So the worker has to know which values the
child revealed. The executor has to know them too, because it writes down the last words of a worker that died. All of
them share one file, which has no name and lies in memory where the system can do that. Forked children inherit the
file. Programs that a body starts find it by the address in their environment (Linux).

The first byte of the file tells whether anything follows; it is mapped, so that looking costs nothing while no secret
was revealed. Each entry, the name of a secret and its value, is one line of JSON between two line breaks. It is
appended in one write, so that a line which was cut short spoils no other.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import tempfile
from contextlib import suppress
from typing import Final

ADDRESS: Final = "PROMISSORY_REVEALED"
"""The environment variable that leads a program to the ledger of the body which started it."""
_NAME: Final = "promissory-revealed"


class _Ledger:
    """The ledger as this process knows it.

    Attributes:
        descriptor: the shared file; -1 while this process shares no ledger.
        captures: the number of runs in this process that write down the output of bodies.
        heard: whether a value was revealed in this process.
        tells: one byte, shared with the other processes, that says whether any value was added.
    """

    def __init__(self) -> None:
        self.descriptor = -1
        self.captures = 0
        self.heard = False
        self._file: tuple[int, int] | None = None
        self.tells: mmap.mmap | bytes = b"\0"
        self._position = 0
        self._process = os.getpid()

    def shared(self) -> int:
        """Give the descriptor of the file, which is made now if there is none. Raises `OSError`."""
        if self.descriptor < 0:
            self.adopt(_file_in_memory())
        return self.descriptor

    def adopt(self, descriptor: int) -> None:
        """Use a file that this process was given."""
        os.set_inheritable(descriptor, False)
        found = os.fstat(descriptor)
        self.tells = mmap.mmap(descriptor, 1)
        self.descriptor, self._file, self._position = descriptor, (found.st_dev, found.st_ino), 0

    def address(self) -> str:
        """Give the path by which programs that this process starts find the file."""
        return f"/proc/{os.getpid()}/fd/{self.shared()}"

    def add(self, name: str, value: str) -> None:
        """Tell the other processes of a value that a secret has.

        Raises `OSError` in a forked child that can't: its parent would write the value down.
        """
        line = f"\n{json.dumps([name, value])}\n".encode()
        if self._is_there():
            if os.write(self.descriptor, line) < len(line):
                raise OSError("the file has no room")
            assert isinstance(self.tells, mmap.mmap)
            self.tells[0] = 1
        elif self.captures and os.getpid() != self._process:
            raise OSError("the file that this process inherited is closed")
        elif path := os.environ.get(ADDRESS):
            # What the program prints may go anywhere, so a ledger that is gone is no reason to refuse the value.
            with suppress(OSError):
                _append(path, line)

    def news(self) -> list[tuple[str, str]]:
        """List the names and values that were added since this was last asked."""
        if not self.tells[0] or not self._is_there():
            return []
        size = os.fstat(self.descriptor).st_size
        if size <= self._position:
            return []
        whole, found, _ = os.pread(self.descriptor, size - self._position, self._position).rpartition(b"\n")
        self._position += len(whole) + len(found)
        entries = []
        for line in whole.lstrip(b"\0\1").split(b"\n"):
            with suppress(ValueError):  # a line that was cut short
                name, value = json.loads(line)
                entries.append((name, value))
        return entries

    def _is_there(self) -> bool:
        """Whether the descriptor still leads to the file. A body may have closed it and opened another under its
        number."""
        try:
            found = os.fstat(self.descriptor)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._file

    def before_fork(self) -> None:
        """Make the file, so that a body's child inherits it."""
        if self.captures:
            # Without a free descriptor the fork goes on, and `add` refuses in the child.
            with suppress(OSError):
                self.shared()

    def after_fork(self) -> None:
        """Note in a child which process it is. The child of a program that runs nothing now is a program of its own."""
        if not self.captures:
            self._process = os.getpid()


def _file_in_memory() -> int:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create(_NAME)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.write(descriptor, b"\0")
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_APPEND)
    return descriptor


def _append(path: str, line: bytes) -> None:
    """Append to the ledger of another process, and to nothing else: the process may be gone, and its number and its
    descriptor another's."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(f"/memfd:{_NAME}"):
            os.write(descriptor, line)
            with mmap.mmap(descriptor, 1) as tells:
                tells[0] = 1
    finally:
        os.close(descriptor)


LEDGER: Final = _Ledger()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LEDGER.before_fork, after_in_child=LEDGER.after_fork)
