"""Lookups of calls in the cache, before they run and beside the scheduler: at once on a near store, on threads if the
store is behind a network.

Outcomes of this run are known before they are stored, so a call that is woken by an equal call's end finds its outcome.
Of equal calls of this run that are to run once at a time, the first leads and the others follow: they are set aside
until the leader has an outcome. If another run is at work on the call, the leader is looked up again after a while.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from promissory.executor.cache.entries import Entry, give_back, take_lease
from promissory.executor.cache.kept import Kept
from promissory.executor.code.resolver import Refused, has_import_name, imported
from promissory.executor.scheduler.cache_key import Fields, fields_of, futures_key_of, result_key
from promissory.executor.scheduler.calls import Call, Key, Settled
from promissory.executor.scheduler.frame import Frame
from promissory.executor.store.store import Store
from promissory.executor.store.write_behind import pool
from promissory.planner.plan.format import futures_from_bytes

_REMEMBERED: Final = 10_000
_AT_ONE_TIME: Final = 16
LOOK_AGAIN: Final = 0.5
"""Seconds after which a call that another run is at work on is looked up again."""

HIT, RUN, FOLLOW, LATER = range(4)


class Found(NamedTuple):
    """The result of a lookup.

    Attributes:
        call: the call that was looked up.
        verdict: HIT: there is an outcome; RUN: the call has to run; FOLLOW: an equal call of this run is at work;
            LATER: another run is.
        entry: the outcome, of a HIT.
    """

    call: Call
    verdict: int
    entry: Entry | None = None


class Lookups:
    """The cache as one executor uses it.

    Args:
        kept: the cached outcomes that can be used.
        store: the run's own store, for leases.
        run_id, epoch: the executor's run and epoch.
        wake: has the run loop ask for `found`; called from other threads.
    """

    def __init__(self, kept: Kept, store: Store, run_id: str, epoch: int, wake: Callable[[], None]) -> None:
        self._kept = kept
        self._store = store
        self._run_id = run_id
        self._epoch = epoch
        self._wake = wake
        self._own: OrderedDict[bytes, Settled] = OrderedDict()
        self._found: deque[Found | BaseException] = deque()
        self._threads = None if store.is_near else pool(_AT_ONE_TIME, "promissory cache")
        self._leaders: dict[bytes, Key] = {}
        self._followers: dict[bytes, list[Key]] = {}

    def begin(self, call: Call) -> None:
        """Look a call up. The result comes out of `found`."""
        loop = None if call.payload is None else (call.iteration, call.payload)
        fields = fields_of(call.frame, call.node, loop)
        key, me = result_key(fields), (call.frame.id, call.node)
        own = self._own.get(key)
        once = call.frame.topology.policy(call.node).cache_serialize
        if own is not None:
            self._found.append(Found(call, HIT, self._entry(own)))
        elif once and self._leaders.setdefault(key, me) != me and not is_inside(call.frame, self._leaders[key]):
            self._followers.setdefault(key, []).append(me)
            self._found.append(Found(call, FOLLOW))
        elif self._threads is None:
            self._found.append(self._look(call, fields, once))
        else:
            self._threads.submit(self._look_and_tell, call, fields, once)

    def _look_and_tell(self, call: Call, fields: Fields, once: bool) -> None:
        try:
            self._found.append(self._look(call, fields, once))
        except BaseException as error:  # `found` raises it
            self._found.append(error)
        self._wake()

    def _look(self, call: Call, fields: Fields, once: bool) -> Found:
        key = result_key(fields)
        entry = self._kept.read(key, call)
        if entry is None and once:
            if not take_lease(self._store, key, self._run_id, self._epoch):
                return Found(call, LATER)
            entry = self._kept.read(key, call)  # the last holder may have written the entry just before it let go
        if entry is None and call.frame.topology.is_dynamic(call.node):
            own = self._own.get(futures_key_of(fields))
            entry = self._kept.read(futures_key_of(fields), call) if own is None else self._entry(own)
            if entry is not None and entry.futures is not None and not _is_current(entry.futures):
                entry = None
        return Found(call, RUN) if entry is None else Found(call, HIT, entry)

    def _entry(self, settled: Settled) -> Entry:
        return Entry(settled.fields, settled.value, settled.futures, self._run_id, settled.path, 0)

    def found(self) -> list[Found]:
        """The results since the last call. Raises the error of a lookup."""
        results = []
        while self._found:
            one = self._found.popleft()
            if isinstance(one, BaseException):
                raise one
            results.append(one)
        return results

    def settle(self, settled: Settled) -> bool:
        """Take an outcome of this run. Returns whether it is to be kept for other runs once it is committed."""
        if settled.futures is not None:
            if not _is_for_others(settled.futures):
                return False
            self._remember(futures_key_of(settled.fields), settled)
        else:
            self._remember(result_key(settled.fields), settled)
        return True

    def _remember(self, key: bytes, settled: Settled) -> None:
        self._own[key] = settled
        if len(self._own) > _REMEMBERED:
            self._own.popitem(last=False)

    @property
    def set_aside(self) -> list[Key]:
        """The calls that wait for an equal call of this run."""
        return [key for followers in self._followers.values() for key in followers]

    def followers(self, fields: Fields) -> list[Key]:
        """The calls that waited for the outcome of an equal call, which is there now."""
        key = result_key(fields)
        self._leaders.pop(key, None)
        return self._followers.pop(key, [])

    def keep(self, settled: Settled) -> None:
        """Write an outcome that is committed, and give back the lease for which other runs waited."""
        self._kept.write(settled, self._run_id)
        if settled.once and settled.futures is None:
            give_back(self._store, result_key(settled.fields), self._run_id, self._epoch)

    def close(self) -> None:
        """End the threads that look calls up."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)


def keep_all(store: Store, run_id: str, settled: Iterable[Settled]) -> None:
    """Write the outcomes of a run that has ended, which a crash may have kept from the cache."""
    kept = Kept(store)
    for one in settled:
        if one.futures is None or _is_for_others(one.futures):
            kept.write(one, run_id)


def is_inside(frame: Frame | None, node: Key) -> bool:
    """Whether a node stands for a frame, however deep. A call in it that waited for that node would wait for itself."""
    while frame is not None:
        if frame.parent is not None and (frame.parent.id, frame.slot) == node:
            return True
        frame = frame.parent
    return False


def _is_current(futures: bytes) -> bool:
    """Whether the callables of a futures file still have the code that it was made of. If one was repaired since, the
    body is to run again."""
    plan, _ = futures_from_bytes(futures)
    for callee in plan.shape.callees:
        try:
            if imported(callee).callee().digest != callee.digest:
                return False
        except Refused:
            return False
    return True


def _is_for_others(futures: bytes) -> bool:
    """Whether all callables of a futures file can be imported elsewhere: functions by value belong to their run."""
    plan, _ = futures_from_bytes(futures)
    return all(has_import_name(callee) for callee in plan.shape.callees)
