"""The guard of a worker process, which `promissory.executor.engines.processes.child` starts with `python -m` and five
arguments: the socket of messages, the pipe for answers, the flag of the end, the limit of descriptors, the ledger.

The guard forks the worker before anything large is imported, and waits for its end. It ends the worker when the
executor's end of standard input closes: because the executor is gone, or wants the worker gone. Then it ends every
process that the worker's bodies left, whatever its group or session (rule X10): on Linux all of them become children of
the guard when their parents end; elsewhere only the worker's group is known. At last the guard ends as its worker did,
so that the executor, whose child the guard is, sees the worker's exit code or signal.

Neither the executor nor the worker can do that. The executor's process is the user's, whose own children it must not
adopt, and may be killed itself. The worker is what is killed.

Guard and worker are a session of their own, so a program that asks a question finds no terminal, instead of being
stopped by it for ever. Each is a group of its own, so a signal that a body sends to its group misses the guard.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from typing import Final

from promissory.executor.engines.processes.descendants import children, end_all

LETS_GO: Final = signal.SIGUSR1
"""Sent by a worker that is about to end, and whose children are to outlive it."""

NO_ROOM: Final = 75
"""The exit code of a guard that the system lets start no other process."""
_LIFELINE: Final = 0
_SIGNAL_AT_PARENTS_END, _DUMPABLE, _ADOPT_ORPHANS = 1, 4, 36


def _prctl(option: int, value: int) -> bool:
    """Change how Linux treats this process. Returns False where the system can't do that."""
    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _wake(number: int, frame: object) -> None:
    """A signal with a handler of Python's writes its number to the wakeup descriptor."""


class _Guard:
    """Waits for the end of one worker, and clears up after it.

    Args:
        worker: the worker's process.
        awake: a descriptor that gets a byte for each signal.
    """

    def __init__(self, worker: int, awake: int) -> None:
        self._worker = worker
        self._awake = awake
        self._status: int | None = None
        self._lets_go = False

    def watch(self) -> int:
        """Wait until the worker has ended, and all that it left. Returns the worker's wait status."""
        watched = [_LIFELINE, self._awake]
        while self._status is None:
            readable, _, _ = select.select(watched, [], [])
            if _LIFELINE in readable and not os.read(_LIFELINE, 1):
                watched.remove(_LIFELINE)
                os.kill(self._worker, signal.SIGKILL)
            self._take_signals()
            self._reap()
        self._take_signals()
        if not self._lets_go:
            if not os.path.isdir("/proc/self"):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._worker, signal.SIGKILL)
            end_all(self._left, self._pause)
        return self._status

    def _take_signals(self) -> None:
        with suppress(BlockingIOError):
            while numbers := os.read(self._awake, 4096):
                self._lets_go = self._lets_go or LETS_GO in numbers

    def _reap(self) -> bool:
        """Wait for the children that have ended. Returns whether there are others."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == self._worker:
                self._status = status
            elif pid == 0:
                return True

    def _left(self) -> list[int]:
        return children(os.getpid()) if self._reap() else []

    def _pause(self, seconds: float) -> None:
        select.select([self._awake], [], [], seconds)
        self._take_signals()


def _end_as(status: int) -> None:
    """End this process as another one ended, without a memory dump of its own."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        _prctl(_DUMPABLE, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _be_worker(guard: int) -> None:
    """Be the worker: a process of a group of its own, which ends with its guard."""
    _prctl(_SIGNAL_AT_PARENTS_END, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(1)  # the guard ended before the system was told
    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _LIFELINE)
    os.close(nothing)


def main() -> None:
    """Start the worker, and guard it until its end."""
    _prctl(_ADOPT_ORPHANS, 1)
    guard = os.getpid()
    place = f"{os.environ.get('TMPDIR') or '/tmp'}/promissory-{os.urandom(8).hex()}"
    awake, waker = os.pipe()
    os.set_blocking(awake, False)
    os.set_blocking(waker, False)
    heard = (signal.SIGCHLD, LETS_GO)
    inherited = {number: signal.signal(number, _wake) for number in heard}
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    mask = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - set(heard))
    try:
        worker = os.fork()
    except OSError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(NO_ROOM)
    if worker:
        # The guard keeps the pipe to the executor open, so that the executor finds it closed when all is cleared up.
        os.close(int(sys.argv[1]))
        os.close(int(sys.argv[3]))
        os.chdir("/")
        status = _Guard(worker, awake).watch()
        if os.path.isdir(place):
            from promissory.typesys.scratch import remove_folder

            remove_folder(place)
        _end_as(status)
    signal.set_wakeup_fd(-1)
    os.close(awake)
    os.close(waker)
    for number, handler in inherited.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _be_worker(guard)
    from promissory.executor.engines.processes.main import main as serve

    serve(place)


if __name__ == "__main__":
    main()
