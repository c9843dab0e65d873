"""What bodies leave running: processes that are told to the user once, and end with the run (rule X10)."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Final

from promissory.executor.engines.processes.descendants import children, command, end_all

STARTS_A_PROCESS: Final = 100
"""µs below which no body starts a process: the system takes longer. A look for children takes 1 µs."""
_LEAVES_AN_ORPHAN: Final = 1000
"""µs below which no body starts a process that starts another and ends. A look for orphans takes 10 µs."""
_OF_LIBRARIES: Final = (b"resource_tracker", b"multiprocessing.forkserver", b"promissory.executor.engines.processes")
"""In command lines of processes that a library starts once, and keeps for all that comes later."""
_IS_STARTING: Final = 0.1
"""Seconds in which a process that was started has a command line."""


class LeftBehind:
    """Knows the processes that bodies have left, as a worker sees them: its own children, and the orphans that its
    guard has adopted."""

    def __init__(self) -> None:
        self._worker = os.getpid()
        self._guard = os.getppid()
        self._known: set[int] = set()
        self._adopted = f"/proc/{self._guard}/task/{self._guard}/children"

    def there_are_some(self, took: int = _LEAVES_AN_ORPHAN) -> bool:
        """Whether there are any, as far as a body that took so many µs can have left one. Children that have ended and
        were never waited for count."""
        return _has_children() or (not 0 <= took < _LEAVES_AN_ORPHAN and self._has_orphans())

    def _has_orphans(self) -> bool:
        try:
            with open(self._adopted, "rb", buffering=0) as file:
                return len(file.read(64).split()) > 1
        except OSError:
            return False  # this system doesn't tell

    def running(self) -> list[int]:
        """Those that run."""
        adopted = [pid for pid in children(self._guard) if pid != self._worker] if self._has_orphans() else []
        return [pid for pid in [*children(self._worker), *adopted] if _runs(pid)]

    def news(self) -> list[tuple[int, str]]:
        """Those that run and were not told yet, with their names. Processes of libraries are never told."""
        running = self.running()
        found = [pid for pid in running if pid not in self._known and not self._is_of_a_library(pid)]
        self._known = set(running)
        return [(pid, _name(pid)) for pid in found]

    def _is_of_a_library(self, pid: int) -> bool:
        until = time.monotonic() + _IS_STARTING
        while not (line := command(pid)) and _runs(pid) and time.monotonic() < until:
            time.sleep(0.001)  # the system has not yet written down which program it starts
        return line != command(self._worker) and any(name in line for name in _OF_LIBRARIES)

    def end(self, processes: list[int]) -> None:
        """End some of them, with all that they started."""

        def left() -> list[int]:
            for pid in processes:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            return [pid for pid in processes if _runs(pid)]

        end_all(left)


def _has_children() -> bool:
    if not hasattr(os, "waitid"):
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "a process"
