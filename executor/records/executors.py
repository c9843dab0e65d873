"""Executors by name: which process works on a run, and whether it lives (rule J3).

A process that works on runs of a store is one executor there, with a random name. On a store of files it holds
`executors/<name>/alive` locked, one place in it for each of its runs: as long as that place is held, the run is being
worked on, and once it is free, nobody works on the run any more. Where locks prove nothing (object stores, network file
systems) the run's beat is watched instead (`promissory.executor.records.heartbeat`).

Nothing here decides who may write: that is settled by the journal's numbers.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import deque
from typing import Final

from promissory.executor.protocol.seats import Seat
from promissory.executor.store.backend import Held
from promissory.executor.store.keys import alive_key, is_executor_id
from promissory.executor.store.store import Store


class _Executor:
    """This process as an executor in one store."""

    def __init__(self, store: Store) -> None:
        self.url = store.url
        self.pid = os.getpid()
        self.name = secrets.token_hex(8)
        self.seats: set[int] = set()
        self.last = 0
        self.renewed = time.monotonic()
        self.held: Held | None = store.hold(alive_key(self.name))


_RENEWED: Final = 1.0
"""Seconds after which the seats of a process are held again, at the next beat of any of its runs."""
_lock: Final = threading.RLock()
_here: Final[dict[str, _Executor]] = {}
"""The executors of this process by the URLs of their stores. A fork inherits them, and is none of them."""
_left: Final[deque[str]] = deque(maxlen=1024)
"""The newest executors of this process that have left their last seat."""


def enrol(store: Store) -> Seat:
    """Take a seat at a run of a store, and hold it until `leave`. Raises `StoreError`."""
    with _lock:
        here = _here.get(store.url)
        if here is None or here.pid != os.getpid():
            here = _here[store.url] = _Executor(store)
        here.last += 1
        if here.held is not None:
            try:
                here.held.hold(here.last)
            except OSError:
                here.held.close()
                here.held = None  # this file system has no locks: the run's beats are watched
        here.seats.add(here.last)
        return Seat(here.name, here.last)


def renew(seat: Seat) -> None:
    """Hold this process's seats again, in case they were lost."""
    here = _executor_here(seat.executor)
    if here is None or here.held is None or time.monotonic() - here.renewed < _RENEWED:
        return
    here.renewed = time.monotonic()
    here.held.renew()


def leave(seat: Seat) -> None:
    """Leave a seat: nobody sits there any more. The executor is gone with the last of its seats."""
    with _lock:
        here = _executor_here(seat.executor)
        if here is None or seat.place not in here.seats:
            return
        here.seats.discard(seat.place)
        if not here.seats:
            _here.pop(here.url)
            _left.append(seat.executor)
            if here.held is not None:
                here.held.close()
        elif here.held is not None:
            here.held.free(seat.place)


def is_locked(seat: Seat) -> bool:
    """Whether this process holds a seat of its own locked."""
    here = _executor_here(seat.executor)
    return here is not None and here.held is not None


def is_taken(store: Store, seat: Seat, locked: bool = True) -> bool | None:
    """Whether somebody sits in a seat: True and False are proofs, None says that nothing is proved.

    Args:
        locked: whether the executor could hold the seat locked, so that a free lock says something.
    """
    if not is_executor_id(seat.executor):
        return None  # a version of this package without names of executors began the run
    here = _executor_here(seat.executor)
    if here is not None and here.url == store.url:
        return seat.place in here.seats
    if seat.executor in _left or not store.outlives_the_process:
        return False
    taken = store.is_held(alive_key(seat.executor), seat.place) if locked else None
    if taken is None and here is not None:
        return seat.place in here.seats  # the same store by another name; or a copy of it, which nothing tells apart
    return taken


def may_be_at_work(store: Store, executor: str) -> bool:
    """Whether an executor may have a seat at any run. False is a proof."""
    if _executor_here(executor) is not None:
        return True
    return store.is_held(alive_key(executor), 0) is not False


def _executor_here(name: str) -> _Executor | None:
    """The executor of this process with this name."""
    with _lock:
        return next((one for one in _here.values() if one.name == name and one.pid == os.getpid()), None)
