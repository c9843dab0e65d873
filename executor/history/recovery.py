"""Recovery: the way from a journal back to a scheduler, with which a resume begins.

Recovery reads the newest snapshot and the segments after it, and writes nothing: the first segment that the new
executor writes takes the run over (`promissory.executor.journal.writer`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

from promissory.executor.clock import Clock
from promissory.executor.errors import DoesNotFit, JournalError, StoreError
from promissory.executor.journal.base import first_segment
from promissory.executor.journal.reader import Tail, find_end, newest_snapshot, read_segments
from promissory.executor.journal.segment import GENESIS, NO_SNAPSHOT, Segment
from promissory.executor.journal.snapshots import get_snapshot
from promissory.executor.protocol.events import CODE, ENDED, RESUMED, SNAPSHOT, Event, futures_of
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.manifest import Manifest, read_plan
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.frame_failure import tell_above
from promissory.executor.scheduler.replay import TOLD, extend, replay, replayed
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.snapshot import load, load_into
from promissory.executor.scheduler.tally import Tally
from promissory.executor.store.keys import segment_key
from promissory.executor.store.store import Store
from promissory.planner.plan.model import Value
from promissory.planner.plan.plan import Plan
from promissory.typesys.errors import FormatError

S = TypeVar("S", bound=Scheduler)


class Stand(NamedTuple):
    """A snapshot in a journal: the number of its segment, its state, and the next round of each cycle there."""

    segment: int
    state: Value
    rounds: dict[Key, int]


class Recovered:
    """A run, rebuilt from its journal.

    Attributes:
        plan: its plan.
        scheduler: its state.
        tail: the newest segment; None if nothing was written.
        ended: how it ended, if it did: (ENDED, state, reason, outputs).
        futures: the futures files named since the newest snapshot; a crash may have prevented the last of them from
            being written behind.
        snapshot: the newest state that the journal names.
        replayed_from: the snapshot that was read, its segment and the cycles' next rounds; None at the beginning.
        events, size: how many events came after the newest snapshot, and the bytes of their segments.
        goes_on: whether a cycle that was stopped, and had ended so, is to go on.
        was_stopped: whether there is such a cycle.
    """

    def __init__(self, plan: Plan, scheduler: Scheduler) -> None:
        self.plan = plan
        self.scheduler = scheduler
        self.tail: Tail | None = None
        self.ended: Event | None = None
        self.futures: list[bytes] = []
        self.snapshot: Value | None = None
        self.replayed_from: Stand | None = None
        self.events = 0
        self.size = 0
        self.goes_on = False
        self.was_stopped = False


def recover(store: Store, manifest: Manifest, clock: Clock, stop: int | None = None) -> Recovered:
    """Read a run's journal. Raises `JournalError`, `StoreError`.

    A snapshot that can't be read only costs time, because the whole journal is replayed instead.

    Args:
        stop: the number to which cycles that were stopped are to go on; None to leave them as they are.
    """
    recovered, end = _read_patiently(store, manifest)
    if end and (
        recovered.tail is None or recovered.tail.number < end - 1
    ):  # the last segment is torn: the next segment is written behind the torn one
        last = recovered.tail or Tail(end - 1, 0, NO_SNAPSHOT, GENESIS)
        recovered.tail = replace(last, number=end - 1)
    recovered.was_stopped = bool(recovered.scheduler.ends)
    if stop is not None:
        recovered.goes_on = extend(recovered.scheduler, stop)
    replayed(recovered.scheduler, clock.monotonic(), clock.time())
    return recovered


def as_committed(store: Store, manifest: Manifest) -> Recovered:
    """A run as its journal has it, for those who only look: nothing is forgiven, and nothing made ready.

    Where the newest snapshot has no tally, because a version without tallies wrote it, the whole journal is replayed.
    Raises `JournalError`, `StoreError`.
    """
    recovered, end = _read_patiently(store, manifest)
    if recovered.scheduler.tally is None:
        begins = first_segment(store, manifest.run_id)
        recovered = _replay(store, manifest, begins, end, tallies=True)
    if recovered.ended is not None and recovered.ended[1] == "FAILED":
        tell_above(recovered.scheduler)
    return recovered


def at_the_beginning(store: Store, manifest: Manifest, plan: Plan, make: Callable[[Limits], S]) -> tuple[S, int]:
    """The state with which a run's journal begins, and the number of the first segment that follows it.

    Args:
        make: makes the scheduler.
    """
    run_id = manifest.run_id
    first = first_segment(store, run_id)
    if not first:
        scheduler = make(Limits(1 << 62, 1 << 62, 1 << 62))
        scheduler.run, scheduler.stop_at = run_id.encode(), manifest.stop
        scheduler.open_root(plan, tuple(manifest.inputs[parameter.name] for parameter in plan.inputs))
        return scheduler, 0
    for segment, _ in read_segments(store, run_id, first, first + 1):
        for event in segment.events:
            if event[0] == SNAPSHOT:
                state = get_snapshot(store, run_id, event[1])
                scheduler = load_into(state, lambda _: make(Limits(1 << 62, 1 << 62, 1 << 62)), segment.names_are_older)
                scheduler.run = run_id.encode()
                return scheduler, first + 1
    raise JournalError(segment_key(run_id, first), "holds no snapshot, and the journal begins with it")


def next_epoch(recovered: Recovered) -> int:
    """The epoch of an executor that takes a run over.

    The new epoch is above all earlier ones, also above that of the first executor, which may have written nothing yet.
    """
    return max(1, 0 if recovered.tail is None else recovered.tail.epoch) + 1


def _read_patiently(store: Store, manifest: Manifest) -> tuple[Recovered, int]:
    begins = -1
    while True:
        try:
            return _read(store, manifest)
        except (StoreError, FormatError):
            now = first_segment(store, manifest.run_id)
            if now <= begins:
                raise
            begins = now  # the journal may have been trimmed meanwhile: it is read once more


def _read(store: Store, manifest: Manifest) -> tuple[Recovered, int]:
    """Replay a journal from its newest snapshot, or from its beginning if that can't be read. Gives its end, too."""
    end = find_end(store, manifest.run_id)
    first = newest_snapshot(store, manifest.run_id, end)
    try:
        return _replay(store, manifest, first, end), end
    except (StoreError, FormatError):
        begins = first_segment(store, manifest.run_id)
        if first == begins:
            raise
        return _replay(store, manifest, begins, end), end


