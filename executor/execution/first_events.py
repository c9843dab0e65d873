"""The first events of an executor on a run: they tell that the executor works on it, and which code has changed."""

from __future__ import annotations

import os
import socket
import time

from promissory.executor.protocol.events import CODE, CYCLES_STOP, RESUMED, Event
from promissory.executor.protocol.limits import Limits


def resumed_event(epoch: int, limits: Limits) -> Event:
    """The first event of an executor that works on a run."""
    return (RESUMED, epoch, socket.gethostname(), os.getpid(), limits.to_tree(), time.time_ns() // 1000)


def stop_events(stop: int | None) -> tuple[Event, ...]:
    """The event that says how far cycles go, if the caller said so."""
    return () if stop is None else ((CYCLES_STOP, stop),)


def code_event(name: str, old: bytes, new: bytes) -> Event:
    """A callable whose code changed since the run began."""
    return (CODE, name, old, new)
