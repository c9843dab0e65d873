"""Liveness: whether a run's executor is still there (rule J3).

The executor overwrites the run's beat every five seconds. The beat names the seat that the executor holds
(`promissory.executor.records.executors`): where that can be proved to be taken or free, the proof counts, whatever
hosts, process numbers and clocks say. Elsewhere the beat is watched: an executor whose beat has not changed for three
intervals, by the watcher's own clock, is taken for dead. The beat decides when another executor *tries* a take-over and
what `status` says; which executor wins is settled by the journal's numbers.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from promissory.executor.crash_points import Crashed
from promissory.executor.errors import JournalError, NotInStore, RunNotFound, StoreDamage, StoreError
from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.seats import Seat, in_words
from promissory.executor.records.executors import is_locked, is_taken, renew
from promissory.executor.records.manifest import read_manifest
from promissory.executor.records.progress import Standing
from promissory.executor.store.keys import run_key, segment_key
from promissory.executor.store.store import Store

_log = logging.getLogger("promissory")
INTERVAL: Final = 5.0
MISSED: Final = 3
"""Beats of an executor that have to be missed until it is taken for dead."""
SOON: Final = 0.5
_FIRST_BEAT: Final = 3.0
_LOOK: Final = 0.05
_FAR_LOOK: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat(Standing):
    """An executor's last report on itself and on how its run stands.

    Attributes:
        epoch: the executor's epoch.
        executor, place: the executor's seat at the run; empty if a version without seats wrote the beat.
        locked: whether the executor holds its seat locked.
        host, pid: the executor's process, for people.
        since: when the executor began to work on the run, in seconds since the epoch, for people.
        time: when the beat was written, likewise.
        over: whether the executor has ended by itself.
        running: frame, index, worker and beginning (µs since the epoch) of the first few running bodies.
        ending: whether the executor was told to stop or cancel, and does.
    """

    epoch: int
    host: str
    pid: int
    time: float
    over: bool
    executor: str = ""
    place: int = 0
    locked: bool = False
    since: float = 0.0
    running: list[list[Any]] = field(default_factory=list)
    ending: bool = False

    @property
    def who(self) -> str:
        """The executor, in words."""
        return in_words(self.host, self.pid, self.executor, self.since)

    def is_live(self, store: Store, run_id: str) -> bool:
        """Whether this executor may still be working on the run, as far as can be told at once.

        Where nothing is proved, and this process has not watched for long enough, the date of the beat has to do.
        """
        known = self.is_known_to_live(store, run_id)
        return abs(time.time() - self.time) < MISSED * INTERVAL if known is None else known

    def is_known_to_live(self, store: Store, run_id: str) -> bool | None:
        """Whether this executor works on the run; None if its beats have to be watched for longer. Dates prove
        nothing."""
        if self.over:
            return False
        taken = is_taken(store, Seat(self.executor, self.place), self.locked)
        return _watched(store, run_id, self) if taken is None else taken


_seen: Final[dict[tuple[str, str], tuple[Beat, float, bool]]] = {}
"""The beats that this process watches: the newest one of each run, when it was first seen, and whether it is known to
have followed another one. A beat that has been there for three intervals is the last one of an executor that is gone.
"""


def _watched(store: Store, run_id: str, beat: Beat) -> bool | None:
    """Whether an executor lives, by what this process has seen of its beats; None if that is too little yet."""
    now = time.monotonic()
    last, since, moved = _seen.get((store.url, run_id), (None, now, False))
    if last != beat:
        moved = last is not None
        _seen[store.url, run_id] = beat, now, moved
    elif now - since >= MISSED * INTERVAL:
        return False
    return True if moved else None


def read_beat(store: Store, run_id: str) -> Beat | None:
    """The last beat of a run; None if no beat can be read."""
    try:
        told = json.loads(store.get(run_key(run_id, "beat")).decode())
        told.pop("birth", None)  # of versions that looked for the process by its number
        beat = Beat(**told)
        _check(beat)
        return beat
    except (NotInStore, StoreDamage, ValueError, TypeError, AttributeError, RecursionError):
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
    fields.text(beat.host), fields.text(beat.executor), fields.count(beat.place)
    if (
        beat.time.__class__ not in (int, float)
        or beat.since.__class__ not in (int, float)
        or beat.over.__class__ is not bool
        or beat.locked.__class__ is not bool
        or beat.paused.__class__ is not bool
        or beat.ending.__class__ is not bool
    ):
        raise ValueError("a beat of another kind")
    for frame, index, worker, since in (fields.items(one, 4) for one in fields.items(beat.running)):
        fields.count(frame), fields.count(index), fields.text(worker), fields.whole(since)


def is_live(store: Store, run_id: str) -> bool:
    """Whether an executor works on a run. Where no lock proves it, the run's beat is watched for up to three intervals.

    >>> is_live(Store(None), "census-1")
    False
    """
    return live_one(store, (run_id,)) is not None


def live_one(store: Store, run_ids: Iterable[str]) -> str | None:
    """One of several runs on which an executor works; None if there is none. They are watched all at one time."""
    unknown, told = list(run_ids), False
    while True:
        watched = []
        for run_id in unknown:
            beat = read_beat(store, run_id)
            known = _has_begun(store, run_id) is True if beat is None else beat.is_known_to_live(store, run_id)
            if known is None:
                watched.append(run_id)
            elif known:
                return run_id
        if not watched:
            return None
        if not told:
            _log.warning(
                "nothing here proves whether the executor of run %s lives%s: its beats are watched for up to %g s",
                watched[0],
                f" (nor those of {len(watched) - 1} others)" if watched[1:] else "",
                MISSED * INTERVAL,
            )
        unknown, told = watched, True
        time.sleep(_LOOK if store.is_near else _FAR_LOOK)


def await_first_beat(store: Store, run_id: str) -> bool:
    """Wait for the first beat of a run that was begun just now. Returns whether its executor lives.

    A run's first beat comes a moment after its manifest, which names its executor. A run without a beat has lost its
    executor if that is proved, or if this process has looked for longer than that moment.
    """
    given_up = time.monotonic() + _FIRST_BEAT
    while _has_begun(store, run_id) is not False and time.monotonic() < given_up:
        time.sleep(_LOOK)
    return is_live(store, run_id)


def is_beginning(store: Store, run_id: str) -> bool:
    """Whether a run was begun just now and its executor has not beaten yet, as far as can be told at once.

    Where nothing is proved, the date of the manifest has to do.
    """
    known = _has_begun(store, run_id)
    return abs(time.time() - store.changed(run_key(run_id, "manifest"))) < _FIRST_BEAT if known is None else known


def _has_begun(store: Store, run_id: str) -> bool | None:
    """Whether the executor that wrote a run's manifest is still to beat; None if that can't be proved."""
    if store.exists(run_key(run_id, "beat")):
        return False
    try:
        manifest = read_manifest(store, run_id)
    except (RunNotFound, JournalError):
        return False
    if manifest.queue and not store.exists(segment_key(run_id, 0)):
        return False  # it waits to be claimed
    seat = manifest.executor
    return is_taken(store, Seat.of(seat)) if seat else None


class Heartbeat:
    """Beats for a run until it is closed.

    Args:
        seat: the executor's seat at the run.
        look: gives how the run stands, the running bodies, and whether the run was told to end.
        overtaken: is called when another executor beats for the run.
        broken: is called with the error that ended the beating thread, unless it is a `StoreError`.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        epoch: int,
        seat: Seat,
        look: Callable[[], tuple[Standing, list[Any], bool]],
        overtaken: Callable[[], None],
        broken: Callable[[Exception], None],
    ) -> None:
        self._store = store
        self._key = run_key(run_id, "beat")
        self._epoch = epoch
        self._seat = seat
        self._look = look
        self._overtaken = overtaken
        self._broken = broken
        self._over = threading.Event()
        self._beating = threading.Lock()
        self._wake = threading.Event()
        self._last = 0.0
        self._soon = SOON if store.is_near else INTERVAL
        self._run_id = run_id
        self._since = time.time()
        self._thread = threading.Thread(target=self._beat_for_ever, name=f"promissory heartbeat {run_id}", daemon=True)
        self._beat(False)
        self._thread.start()

    def _beat(self, over: bool) -> None:
        with self._beating:
            self._write(over)

    def _write(self, over: bool) -> None:
        renew(self._seat)
        last = read_beat(self._store, self._run_id)
        if last is not None and last.epoch > self._epoch:
            self._overtaken()
            return  # this executor was fenced: the beat belongs to its successor
        standing, running, ending = self._look()
        beat = Beat(
            epoch=self._epoch,
            host=socket.gethostname(),
            pid=os.getpid(),
            time=time.time(),
            over=over,
            executor=self._seat.executor,
            place=self._seat.place,
            locked=is_locked(self._seat),
            since=self._since,
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
        try:
            self._beat(True)
        except StoreError:
            return  # the seat that is left shows the same
