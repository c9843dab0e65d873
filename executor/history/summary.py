"""Summaries of runs: a run in one line, read from its manifest, its beat and its newest segment. The cost does not grow
with the run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from promissory.executor.errors import NotInStore
from promissory.executor.journal.reader import find_end
from promissory.executor.journal.segment import Segment, is_torn, segment_from_bytes
from promissory.executor.protocol.events import ENDED
from promissory.executor.protocol.seats import Seat
from promissory.executor.records.executors import is_taken
from promissory.executor.records.heartbeat import Beat, is_beginning, read_beat
from promissory.executor.records.manifest import Manifest, read_manifest
from promissory.executor.records.queue import is_carried, is_waiting
from promissory.executor.store.keys import segment_key
from promissory.executor.store.store import Store


@dataclass(frozen=True, slots=True)
class Summary:
    """A run at a glance. Times are µs; `nodes` and `done` are as of its last beat."""

    run_id: str
    workflow: str
    state: str
    created: int
    duration: int
    done: int
    nodes: int


ENDED_WELL: Final = ("SUCCEEDED", "TERMINATED")
"""The states that nothing follows: any other end may be followed by a resume."""


CARRIED: Final = ("RUNNING", "PAUSED")
"""The states in which an executor works on a run."""
GOES_ON: Final = ("QUEUED", *CARRIED)
"""The states out of which a run comes without anybody's doing."""


class Ending(NamedTuple):
    """How a run ended, or stands.

    Attributes:
        state: the state, as rule X8 names it.
        reason: the reason of that state.
        outputs: the outputs, as they stand in the journal; None while there are none.
        segment: the number of the newest segment at that moment; -1 if there was none.
        signal: the signal that told this process to end; None if there was none.
    """

    state: str
    reason: str
    outputs: list[Any] | None
    segment: int = -1
    signal: int | None = None


def ending(store: Store, run_id: str) -> Ending | None:
    """How a run has ended; None while it has not. Raises `StoreError`, `JournalError`."""
    return _ending_in(_newest_segment(store, run_id))


def _ending_in(segment: Segment | None) -> Ending | None:
    """The end of a run that a segment tells; None if it tells none."""
    ended = None if segment is None else next((event for event in segment.events if event[0] == ENDED), None)
    return None if ended is None or segment is None else Ending(ended[1], ended[2], ended[3], segment.number)


def standing_of_run(store: Store, run_id: str) -> Ending:
    """How a run has ended, or stands. Raises `RunNotFound`, `StoreError`, `JournalError`."""
    ended = ending(store, run_id)
    if ended is not None:
        return ended
    summary, segment = _summarise(store, run_id)
    if (ended := _ending_in(segment)) is not None:
        return ended  # it has come since
    return Ending(summary.state, "", None, -1 if segment is None else segment.number)


def waits_for_a_worker(store: Store, manifest: Manifest, beat: Beat | None, has_begun: bool) -> bool:
    """Whether a run on which nobody works is one that a worker will take: it was submitted and nobody has begun with
    it, it was given back, or its worker is gone. One that was stopped or paused waits for whoever did that."""
    if not manifest.queue:
        return False
    if not has_begun or is_waiting(store, manifest):
        return True
    return is_carried(store, manifest) and not (beat is not None and (beat.over or beat.paused))


def is_being_taken(store: Store, run_id: str) -> bool:
    """Whether an executor that has taken a run over, and has not beaten yet, is proved to live."""
    segment = _newest_segment(store, run_id)
    return segment is not None and _is_newer(store, segment, read_beat(store, run_id))


def _is_newer(store: Store, segment: Segment, beat: Beat | None) -> bool:
    """Whether the executor that wrote a segment lives, and the newest beat is still an earlier executor's.

    The beat of its own says more: an executor whose last beat is written is about to leave its seat.
    """
    if beat is not None and beat.epoch >= segment.epoch:
        return False
    return is_taken(store, Seat.of(segment.nonce)) is True


def _newest_segment(store: Store, run_id: str) -> Segment | None:
    """The newest whole segment."""
    for number in range(find_end(store, run_id) - 1, -1, -1):
        key = segment_key(run_id, number)
        try:
            data = store.get(key)
            if not is_torn(data):  # a torn segment counts as never written
                return segment_from_bytes(data, key)
        except NotInStore:
            continue
    return None


def summarise(store: Store, run_id: str) -> Summary:
    """The summary of a run. Raises `RunNotFound`, `JournalError`."""
    return _summarise(store, run_id)[0]


def _summarise(store: Store, run_id: str) -> tuple[Summary, Segment | None]:
    manifest = read_manifest(store, run_id)
    beat = read_beat(store, run_id)
    segment = _newest_segment(store, run_id)
    state, last = "INTERRUPTED", manifest.created
    if segment is not None:
        last = segment.time
        state = next((event[1] for event in segment.events if event[0] == ENDED), state)
    if beat is not None and state == "INTERRUPTED" and beat.is_live(store, run_id):
        state = "PAUSED" if beat.paused else "RUNNING"
    elif segment is not None and state == "INTERRUPTED" and _is_newer(store, segment, beat):
        state = "RUNNING"
    if beat is None and segment is None and is_beginning(store, run_id):
        state = "RUNNING"
    if state == "INTERRUPTED" and waits_for_a_worker(store, manifest, beat, segment is not None):
        state = "QUEUED"
    done, nodes = (beat.done, beat.nodes) if beat is not None else (0, 0)
    if state in GOES_ON:
        last = time.time_ns() // 1000
    elif beat is not None and state == "INTERRUPTED":
        last = max(last, int(beat.time * 1e6))
    return Summary(
        run_id, manifest.workflow, state, manifest.created, max(0, last - manifest.created), done, nodes
    ), segment
