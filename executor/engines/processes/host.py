"""The host of worker processes: the Python that runs them, and how many of them there is room for."""

from __future__ import annotations

import errno
import os
import resource
import sys
from typing import Final

from promissory.executor.engines.processes.guard import NO_ROOM
from promissory.executor.errors import EngineError
from promissory.executor.protocol.failure import LastWords
from promissory.executor.worker.streams import echo

_OF_A_WORKER: Final = 8
_BESIDE_WORKERS: Final = 64
_NO_ROOM: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM))


def python() -> str:
    """The Python that worker processes run.

    Raises `EngineError` where the program's executable is no Python: a worker would be the program once more.
    """
    spawn = sys.modules.get("multiprocessing.spawn")  # a frozen program may have named a Python there
    told = sys.executable if spawn is None else spawn.get_executable()
    name = os.fsdecode(told) if told else ""
    if name and name != sys.executable:
        return name
    main = sys.modules["__main__"]
    if getattr(sys, "frozen", False) or hasattr(sys, "_MEIPASS") or "__compiled__" in vars(main):
        raise EngineError(
            "this program is frozen, so its executable is no Python that could run worker processes. Use engine "
            "'threads' or 'inline', or name a Python: multiprocessing.set_executable(path)"
        )
    if not name:
        raise EngineError(
            "this program does not know where its Python is (sys.executable is empty), "
            "so it can't start worker processes"
        )
    return name


def failed_start(words: LastWords) -> EngineError:
    """The error of a worker that ended before it was ready. Its cause is an `OSError` if the system let the guard start
    no other process."""
    signal, code, said = words
    if code != NO_ROOM:
        told = said.strip()[-2000:] or f"exit code {code}, signal {signal}"
        return EngineError(f"a worker process ended before it was ready: {told}")
    error = EngineError(f"a worker process can't be started: {said.strip()}")
    error.__cause__ = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return error


class Room:
    """How many worker processes there may be.

    The executor's own limit of descriptors is raised as far as they need, and the system allows. Workers get the limit
    that stood before (`descriptors`), since `select()` knows no descriptor above 1,023.

    Args:
        workers: how many are wanted.
    """

    def __init__(self, workers: int) -> None:
        self.workers = self._wanted = workers
        self.descriptors, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = _BESIDE_WORKERS + _OF_A_WORKER * workers
        if self.descriptors != resource.RLIM_INFINITY and self.descriptors < needed:
            allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(self.descriptors, allowed), hard))

    def shrink_to(self, there: int, error: EngineError) -> None:
        """No worker more than these can be started. Raises the error if it says something else, or there is none."""
        cause = error.__cause__
        if not there or not isinstance(cause, OSError) or cause.errno not in _NO_ROOM:
            raise error
        self.workers = there
        echo(
            f"promissory: {there} worker processes instead of {self._wanted}: {cause}. "
            "Raise the limit (ulimit -n, ulimit -u), or ask for fewer (max_parallelism=, --max-parallelism)\n"
        )
