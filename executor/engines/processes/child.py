"""A worker process as its executor sees it: how it is started, told, and ended; how calls that it has not begun are
taken back, and how it died.

The executor's child is the worker's guard (`guard.py`), which ends as the worker did, once all that the worker's bodies
started has ended. To the executor the two are one process.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from promissory.executor.engines.engine import Batch
from promissory.executor.engines.processes.host import python
from promissory.executor.engines.processes.messages import (
    BEGUN,
    GIVEN,
    OPEN,
    OPENED,
    OUTCOME,
    RUN,
    SAID,
    Hearing,
    Opening,
    channel,
    file_without_name,
    receive,
    send,
)
from promissory.executor.errors import EngineError
from promissory.executor.protocol.failure import LastWords
from promissory.typesys.canonical import pack
from promissory.typesys.ledger import LEDGER
from promissory.typesys.secret import masked, without_rest

_WORDS: Final = 8192
_PIECE: Final = 1 << 20
_READ_AT_ONCE: Final = 1 << 16
_TAKES_LONG: Final = 20.0
"""Seconds after which a guard that should end its worker is itself in trouble: somebody has stopped it, say."""


_all: WeakSet[WorkerProcess] = WeakSet()


class WorkerProcess:
    """A process that runs batches.

    Attributes:
        name: the worker's name in the run, for the journal.
        sent: the batches that it was given and has not answered, by number; it runs the first of them.
        since: the time at which it began that batch (µs since the epoch).
        deadline: the time at which that batch has to be over (`time.monotonic`); None for no limit.
        told: how many bytes of its body's output have been echoed.
        lane: whether it runs its batches side by side.
        opened: whether it has taken in that the run begins; before that it is given nothing.
        reserved: the one batch that it was started for.
        is_silent: whether no process holds the writing end of its pipe any more, so that it has ended, or is about to.
        doomed: whether it is to end; it is given nothing more.
        idle_since: the time since which it waits for the next run (`time.monotonic`).
    """

    def __init__(self, descriptors: int) -> None:
        executable = python()
        self._descriptors = descriptors
        self.name = ""
        self.sent: dict[int, Batch] = {}
        self._number = 0
        self.since = 0
        self._started = time.monotonic_ns()
        self.deadline: float | None = None
        self.told = 0
        self.opened = False
        self.lane = False
        self.reserved: Batch | None = None
        self.doomed = False
        self.idle_since = 0.0
        self.is_silent = False
        self._hearing = Hearing()
        with ExitStack() as undo:
            try:
                self._start(executable, undo)
            except OSError as error:
                raise EngineError(f"a worker process can't be started: {error}") from error
            undo.pop_all()
        self.pid = self._process.pid
        _all.add(self)
        self.ending = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else -1

    def _start(self, executable: str, undo: ExitStack) -> None:
        """Start the process. `undo` closes what was opened, if a later step fails."""
        self._sender, self._receiver = channel()
        undo.callback(self._sender.close)
        undo.callback(self._receiver.close)
        reading, writing = os.pipe()
        self.pipe = reading
        undo.callback(os.close, reading)
        with ExitStack() as given:
            given.callback(os.close, writing)
            os.set_blocking(reading, False)
            flag = given.enter_context(file_without_name())
            flag.write(b"\0")  # takes the byte's place now, so that a disk that fills up later does no harm
            self._ending = mmap.mmap(flag.fileno(), 1)
            undo.callback(self._ending.close)
            self._said = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            undo.callback(self._said.close)
            fcntl.fcntl(self._said, fcntl.F_SETFL, fcntl.fcntl(self._said, fcntl.F_GETFL) | os.O_APPEND)
            self._process = self._popen(executable, writing, flag.fileno())

    def _popen(self, executable: str, writing: int, flag: int) -> subprocess.Popen[bytes]:
        ledger = LEDGER.shared()
        command = [
            executable,
            *_interpreter_options(),
            "-P",
            "-m",
            "promissory.executor.engines.processes.guard",
            str(self._receiver.fileno()),
            str(writing),
            str(flag),
            str(self._descriptors),
            str(ledger),
        ]
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=self._said,
            pass_fds=(self._receiver.fileno(), writing, flag, ledger),
            start_new_session=True,
            env=_with_our_packages(),
        )

    # --- talking ---

    def send(self, kind: bytes, data: bytes) -> bool:
        """Send a message; False if there is no room for it now. To a worker that has ended nothing is sent: its end
        shows elsewhere."""
        try:
            return send(self._sender, kind, data)
        except ConnectionError:
            return False
        except OSError as error:
            raise EngineError(f"a worker process can't be told what to do: {error}") from error

    def open(self, name: str, opening: Opening) -> None:
        """Begin a run, in which the worker has this name."""
        self.name, self.opened, self.deadline, self.lane = name, False, None, opening.lane
        self.announce_end(False)
        self.send(OPEN, pack(list(opening._replace(worker=name))))

    def announce_end(self, ending: bool) -> None:
        """Tell the running body that the run is to end, or that it is not, in memory that both processes share."""
        with suppress(ValueError):  # the memory was closed just now
            self._ending[0] = ending

    def give(self, batch: Batch) -> bool:
        """Give the worker a batch to run after those that it has; False if there is no room for it now."""
        number = self._number + 1
        if not self.send(RUN, GIVEN.pack(number, batch.sure) + batch.data):
            return False
        self._number = number
        if not self.sent:
            self._begins()
        self.sent[number] = batch
        return True

    def _begins(self) -> None:
        """Note that the worker begins a batch."""
        self.since, self._started = time.time_ns() // 1000, time.monotonic_ns()

    def lasted(self) -> int:
        """The µs since the worker began its batch, whatever happened to the clock of the day."""
        return (time.monotonic_ns() - self._started) // 1000

    def hear(self) -> list[Any]:
        """The worker's messages so far, without waiting."""
        found: list[Any] = []
        while True:
            try:
                data = os.read(self.pipe, _READ_AT_ONCE)
            except BlockingIOError:
                break
            if not data:
                self.is_silent = True
                break
            found += self._hearing.take(data)
            if len(data) < _READ_AT_ONCE:
                break
        for kind, content in found:
            if kind == OUTCOME and not self.lane:
                self.answered()
                self._begins()
                self.deadline, self.told = None, 0
            elif kind == SAID:
                self.told = content[1]
            elif kind == BEGUN:
                timeout = self.first.timeout
                self.deadline = None if timeout is None else time.monotonic() + timeout
            elif kind == OPENED:
                self.opened = True
        return found

    @property
    def first(self) -> Batch:
        """The batch that the worker runs."""
        return next(iter(self.sent.values()))

    def answered(self) -> Batch:
        """Note that the worker is done with the batch that it ran. Returns that batch."""
        return self.sent.pop(next(iter(self.sent)))

    def take_back(self) -> list[Batch]:
        """Take back the batches that the worker was given and has not taken, in order. The worker may take one
        meanwhile, so each is known by its number."""
        taken = []
        while self.sent:
            try:
                message = receive(self._receiver, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            if message is None:
                break
            taken.append(self.sent.pop(GIVEN.unpack_from(message[1])[0]))
        return taken

    # --- its end ---

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def begin_end(self) -> None:
        """Have the guard end the process, and all processes that its bodies started."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """End the process, and all processes that its bodies started, now."""
        self.begin_end()
        self._await(_TAKES_LONG)
        if not self.has_ended:
            self._process.kill()
        self._process.wait()

    def _await(self, seconds: float) -> None:
        """Wait for the end of the process, but not longer than this."""
        if self.ending >= 0:
            poll = select.poll()  # `select` knows no descriptor above 1,023
            poll.register(self.ending, select.POLLIN)
            poll.poll(seconds * 1000)
        else:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)

    def last_words(self) -> LastWords:
        """How the process ended, once it has."""
        code = self._process.wait()
        size = os.fstat(self._said.fileno()).st_size
        told = os.pread(self._said.fileno(), _WORDS, max(0, size - _WORDS))
        said = masked((without_rest(told) if size > _WORDS else told).decode("utf-8", "replace"))
        return (-code, None, said) if code < 0 else (None, code, said)

    def said(self) -> Any:
        """The output of the worker's last body, in pieces."""
        position = 0
        while piece := os.pread(self._said.fileno(), _PIECE, position):
            position += len(piece)
            yield piece

    def close(self, patience: float = 0.0) -> None:
        """Let go of the process: it ends by itself within `patience` seconds, or is ended."""
        self._sender.close()
        self._receiver.close()
        if patience > 0 and not self.has_ended:
            self._await(patience)
        if not self.has_ended:
            self.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._said.close()
        self._ending.close()
        os.close(self.pipe)
        if self.ending >= 0:
            os.close(self.ending)

    def forget(self) -> None:
        """Forget the worker in a forked child of this process, since it is the parent's. Only descriptors that would
        keep the worker alive are closed."""
        for descriptor in (self._process.stdin, self._sender, self._receiver):
            if descriptor is not None:
                descriptor.close()
        self._process.returncode = 0  # so that the child never waits for a process that is the parent's


def _forget_all() -> None:
    for worker in list(_all):
        worker.forget()


os.register_at_fork(after_in_child=_forget_all)


def _interpreter_options() -> list[str]:
    """The options of this interpreter's command line that workers have to be given too."""
    options = ["-O"] * min(sys.flags.optimize, 2)
    if sys.dont_write_bytecode:
        options.append("-B")
    if sys.flags.dev_mode:
        options += ["-X", "dev"]
    if sys.flags.utf8_mode == 1 and "utf8" in sys._xoptions:
        options += ["-X", "utf8"]
    return options + [f"-W{option}" for option in sys.warnoptions]


def _with_our_packages() -> dict[str, str]:
    """An environment in which a worker finds this package, wherever it is installed."""
    ours = str(Path(str(sys.modules["promissory"].__file__)).parent.parent)
    others = os.environ.get("PYTHONPATH")
    # With one order of sets in every worker, a body that iterates one does the same in a replay. Bodies, and what they
    # start, have the environment of the program.
    return {**os.environ, "PYTHONPATH": f"{ours}{os.pathsep}{others}" if others else ours, "PYTHONHASHSEED": "0"}
