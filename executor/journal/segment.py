"""A segment of the journal ⇄ bytes. Pure; the normative text is `docs/journal-format.md`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from promissory.executor.errors import JournalError
from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.event_decoding import spread
from promissory.executor.protocol.events import (
    AWAITED,
    CYCLE_ENDED,
    CYCLES_STOP,
    NODE_FAILED,
    RETRIED,
    SNAPSHOT,
    Event,
    compact,
    may_name_objects,
    values_of,
    with_names_of_today,
)
from promissory.planner.plan.model import is_in_parts
from promissory.typesys.canonical import digest, pack, unpack_canonical
from promissory.typesys.envelope import is_cut_short, seal, unseal
from promissory.typesys.errors import FormatError

MAGIC: Final = b"PRMJ"
VERSION: Final = 7
"""Since version 7 values may have parts."""
_WITH_AWAITS: Final = 6
"""Since version 6 bodies await: their events, and their rows in snapshots."""
_WITH_CYCLES: Final = 5
"""Since version 5 there are cycles: their events, and their rows in snapshots."""
_WITH_PUBLIC_NAMES: Final = 4
"""Since version 4, failures and snapshots hold the public names of this package's classes."""
_OF_ANY_NAMES: Final = 3
"""The version of segments that hold no name of a class."""
NO_SNAPSHOT: Final = -1
GENESIS: Final = bytes(32)
_WITH_NAMES: Final = frozenset((NODE_FAILED, RETRIED, SNAPSHOT))
_OF_CYCLES: Final = frozenset((CYCLE_ENDED, CYCLES_STOP))


@dataclass(frozen=True, slots=True)
class Segment:
    """Some events of a run, written at once.

    Attributes:
        number: the segment's place in the journal, from 0.
        epoch: the epoch of the executor that wrote it; each resume has a higher one.
        nonce: 16 random bytes of that executor, by which it recognises its own segments.
        previous: the digest of the segment before it.
        snapshot: the number of the newest segment that holds a snapshot, itself included; -1 if there is none.
        time: µs since the epoch, for people.
        events: the events, in order.
        names_are_older: whether the segment, or the snapshot that it names, may hold names that this package's classes
            bore before they had public ones.
    """

    number: int
    epoch: int
    nonce: bytes
    previous: bytes
    snapshot: int
    time: int
    events: tuple[Event, ...]
    names_are_older: bool = field(default=False, compare=False)


def segment_to_bytes(segment: Segment) -> bytes:
    """The sealed bytes of a segment."""
    head = [segment.number, segment.epoch, segment.nonce, segment.previous, segment.snapshot, segment.time]
    return seal(MAGIC, _version(segment.events), 1, pack([*head, compact(segment.events)]))


def _version(events: tuple[Event, ...]) -> int:
    """The earliest version that can say these events."""
    if any(is_in_parts(value) for event in filter(may_name_objects, events) for value in values_of(event)):
        return VERSION
    kinds = {event[0] for event in events}
    if AWAITED in kinds:
        return _WITH_AWAITS
    if kinds & _OF_CYCLES:
        return _WITH_CYCLES
    return _WITH_PUBLIC_NAMES if kinds & _WITH_NAMES else _OF_ANY_NAMES


def segment_digest(data: bytes) -> bytes:
    """The digest of a segment, which the next segment holds as `previous`."""
    return digest("segment", data)


def segment_from_bytes(data: bytes, key: str) -> Segment:
    """Decode the bytes of a segment. Raises `JournalError`, which names the key."""
    try:
        version, _, payload = unseal(data, MAGIC, range(1, VERSION + 1), key)
        number, epoch, nonce, previous, snapshot, time, trees = fields.items(unpack_canonical(payload, key), 7)
        is_older = version < _WITH_PUBLIC_NAMES
        events = tuple(
            with_names_of_today(event) if is_older and event[0] in _WITH_NAMES else event for event in spread(trees)
        )
        segment = Segment(
            fields.count(number),
            fields.count(epoch),
            fields.data(nonce, 16),
            fields.data(previous, 32),
            fields.whole(snapshot),
            fields.whole(time),
            events,
            is_older,
        )
        if segment.snapshot > segment.number or segment.snapshot < NO_SNAPSHOT:
            raise ValueError(f"a snapshot in segment {segment.snapshot}")
        return segment
    except FormatError as error:
        raise JournalError(error.what, error.problem, error.offset) from None
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise JournalError(key, f"is malformed ({error})") from None


def is_torn(data: bytes) -> bool:
    """Whether bytes are a segment that was not written to its end. A damaged segment has its full length."""
    return MAGIC.startswith(data[:4]) and is_cut_short(data)
