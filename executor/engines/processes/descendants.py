"""The processes that a process started, and those that these started: who they are, and how they are ended.

They are known by `/proc`, so elsewhere than on Linux none is known.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

_CAN_NOT_BE_ENDED: Final = 5.0
"""Seconds after which a process that was killed and is still there is given up: it waits in the kernel for a device, or
belongs to another user."""
_CLEANS_UP: Final = 1.0
"""Seconds in which a resource tracker may remove what processes that were killed left: named memory, semaphores."""
_LOOK: Final = 0.01


def children(pid: int) -> list[int]:
    """The processes whose parent is this one; also those that have ended and were never waited for."""
    try:
        found: list[int] = []
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
        return found
    except (FileNotFoundError, ProcessLookupError):
        return _looked_up(pid)  # some kernels are built without this file; or the process has just ended


def _looked_up(pid: int) -> list[int]:
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            with suppress(OSError):
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = file.read().rpartition(b")")[2].split()[1]
                if int(parent) == pid:
                    found.append(int(name))
    return found


def descendants(pid: int) -> list[int]:
    """The processes below this one."""
    found = children(pid)
    for one in found:  # grows meanwhile
        found += children(one)
    return found


def command(pid: int) -> bytes:
    """The command line of a process; empty if it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def end_all(roots: Callable[[], Iterable[int]], pause: Callable[[float], object] = time.sleep) -> None:
    """End processes and all that they started.

    A process that is killed leaves its children to another parent, and one that starts processes quickly may be ahead
    of the killing. So this goes on until nothing is left. Resource trackers of `multiprocessing` come last, since they
    end by themselves when those whose things they track have ended, and remove those things.

    Args:
        roots: gives the processes that are left; those that have ended have to be waited for there.
        pause: waits some seconds.
    """
    killed: dict[int, float] = {}
    begun = time.monotonic()
    while left := list(roots()):
        now = time.monotonic()
        for pid in [*left, *(below for root in left for below in descendants(root))]:
            if b"resource_tracker" in command(pid) and now - begun < _CLEANS_UP:
                killed.pop(pid, None)
                continue
            killed.setdefault(pid, now)
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if all(now - killed.get(pid, now) >= _CAN_NOT_BE_ENDED for pid in left):
            return
        pause(_LOOK)
