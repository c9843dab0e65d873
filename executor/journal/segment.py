"""A segment of the journal ⇄ bytes. Pure; the normative text is `docs/journal-format.md`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from promissory.executor.errors import JournalError
from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.events import FAILED, RETRIED, SNAPSHOT, Event, compact, spread, with_names_of_today
from promissory.typesys.canonical import digest, is_cut_short, pack, seal, unpack_canonical, unseal
from promissory.typesys.errors import FormatError

MAGIC: Final = b"PRMJ"
VERSION: Final = 4
"""Since version 4 things of this package bear their public names in failures and snapshots."""
_OF_ANY_NAMES: Final = 3
"""The version of segments in which nothing bears a name."""
NO_SNAPSHOT: Final = -1
GENESIS: Final = bytes(32)
_WITH_NAMES: Final = frozenset((FAILED, RETRIED, SNAPSHOT))


@dataclass(frozen=True, slots=True)
class Segment:
    """Some events of a run, written at once.

    Attributes:
        number: its place in the journal, from 0.
        epoch: which executor wrote it; each resume has a higher one.
        nonce: 16 random bytes of that executor, to know one's own writing again.
        previous: the digest of the segment before it.
        snapshot: the number of the newest segment that holds a snapshot, itself included; -1 if there is none.
        time: µs since the epoch, for people.
        events: what happened.
        names_are_older: whether it, or the snapshot that it names, may name things of this package as they were called before.
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
    version = VERSION if any(event[0] in _WITH_NAMES for event in segment.events) else _OF_ANY_NAMES
    return seal(MAGIC, version, 1, pack([*head, compact(segment.events)]))


def segment_digest(data: bytes) -> bytes:
    """What the next segment remembers of this one."""
    return digest("segment", data)


def segment_from_bytes(data: bytes, key: str) -> Segment:
    """The segment whose bytes these are. Raises `JournalError`, which names the key."""
    try:
        version, _, payload = unseal(data, MAGIC, range(1, VERSION + 1), key)
        number, epoch, nonce, previous, snapshot, time, trees = fields.items(unpack_canonical(payload, key), 7)
        is_older = version < VERSION
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
    """Whether bytes are the beginning of a segment that was never written to its end; a damaged one has its whole length."""
    return MAGIC.startswith(data[:4]) and is_cut_short(data)
