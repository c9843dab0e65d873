"""The `Engine` protocol, and engines by name.

An engine moves batches of bytes to workers and outcomes back. The scheduler decides which calls are ready, are sent
again or have failed; an engine only reports.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from promissory.executor.store.store import Store
from promissory.executor.worker.capture import Echo
from promissory.typesys.canonical import pack

Interruptible = Callable[[], AbstractContextManager[None]]
"""Makes a block in which Ctrl-C may be raised."""


OVERLAPPING: Final = 100
"""Async bodies that one worker runs at one time: they wait mostly."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The facts of a run that an engine's workers need.

    Attributes:
        store: the store of objects and logs.
        run_id: the run.
        epoch: the executor's epoch; logs of different epochs have different names.
        created: when the run was created, in µs since the epoch.
        echo: where the words of bodies are shown: `plain`, `paths`, or False for nowhere.
        log_level: the level from which on log records of bodies are kept.
        parallel: how many bodies may run at one time.
        script: (module name, file) of the program that defines the workflow, if it has a file.
        modules: (name, file) of the modules that the plan's functions were imported from.
        bundle: the source bundle's digest; empty if there is none.
        is_pinned: whether the run was submitted, so that its bodies run the code in the bundle, whatever lies here
            (rule Q3).
    """

    store: Store
    run_id: str
    epoch: int
    created: int
    echo: Echo
    log_level: int
    parallel: int
    script: tuple[str, str] | None = None
    modules: tuple[tuple[str, str], ...] = ()
    bundle: bytes = b""
    is_pinned: bool = False


class Batch(NamedTuple):
    """The invocations that one worker gets at a time.

    Attributes:
        content: the invocations (`promissory.executor.protocol.messages`), as a tree that is never changed; a worker
            elsewhere gets it as bytes (`data`).
        calls: (frame, index, attempt) of each invocation in it, in order.
        sure: when the executor had made sure that the run is its own, in seconds since boot. A worker gives a batch
            back that has lain for longer than a moment (rule J3).
        path: the path of the first node that is called.
        timeout: seconds that its one body may take; None for no limit.
        overlaps: its one body is that of an async task, which overlaps with others.
        holder: of an async dynamic: the worker that may have its body; "" if none has. None for any other call.
        is_older: its code is in the bundle that the run began with, and another one today.
        alone: run it on a worker that has run nothing yet, with nothing beside it in that worker.
    """

    content: list[Any]
    calls: tuple[tuple[int, int, int], ...]
    sure: float
    path: str = ""
    timeout: float | None = None
    alone: bool = False
    overlaps: bool = False
    holder: str | None = None
    is_older: bool = False

    @property
    def data(self) -> bytes:
        """The content of the batch as bytes."""
        return pack(self.content)


@dataclass(frozen=True, slots=True)
class Running:
    """A running body: its node, its worker, and its beginning (µs since the epoch)."""

    frame: int
    index: int
    worker: str
    since: int


class Engine(Protocol):
    """Carries batches to workers.

    Attributes:
        name: the name by which the engine is chosen on the command line.
        largest_batch: how many invocations one batch may hold.
        ahead: how many calls a worker is given at least, so that it has the next call when it is done with one.
        remote: whether its workers are other processes, to which functions and values have to travel.
        stops_bodies: whether a body that takes too long can be stopped; if not, a run with time-outs needs
            `soft_timeouts` (rule R2).
    """

    name: str
    largest_batch: int
    ahead: int
    remote: bool
    stops_bodies: bool

    def slots(self, wanted: int | None) -> int:
        """How many bodies can run at one time, if `wanted` are asked for. None asks for as many as is sensible here."""

    def open(self, setup: Setup) -> None:
        """Get ready for a run."""

    def submit(self, batch: Batch) -> None:
        """Have a batch run. Never blocks."""

    def wait(self, timeout: float, interruptible: Interruptible) -> list[Any]:
        """Outcomes (trees, as `promissory.executor.protocol.messages` has them) as soon as there are any, or none after
        `timeout` seconds.

        For a worker that ended without an outcome there is one with the status LOST, of the invocation that it was
        running.
        """

    def wake(self) -> None:
        """Have `wait` return early, if it waits. Called from another thread."""

    def salvage(self) -> list[Any]:
        """Outcomes that `wait` could not give because it was interrupted."""

    def recall(self) -> None:
        """Take back the calls that no worker has begun: they come out of `wait` with the status UNSTARTED."""

    def announce_end(self, ending: bool) -> None:
        """Tell bodies, where that can be done, that the run is to end (`Context.cancelled`), or that it is not. Called
        from any thread."""

    def running(self) -> list[Running]:
        """The bodies that run now. Called from another thread."""

    def close(self) -> None:
        """Leave the run. Bodies that still run are stopped, where that can be done."""


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
