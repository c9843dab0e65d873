"""The messages between an executor and its worker processes, and how they travel.

To a worker they go through a socket that keeps messages apart. The executor holds a copy of the reading end, so it can
take back messages that the worker has not taken yet: the kernel hands each message to one of the two. From a worker
they come through a pipe, each with its length in front.

============ ======================= =======================================================================
to a worker                          content
============ ======================= =======================================================================
OPEN         a run begins            the fields of `Opening`; answered by OPENED or STALE
RUN          a batch                 `GIVEN`, then bytes of `promissory.executor.protocol.messages`
CLOSE        the run is over         nothing
============ ======================= =======================================================================

============ ======================= =======================================================================
from it                              content
============ ======================= =======================================================================
OPENED       it is ready for batches nothing
BEGUN        a body with a time-out  nothing
OUTCOME      of an invocation        a tree of `promissory.executor.protocol.messages`; on a lane [number
                                     of its batch, tree]
SAID         output of a body        lines with the node's path, and how many bytes of it are echoed now
STALE        its modules are old     nothing: the call that it was given was not begun, and the worker ends
LEAVING      it ends after this      nothing
STOPPED      the run has to stop     name of an exception, its text
KEPT         a checkpoint            key and content, for the store that only the executor reaches
============ ======================= =======================================================================
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import tempfile
from array import array
from typing import Any, Final, NamedTuple

from promissory.typesys.canonical import pack, unpack

OPEN, RUN, CLOSE = b"O", b"R", b"C"
OPENED, BEGUN, OUTCOME, SAID, STALE, LEAVING, STOPPED, KEPT = range(8)

AT_ONCE: Final = 0.00012
"""Seconds for which both sides look for the next message before they sleep, if the last ones came so quickly."""
NUMBER: Final = struct.Struct("<I")
GIVEN: Final = struct.Struct("<Id")
"""A batch's number, and when the executor was last sure that the run is its own (seconds since boot)."""
_LARGE: Final = b"L"
_LARGEST_MESSAGE: Final = 1 << 16
_CLOSED_IN_CHILDREN: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_ONE_DESCRIPTOR: Final = socket.CMSG_SPACE(4)


class Opening(NamedTuple):
    """The facts of a run that a worker process needs; never stored.

    Attributes:
        store: the store's URL; None if it is memory of the executor's process, so that values travel with batches.
        run_id, epoch, worker: the run, its executor, and the worker's name in it.
        created: when the run was created, in µs since the epoch.
        echo: how the output of bodies is sent to the executor: with `paths`, `plain`, or not at all.
        log_level: the level from which on log records are kept.
        folder, path, arguments, environment: the executor's working directory, `sys.path`, `sys.argv` and environment.
        script: (module name, file) of the program, if it has a file.
        modules: (name, file) of modules that the plan's functions were imported from.
        bundle: digest of the source bundle.
        logging: (level, format) of the executor's root logger; None if it was not set up.
        lane: whether async bodies are to run side by side in it.
    """

    store: str | None
    run_id: str
    epoch: int
    worker: str
    created: int
    echo: str
    log_level: int
    folder: str
    path: list[str]
    arguments: list[str]
    environment: dict[bytes, bytes]
    script: list[str] | None
    modules: list[list[str]]
    bundle: bytes
    logging: list[Any] | None
    lane: bool = False


def channel() -> tuple[socket.socket, socket.socket]:
    """A channel to a worker: (sending end, receiving end)."""
    kind = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM) if os.uname().sysname == "Linux" else socket.SOCK_DGRAM
    sender, receiver = socket.socketpair(socket.AF_UNIX, kind)
    sender.setblocking(False)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return sender, receiver


def send(sender: socket.socket, kind: bytes, data: bytes) -> bool:
    """Send a message; False if there is no room for it now. A large message goes in a file that has no name.

    Raises `OSError` if the receiving end is closed.
    """
    try:
        if len(data) <= _LARGEST_MESSAGE:
            sender.send(kind + data)
        else:
            with file_without_name() as file:
                _write_all(file.fileno(), data)
                socket.send_fds(sender, [_LARGE + kind], [file.fileno()])
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno == errno.ENOBUFS:  # some systems say so that there is no room
            return False
        raise
    return True


def file_without_name() -> Any:
    """A file that two processes share. It is in memory where the system can do that, because it may hold secrets that
    no disk should see."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("promissory"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def receive(receiver: socket.socket, flags: int = 0) -> tuple[bytes, bytes] | None:
    """The next message, (kind, content); None at the end. With `flags` not to wait, it may raise `BlockingIOError`."""
    try:
        message, ancillary, _, _ = receiver.recvmsg(_LARGEST_MESSAGE + 2, _ONE_DESCRIPTOR, flags | _CLOSED_IN_CHILDREN)
    except ConnectionError:
        return None
    if not ancillary:
        return (message[:1], message[1:]) if message else None
    descriptor = array("i", ancillary[0][2])[0]
    with open(descriptor, "rb") as file:
        file.seek(0)
        return message[1:2], file.read()


def say(descriptor: int, kind: int, content: Any) -> None:
    """Write one message of a worker to its pipe."""
    data = pack([kind, content])
    _write_all(descriptor, NUMBER.pack(len(data)) + data)


class Hearing:
    """Takes a worker's messages out of the bytes that were read from its pipe.

    >>> hearing = Hearing()
    >>> hearing.take(b"\\x03\\x00\\x00\\x00\\x92\\x00\\xc0\\x05"), hearing.take(b"\\x00")
    ([[0, None]], [])
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def take(self, data: bytes) -> list[Any]:
        """The messages that are complete now."""
        held = self._held
        held += data
        messages, position, end = [], 0, len(held)
        while end - position >= 4:
            (length,) = NUMBER.unpack_from(held, position)
            if end - position - 4 < length:
                break
            messages.append(unpack(bytes(held[position + 4 : position + 4 + length]), "a worker's message"))
            position += 4 + length
        del held[:position]
        return messages


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