def _replay(store: Store, manifest: Manifest, first: int, end: int, tallies: bool = False) -> Recovered:
    """The state after segments `first` to `end`; `first` holds a snapshot, if it is not 0.

    Args:
        tallies: whether to begin a tally where the snapshot has none: it knows what came since.
    """
    plan = read_plan(store, manifest)
    recovered = Recovered(plan, Scheduler(manifest.limits, run=manifest.run_id.encode()))
    recovered.scheduler.stop_at = manifest.stop
    if first == 0:
        recovered.scheduler.open_root(plan, tuple(manifest.inputs[parameter.name] for parameter in plan.inputs))
    elif first >= end:
        raise JournalError(segment_key(manifest.run_id, first), "is missing, and the journal begins with it")
    for segment, data in read_segments(store, manifest.run_id, first, end):
        recovered.tail = Tail.of(segment, data)
        recovered.size += len(data)
        try:
            for event in segment.events:
                _take(store, manifest.run_id, recovered, event, segment, first)
                if tallies and recovered.scheduler.tally is None:
                    recovered.scheduler.tally = Tally()
        except FormatError as error:
            raise JournalError(
                segment_key(manifest.run_id, segment.number), f"holds what does not fit the run: {error}"
            ) from None
        except DoesNotFit as error:
            raise JournalError(
                segment_key(manifest.run_id, segment.number), f"has an event that does not fit the run: {error}"
            ) from None
    return recovered


def _take(store: Store, run_id: str, recovered: Recovered, event: Event, segment: Segment, first: int) -> None:
    kind = event[0]
    recovered.events += 1
    if kind == SNAPSHOT:
        recovered.snapshot = event[1]
        if segment.number == first:
            recovered.scheduler = load(get_snapshot(store, run_id, event[1]), segment.names_are_older)
            recovered.scheduler.run = run_id.encode()
            rounds = {key: cycle.next for key, cycle in recovered.scheduler.cycles.items()}
            recovered.replayed_from = Stand(segment.number, event[1], rounds)
        recovered.futures.clear()
        recovered.events = recovered.size = 0
    elif kind == ENDED:
        recovered.ended = event
    elif kind == CODE and recovered.scheduler.tally is not None:
        recovered.scheduler.tally.changed.append(event[1])
    elif kind == RESUMED:
        recovered.ended = None
        recovered.scheduler.limits = Limits(*event[4])
        replay(recovered.scheduler, event)
    elif kind in TOLD:
        futures = futures_of(event)
        if futures is not None:
            recovered.futures.append(futures)
        replay(recovered.scheduler, event)
