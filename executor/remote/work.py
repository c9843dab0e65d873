"""Work: claims submitted runs from the queues of a store, carries them out, and sees to the runs of workers that are
gone (rules Q1 to Q4).

The store is all that workers have in common. Who has claimed a run is settled by the run's journal alone: a run is
claimed with its first segment, and taken over with a segment of a higher epoch. The keys of a queue only say where to
look.

This process imports and unpickles nothing of what was submitted. That is for the worker processes of each run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from promissory.executor.code.source_bundle import keep_apart
from promissory.executor.errors import (
    CodeChanged,
    EngineError,
    Fenced,
    InputError,
    NotInStore,
    RunIsLive,
    RunNotFound,
    StoreDamage,
    StoreError,
)
from promissory.executor.execution.options import Options
from promissory.executor.execution.own_run import OwnRun
from promissory.executor.execution.take_over import take_over_run
from promissory.executor.history.summary import CARRIED, ending, standing_of_run
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.manifest import Manifest
from promissory.executor.records.queue import (
    Waiting,
    carried,
    enqueue,
    is_carried_no_more,
    note_carried,
    open_queue,
    take_out,
)
from promissory.executor.remote.candidates import Candidates
from promissory.executor.remote.places import Places
from promissory.executor.store.keys import segment_key
from promissory.executor.store.store import Store
from promissory.typesys.errors import FormatError

_LOOK, _FAR_LOOK = 0.2, 2.0
"""Seconds between two looks at the queues, on a near and on a far store."""
_CARE, _FAR_CARE = 2.0, 30.0
"""Seconds between two looks at the runs that others carry."""
_PAUSE: Final = 1.0

Say = Callable[[str], None]
_OF_ONE_RUN: Final = (CodeChanged, EngineError, FormatError, InputError, NotInStore, RunNotFound, StoreDamage)
"""Errors that say something of one run, and nothing of the store."""


@dataclass(frozen=True, slots=True)
class _Mine:
    """A run that this process carries."""

    manifest: Manifest
    run: OwnRun
    places: list[str]


class Work:
    """One process's work on submitted runs.

    Args:
        store: the store with the queues.
        queues: the queues to work on.
        options: gives the options of a run's executor, with an engine of its own.
        max_runs: how many runs are carried at one time.
        say: tells a person of runs that begin and end, in a line each.
        warn: tells a person what is the matter, with the store or with a run; by default as `say` does.

    Attributes:
        is_ending: whether the work is to end.
    """

    def __init__(
        self,
        store: Store,
        queues: Iterable[str],
        options: Callable[[], Options],
        max_runs: int,
        say: Say,
        warn: Say | None = None,
    ) -> None:
        self._store = store
        self._candidates = Candidates(store, queues, warn or say)
        self._places = Places(store)
        self._options = options
        self._max_runs = max_runs
        self._say = say
        self._warn = warn or say
        self._mine: dict[str, _Mine] = {}
        self._wake = threading.Event()
        self.is_ending = False
        self._complaint = ""
        self._cared = 0.0

    def end(self) -> None:
        """Claim nothing more, and give back what is carried. From any thread, and from a signal handler, which may have
        interrupted any instruction of the thread that works: so it takes no lock."""
        self.is_ending = True

    def carry_on(self, once: bool, grace: float) -> bool:
        """Work until `end`.

        Args:
            once: end as soon as nothing waits that could be carried, and nothing is carried.
            grace: seconds that bodies have to finish, once the work is to end.

        Returns:
            Whether every run has come to rest. If not, bodies still run; the runs wait for other workers already.
        """
        try:
            return self._carry_on(once, grace)
        finally:
            self._places.close()

    def _carry_on(self, once: bool, grace: float) -> bool:
        look = _LOOK if self._store.is_near else _FAR_LOOK
        self._open_queues()
        while not self.is_ending:
            try:
                self._reap()
                begun = self._take_next() or self._care_for_others()
            except StoreError as error:
                self._complain(error)
                self._rest(_PAUSE)
                continue
            self._complaint = ""
            if begun:
                continue
            if once and not self._mine:
                return True
            self._rest(look)
        return self._give_back(grace)

    def _rest(self, seconds: float) -> None:
        """Wait until a run has come to its end, or the work is to end, for so many seconds at most."""
        until = time.monotonic() + seconds
        while not self.is_ending and (left := until - time.monotonic()) > 0:
            if self._wake.wait(min(left, _LOOK)):
                break
        self._wake.clear()

    def _complain(self, error: StoreError) -> None:
        """Say once what is the matter with the store."""
        if str(error) != self._complaint:
            self._complaint = str(error)
            self._warn(f"the store does not answer as it should, and is asked again: {error}")

    def _open_queues(self) -> None:
        for queue in self._candidates.queues if not self._store.is_near else ():
            try:
                open_queue(self._store, queue)
            except StoreError as error:
                self._complain(error)

    # --- claims ---

    def _take_next(self) -> bool:
        """Claim the run that is next. Returns whether there was one."""
        if len(self._mine) >= self._max_runs:
            return False
        there = self._candidates.in_order([one.manifest for one in self._mine.values()])
        return any(self._whole(one.run_id, partial(self._take, one)) for one in there)

    def _whole(self, run_id: str, take: Callable[[], bool]) -> bool:
        """What a look at a run gives; False, and a word to a person, if the run is damaged or can't be carried here."""
        try:
            return take()
        except _OF_ONE_RUN as error:
            self._candidates.put_off(run_id, str(error))
            return False

    def _take(self, one: Waiting) -> bool:
        """Claim a run that waits, if nobody else carries it."""
        manifest = self._candidates.manifest(one.run_id)
        if manifest is None or self._places.is_full(manifest) or not self._candidates.can_run_here(manifest):
            return False
        if standing_of_run(self._store, one.run_id).state == "QUEUED":
            first = not self._store.exists(segment_key(one.run_id, 0))
            return (first or self._is_dead(one.run_id)) and self._carry(manifest, first)
        if ending(self._store, one.run_id) is not None:
            take_out(self._store, manifest)
        return False

    def _carry(self, manifest: Manifest, first: bool) -> bool:
        """Claim a run, or take it over, and carry it. Returns whether it is carried."""
        run_id, store = manifest.run_id, self._store
        places = self._places.take(manifest)
        if places is None:
            return False
        try:
            run = take_over_run(store, manifest, self._options(), (None, None, None), by_worker=True, first=first)
        except (RunIsLive, Fenced):
            self._places.give_back(places)
            return False  # somebody else was first
        except BaseException:
            self._places.give_back(places)
            raise
        try:
            note_carried(store, manifest)
            take_out(store, manifest)
        except StoreError as error:  # the run is claimed, and a key that is left over does no harm
            self._complain(error)
        if not isinstance(run, OwnRun):
            self._places.give_back(places)
            is_carried_no_more(store, manifest.queue, run_id)
            return False
        self._say(f"{run_id}: {'begun' if first else 'taken over'} ({manifest.workflow}, queue {manifest.queue})")
        self._mine[run_id] = _Mine(manifest, run, places)
        run.carry_in_background(self._wake.set)
        return True

    # --- runs of others ---

    def _is_dead(self, run_id: str) -> bool:
        """Whether it is sure that nobody works on a run."""
        beat = read_beat(self._store, run_id)
        return beat is None or beat.is_known_to_live(self._store, run_id) is False

    def _care_for_others(self) -> bool:
        """Take over a run whose worker is gone. Returns whether there was one."""
        care = _CARE if self._store.is_near else _FAR_CARE
        if time.monotonic() - self._cared < care:
            return False
        for queue in self._candidates.queues:
            for run_id in carried(self._store, queue):
                if run_id in self._mine or self._candidates.is_put_off(run_id):
                    continue
                if self._whole(run_id, partial(self._care_for, queue, run_id)):
                    return True
        self._cared = time.monotonic()
        return False

    def _care_for(self, queue: str, run_id: str) -> bool:
        manifest = self._candidates.manifest(run_id)
        if manifest is None or ending(self._store, run_id) is not None:
            is_carried_no_more(self._store, queue, run_id)
            return False
        state = standing_of_run(self._store, run_id).state
        if state in CARRIED or not self._is_dead(run_id):
            return False
        if state == "INTERRUPTED":
            is_carried_no_more(self._store, queue, run_id)  # somebody stopped or paused it, and will resume it
            return False
        if len(self._mine) >= self._max_runs or not self._candidates.can_run_here(manifest):
            return False
        return self._carry(manifest, first=False)

    # --- the end of runs ---

    def _reap(self) -> None:
        """Let go of runs that have ended, or had to stop."""
        for run_id, mine in list(self._mine.items()):
            if not mine.run.is_carried:
                self._tell_end(mine)
                del self._mine[run_id]
                keep_apart({other.manifest.bundle for other in self._mine.values()})

    def _tell_end(self, mine: _Mine) -> None:
        run_id, queue = mine.manifest.run_id, mine.manifest.queue
        self._places.give_back(mine.places)
        if mine.run.raised is not None:
            self._warn(f"{run_id}: interrupted: {mine.run.raised}")
            if isinstance(mine.run.raised, StoreError):
                enqueue(self._store, mine.manifest)  # whoever reaches the store goes on with it
                self._rest(_PAUSE)
            return
        is_carried_no_more(self._store, queue, run_id)
        stands = standing_of_run(self._store, run_id)
        self._say(f"{run_id}: {stands.state}{f' ({stands.reason})' if stands.reason else ''}")

    def _give_back(self, grace: float) -> bool:
        """Stop the runs that are carried, so that others go on with them. Returns whether all have come to rest."""
        given_up = time.monotonic() + grace
        for mine in self._mine.values():
            try:
                enqueue(self._store, mine.manifest)  # first, so that a worker which is killed now has given it back
            except StoreError as error:
                self._complain(error)
            mine.run.stop("its worker ends")
        while self._mine and time.monotonic() < given_up:
            self._wake.wait(max(0.0, min(_LOOK, given_up - time.monotonic())))
            self._wake.clear()
            for run_id, mine in list(self._mine.items()):
                if not mine.run.is_carried:
                    try:
                        self._let_go(mine)
                    except StoreError as error:
                        self._complain(error)
                        continue
                    del self._mine[run_id]
        return not self._mine

    def _let_go(self, mine: _Mine) -> None:
        """Let go of a run that was given back, or has ended all the same."""
        if ending(self._store, mine.manifest.run_id) is not None:
            take_out(self._store, mine.manifest)
        self._tell_end(mine)
