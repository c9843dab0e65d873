"""The ears of the engine: it sleeps until a worker process says something or ends, or until it is woken."""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import suppress

from promissory.executor.engines.processes.child import WorkerProcess
from promissory.executor.engines.processes.messages import AT_ONCE


class Ears:
    """Listens to worker processes."""

    def __init__(self) -> None:
        self._answers_come_at_once = False
        self._asked = 0.0
        self._selector = selectors.DefaultSelector()
        self._waker = socket.socketpair()
        for end in self._waker:
            end.setblocking(False)
        self._selector.register(self._waker[0], selectors.EVENT_READ, None)

    def listen_to(self, worker: WorkerProcess) -> None:
        """Listen to a worker from now on."""
        self._selector.register(worker.pipe, selectors.EVENT_READ, worker)
        if worker.ending >= 0:
            self._selector.register(worker.ending, selectors.EVENT_READ, worker)

    def forget(self, worker: WorkerProcess) -> None:
        """Listen to a worker no more."""
        self._selector.unregister(worker.pipe)
        if worker.ending >= 0:
            self._selector.unregister(worker.ending)

    def heard(self, patience: float) -> tuple[dict[WorkerProcess, bool], bool]:
        """Sleep until there is something, for `patience` seconds at most. Returns the workers that have said something,
        each with whether it ends, and whether there was anything."""
        events = self._look() or self._selector.select(patience)
        heard: dict[WorkerProcess, bool] = {}
        for key, _ in events:
            if key.data is None:
                with suppress(OSError):
                    self._waker[0].recv(4096)
            else:
                heard[key.data] = heard.get(key.data, False) or key.fd == key.data.ending
        return heard, bool(events)

    def _look(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Look for answers without sleeping, if the last answers came at once: to sleep and be woken costs more than a
        short body (30 µs of a chain's 140)."""
        begun = time.perf_counter()
        events: list[tuple[selectors.SelectorKey, int]] = []
        while not events and self._answers_come_at_once and time.perf_counter() - begun < AT_ONCE:
            events = self._selector.select(0)
        self._answers_come_at_once = bool(events) or begun - self._asked < AT_ONCE
        self._asked = begun
        return events

    def wake(self) -> None:
        """Have `heard` return. From any thread."""
        with suppress(OSError):  # the socket is full, so that it is awake; or it was closed just now
            self._waker[1].send(b"!")

    def close(self) -> None:
        """Listen to nothing any more."""
        self._selector.close()
        for end in self._waker:
            end.close()
