"""Liveness: whether a run's executor is still there (rule J3).

The executor overwrites its beat every five seconds. The beat decides when another executor *tries* a take-over and what
`status` says; which executor wins is settled by the journal's numbers. On the executor's own machine its process is
looked for as well, so a run that was killed shows at once.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from promissory.executor.crash_points import Crashed
from promissory.executor.errors import NotInStore, StoreDamage, StoreError
from promissory.executor.protocol import decoding as fields
from promissory.executor.records.progress import Standing
from promissory.executor.store.keys import run_key
from promissory.executor.store.store import Store

INTERVAL: Final = 5.0
STALE: Final = 3 * INTERVAL
SOON: Final = 0.5
_FIRST_BEAT: Final = 3.0
_LOOK: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat(Standing):
    """An executor's last report on itself and on how its run stands.

    Attributes:
        epoch: the executor's epoch.
        host, pid, birth: the executor's process; `birth` tells two processes of one pid apart.
        time: seconds since the epoch.
        over: whether the executor has ended by itself.
        running: frame, index, worker and beginning (µs since the epoch) of the first few running bodies.
        ending: whether the executor was told to stop or cancel, and does.
    """

    epoch: int
    host: str
    pid: int
    birth: str
    time: float
    over: bool
    running: list[list[Any]] = field(default_factory=list)
    ending: bool = False

    def is_live(self, store: Store, run_id: str) -> bool:
        """Whether this executor may still be working on the run."""
        if self.over:
            return False
        if self.host == socket.gethostname():
            if self.pid == os.getpid() and self.birth == _birth(self.pid):
                return (store.url, run_id, self.epoch) in _beating
            return _birth(self.pid) == self.birth
        return abs(time.time() - self.time) < STALE


_beating: set[tuple[str, str, int]] = set()
"""The runs that this process works on, each with its store and epoch."""


def _birth(pid: int) -> str | None:
    """When a process of this machine began, by the kernel's count; empty if that can't be known, None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    except (FileNotFoundError, ProcessLookupError):
        if os.path.exists("/proc/self/stat"):
            return None
    except (OSError, IndexError):
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    return ""


def read_beat(store: Store, run_id: str) -> Beat | None:
    """The last beat of a run; None if no beat can be read."""
    try:
        beat = Beat(**json.loads(store.get(run_key(run_id, "beat")).decode()))
        _check(beat)
        return beat
    except (NotInStore, StoreDamage, ValueError, TypeError, RecursionError):
        return None


def _check(beat: Beat) -> None:
    """Raise `ValueError` for a beat whose fields are not of their types."""
    numbers = (
        beat.epoch,
        beat.pid,
        beat.done,
        beat.nodes,
        beat.waiting,
        beat.lost,
        beat.retrying,
        beat.gates,
        beat.items_done,
        beat.items,
    )
    for number in numbers:
        fields.whole(number)
    fields.text(beat.host), fields.text(beat.birth)
    if (
        beat.time.__class__ not in (int, float)
        or beat.over.__class__ is not bool
        or beat.paused.__class__ is not bool
        or beat.ending.__class__ is not bool
    ):
        raise ValueError("a beat of another kind")
    for frame, index, worker, since in (fields.items(one, 4) for one in fields.items(beat.running)):
        fields.count(frame), fields.count(index), fields.text(worker), fields.whole(since)


def is_live(store: Store, run_id: str) -> bool:
    """Whether an executor may be working on a run."""
    beat = read_beat(store, run_id)
    return beat is not None and beat.is_live(store, run_id)


def await_first_beat(store: Store, run_id: str) -> bool:
    """Wait for the first beat of a run that was begun just now. Returns whether its executor lives.

    A run's first beat comes a moment after its manifest. A run without a beat that is older than that moment has lost
    its executor.
    """
    while is_beginning(store, run_id):
        time.sleep(_LOOK)
    return is_live(store, run_id)


def is_beginning(store: Store, run_id: str) -> bool:
    """Whether a run was begun just now and its executor has not beaten yet."""
    return (
        not store.exists(run_key(run_id, "beat"))
        and time.time() - store.changed(run_key(run_id, "manifest")) < _FIRST_BEAT
    )


class Heartbeat:
    """Beats for a run until it is closed.

    Args:
        look: gives how the run stands, the running bodies, and whether the run was told to end.
        overtaken: is called when another executor beats for the run.
        broken: is called with the error that ended the beating thread, unless it is a `StoreError`.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        epoch: int,
        look: Callable[[], tuple[Standing, list[Any], bool]],
        overtaken: Callable[[], None],
        broken: Callable[[Exception], None],
    ) -> None:
        self._store = store
        self._key = run_key(run_id, "beat")
        self._epoch = epoch
        self._look = look
        self._overtaken = overtaken
        self._broken = broken
        self._over = threading.Event()
        self._beating = threading.Lock()
        self._wake = threading.Event()
        self._last = 0.0
        self._soon = SOON if store.is_near else INTERVAL
        self._run = (store.url, run_id, epoch)
        self._run_id = run_id
        self._thread = threading.Thread(target=self._beat_for_ever, name=f"promissory heartbeat {run_id}", daemon=True)
        _beating.add(self._run)
        try:
            self._beat(False)
            self._thread.start()
        except BaseException:
            _beating.discard(self._run)
            raise

    def _beat(self, over: bool) -> None:
        with self._beating:
            self._write(over)

    def _write(self, over: bool) -> None:
        last = read_beat(self._store, self._run_id)
        if last is not None and last.epoch > self._epoch:
            self._overtaken()
            return  # this executor was fenced: the beat belongs to its successor
        standing, running, ending = self._look()
        pid = os.getpid()
        beat = Beat(
            epoch=self._epoch,
            host=socket.gethostname(),
            pid=pid,
            birth=_birth(pid) or "",
            time=time.time(),
            over=over,
            running=running,
            ending=ending,
            **asdict(standing),
        )
        self._store.put(self._key, json.dumps(asdict(beat)).encode())

    def soon(self) -> None:
        """Beat now, since other bodies may run than before, unless the last beat is only just over."""
        if time.monotonic() - self._last > self._soon:
            self._last = time.monotonic()
            self._wake.set()

    def now(self) -> None:
        """Beat at once, since a change has come that other processes wait to see."""
        self._last = time.monotonic()
        with suppress(StoreError):  # a missed beat does no harm: the next one follows
            self._beat(False)

    def _beat_for_ever(self) -> None:
        while True:
            self._wake.wait(INTERVAL)
            self._wake.clear()
            if self._over.is_set():
                return
            try:
                self._beat(False)
            except Crashed:
                return
            except StoreError:
                continue  # a missed beat does no harm, and the journal meets the same fault and reports it
            except Exception as error:  # without beats, other executors would take the run for dead
                self._broken(error)
                return

    def close(self) -> None:
        """End the beats; the last one says that this executor has ended by itself."""
        self._over.set()
        self._wake.set()
        self._thread.join()
        _beating.discard(self._run)
        try:
            self._beat(True)
        except StoreError:
            return  # the process is about to be gone, which shows the same
