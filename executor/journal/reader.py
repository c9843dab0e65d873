"""The journal's reading end: its length, its segments, checked and chained, and the keys that they name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from promissory.executor.errors import JournalError, NotInStore
from promissory.executor.journal.base import first_segment
from promissory.executor.journal.segment import GENESIS, Segment, is_torn, segment_digest, segment_from_bytes
from promissory.executor.protocol.events import SNAPSHOT, Event, futures_of, values_of
from promissory.executor.store.keys import is_segment, segment_key, snapshot_key
from promissory.executor.store.store import Store
from promissory.planner.plan.format import futures_from_bytes
from promissory.planner.plan.model import Large


def keys_named(store: Store, run_id: str, event: Event, *, as_far_as_known: bool = False) -> Iterator[str]:
    """The keys that an event names, and those of its values' parts. They have to be durable before the event is.

    Args:
        store: the store of the run.
        run_id: the run.
        event: the event.
        as_far_as_known: pass over the parts of objects that are gone or damaged, instead of raising `StoreError`.
    """
    if event[0] == SNAPSHOT:
        if isinstance(event[1], Large):
            yield snapshot_key(run_id, event[1].digest)
        return
    for value in values_of(event):
        yield from store.keys_of(value, as_far_as_known=as_far_as_known)
    futures = futures_of(event)
    if futures is not None:
        plan, _ = futures_from_bytes(futures)
        for literal in plan.literals:
            yield from store.keys_of(literal, as_far_as_known=as_far_as_known)


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a journal, where the next segment is written: the number of the last segment, and the epoch, snapshot
    and digest of the newest whole one."""

    number: int
    epoch: int
    snapshot: int
    digest: bytes

    @classmethod
    def of(cls, segment: Segment, data: bytes) -> Tail:
        """The tail of a journal that ends with this segment."""
        return cls(segment.number, segment.epoch, segment.snapshot, segment_digest(data))


def find_end(store: Store, run_id: str, hint: int = 0) -> int:
    """How many segments a journal has, by galloping from a number that is known to exist.

    A listing is never the source of that number, but it is a check: a segment behind the end means that a segment
    before it is missing. Raises `JournalError`.
    """
    end = _gallop(store, run_id, hint)
    began = 0
    folder = segment_key(run_id, 0).rpartition("/")[0]
    while behind := [key for key in store.list(folder) if is_segment(key) and key >= segment_key(run_id, end)]:
        if store.exists(segment_key(run_id, end)):
            end = _gallop(store, run_id, end)  # a running executor wrote the segment just now
            continue
        base = first_segment(store, run_id)
        if base <= max(began, end):
            raise JournalError(segment_key(run_id, end), f"is missing, and {behind[0]} comes after it")
        began, end = base, _gallop(store, run_id, base)  # the journal was trimmed
    return end


def _gallop(store: Store, run_id: str, hint: int) -> int:
    if not store.exists(segment_key(run_id, hint)):
        hint = 0
        if not store.exists(segment_key(run_id, 0)):
            return 0
    step = 1
    while store.exists(segment_key(run_id, hint + step)):
        hint, step = hint + step, 2 * step
    low, high = hint, hint + step
    while high - low > 1:
        middle = (low + high) // 2
        if store.exists(segment_key(run_id, middle)):
            low = middle
        else:
            high = middle
    return high


def read_segments(store: Store, run_id: str, first: int, end: int) -> Iterator[tuple[Segment, bytes]]:
    """Segments `first` to `end`, each with its bytes, checked and chained.

    A torn segment (shorter than its header says) counts as never written: the segment behind it follows the segment
    before it. Nothing is ever removed or written over, so of two executors that find a torn segment neither can take a
    good one for it.

    Raises `JournalError`, which names the key, for any other damage.
    """
    previous: bytes | None = GENESIS if first == 0 else None
    torn: JournalError | None = None
    for number in range(first, end):
        key = segment_key(run_id, number)
        try:
            data = store.get(key)
        except NotInStore:
            raise JournalError(key, "is missing") from None
        try:
            segment = segment_from_bytes(data, key)
        except JournalError as error:
            if not is_torn(data):
                raise
            torn = torn or error
            continue
        if segment.number != number or (previous is not None and segment.previous != previous):
            raise torn or JournalError(key, "does not follow the segment before it")
        torn = None
        previous = segment_digest(data)
        yield segment, data


def newest_snapshot(store: Store, run_id: str, end: int) -> int:
    """The number of the segment from which replay begins."""
    for number in range(end - 1, -1, -1):
        key = segment_key(run_id, number)
        try:
            data = store.get(key)
        except NotInStore:
            raise JournalError(key, "is missing") from None
        if not is_torn(data):  # a torn segment says nothing: the segment before it names the newest snapshot
            return max(0, segment_from_bytes(data, key).snapshot)
    return 0
