"""Following a run: what is committed of it, from any cursor, as events of the public vocabulary. Reads the store alone.

The journal is replayed into a scheduler, which tells the nodes that have ended; what has ended is let go again, so a
follower holds what the run itself holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from promissory.executor.errors import CursorGone, DoesNotFit, JournalError
from promissory.executor.history.recovery import at_the_beginning
from promissory.executor.history.run_events import Cursor, RunEvent, iso
from promissory.executor.journal.base import first_segment
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.journal.segment import Segment
from promissory.executor.protocol.events import (
    AWAITED,
    CHOSEN,
    CODE,
    CYCLE_ENDED,
    ENDED,
    EXPANDED,
    GATED,
    ITEMS,
    LOOPED,
    NODE_SKIPPED,
    OPENED,
    OPENING,
    PAUSED,
    RESUMED,
    RETRIED,
    SIGNALLED,
    STOPPED_BY,
    UNPAUSED,
    Event,
    Meta,
    begins_iteration,
    meta_of,
)
from promissory.executor.protocol.failure import Failure
from promissory.executor.records.manifest import Manifest, read_manifest, read_plan
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.node_state import (
    CANCELLED,
    DONE,
    FAILED,
    OPEN,
    SKIPPED,
    UPSTREAM_FAILED,
)
from promissory.executor.scheduler.replay import TOLD, replay
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.keys import segment_key
from promissory.executor.store.store import Store
from promissory.typesys.errors import FormatError

_NAMES: Final[dict[int, str]] = {
    DONE: "SUCCEEDED",
    OPEN: "EXPANDED",
    FAILED: "FAILED",
    UPSTREAM_FAILED: "UPSTREAM_FAILED",
    SKIPPED: "SKIPPED",
    CANCELLED: "CANCELLED",
}
_GOES_ON: Final = frozenset((EXPANDED, LOOPED, CHOSEN, SIGNALLED, ITEMS, OPENED, AWAITED))
"""The events after which a node may go on."""


class _Taken(NamedTuple):
    """An event that the scheduler has taken.

    Attributes:
        event: the event.
        frame, node: its node; the frame is None for an event of no node, or of one that is gone.
        iteration: the iteration in which the node was.
        ended: the nodes that have ended with it, in order.
        opened: the frame that was opened last, if the event opens one.
    """

    event: Event
    frame: Frame | None
    node: int
    iteration: int
    ended: list[tuple[Frame, int]]
    opened: Frame | None

    @property
    def is_first(self) -> bool:
        """Whether the node goes on with the event, and not only with its next round, stretch or chunk."""
        if self.event[0] == AWAITED:
            _, _, _, _, told, *_ = self.event
            return not told
        if self.event[0] == OPENED:
            return self.opened is not None and self.opened.part is None
        return self.opened is None or self.opened.cycle <= 1


class _Followed(Scheduler):
    """A scheduler that remembers the frame that it opened last, and the frames inside maps."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.followed = []
        self.last: Frame | None = None
        self.inside_maps: set[int] = set()
        self.removed: list[int] = []

    def add_frame(self, frame: Frame) -> None:
        self.last = frame
        parent = frame.parent
        if parent is not None and (parent.part is not None or parent.id in self.inside_maps):
            self.inside_maps.add(frame.id)
        super().add_frame(frame)

    def remove_frame(self, frame: Frame) -> None:
        self.removed.append(frame.id)
        super().remove_frame(frame)


class Follower:
    """Reads the events of a run as they are committed.

    Args:
        store: the run's store.
        run_id: the run.
        since: the place from which on events are wanted; None for the beginning of what the journal holds.
        items: whether each item of a map, and what is inside it, has events of its own.

    Attributes:
        cursor: the place behind the events that were read.

    Raises:
        RunNotFound: there is no such run.
        CursorGone: the journal was trimmed, and begins behind the cursor; or it ends before it.
        JournalError: the journal is damaged.
    """

    def __init__(self, store: Store, run_id: str, since: Cursor | None = None, items: bool = False) -> None:
        self._store = store
        self._run_id = run_id
        self._items = items
        self._manifest = read_manifest(store, run_id)
        plan = read_plan(store, self._manifest)
        self._scheduler, self._segments = at_the_beginning(store, self._manifest, plan, _Followed)
        if since is not None and since < Cursor(self._segments, 0):
            raise CursorGone(
                f"the journal of run {run_id} begins at {self._segments}.0, behind {since}: what lies before was "
                "trimmed. Begin anew, without a cursor"
            )
        begins = Cursor(self._segments, 0)
        if since is not None and since > begins and since.segment >= find_end(store, run_id, self._segments):
            raise CursorGone(f"run {run_id} has not come as far as {since}: the cursor is another run's")
        self.cursor = since or begins
        # The maps that were spread, since a map that has ended is gone from the scheduler when its end is told.
        self._totals = {key: mapping.total for key, mapping in self._scheduler.maps.items()}
        # The cycles whose end was told, and may be taken back.
        self._stopped: set[Key] = set()
        self._segment = self._number = 0

    def read(self) -> Iterator[RunEvent]:
        """Give what was committed since. Raises `JournalError`, `CursorGone`."""
        end = find_end(self._store, self._run_id, self._segments)
        try:
            for segment, _ in read_segments(self._store, self._run_id, self._segments, end):
                self._segment, self._number = segment.number, 0
                if segment.number < self.cursor.segment:
                    self._pass_over(segment)
                else:
                    for event in self._told(segment):
                        if (place := Cursor(self._segment, self._number)) > self.cursor:
                            self.cursor = place
                            yield event
                self._segments = segment.number + 1
        except JournalError:
            base = first_segment(self._store, self._run_id)
            if base <= self._segments:
                raise
            raise CursorGone(
                f"the journal of run {self._run_id} was trimmed while it was followed, and begins at {base}.0 now"
            ) from None

    def _pass_over(self, segment: Segment) -> None:
        """Take a segment of which nothing is told."""
        with self._reading(segment):
            for event in segment.events:
                if event[0] in TOLD:
                    self._forget(self._take(event))

    def _told(self, segment: Segment) -> Iterator[RunEvent]:
        """The events of one segment."""
        touched: dict[Key, Frame] = {}
        with self._reading(segment):
            for event in segment.events:
                if event[0] == ENDED:
                    yield from self._progress(touched, segment.time)
                yield from self._of_run(event, segment.time)
                if event[0] in TOLD:
                    taken = self._take(event)
                    yield from self._of_nodes(taken, segment.time, touched)
                    self._forget(taken)
        yield from self._progress(touched, segment.time)

    @contextmanager
    def _reading(self, segment: Segment) -> Iterator[None]:
        """A block that names the segment if it is damaged."""
        key = segment_key(self._run_id, segment.number)
        try:
            yield
        except FormatError as error:
            raise JournalError(key, f"holds what does not fit the run: {error}") from None
        except DoesNotFit as error:
            raise JournalError(key, f"has an event that does not fit the run: {error}") from None

    # --- taking events ---

    def _take(self, event: Event) -> _Taken:
        """Have the scheduler take an event."""
        scheduler, kind = self._scheduler, event[0]
        frame = scheduler.frames.get(event[1]) if len(event) > 2 and kind != RESUMED else None
        index = -1 if frame is None else event[2]
        iteration = 0 if frame is None else scheduler.iteration(frame.id, index)
        replay(scheduler, event)
        for left in (scheduler.ready, scheduler.gates_ready, scheduler.overlapping, scheduler.settled):
            left.clear()
        ended, scheduler.followed = scheduler.followed or [], []
        opened, scheduler.last = scheduler.last, None
        if kind == ITEMS and frame is not None:
            self._totals[frame.id, index] = sum(count for count, _ in event[3])
        return _Taken(event, frame, index, iteration, ended, opened if kind in OPENING else None)

    def _forget(self, taken: _Taken) -> None:
        """Forget what has ended."""
        for frame, index in taken.ended:
            self._totals.pop((frame.id, index), None)
        self._stopped = {(frame, node) for _, frame, node, *_ in self._scheduler.ends}
        self._scheduler.inside_maps.difference_update(self._scheduler.removed)
        self._scheduler.removed.clear()

    # --- telling them ---

    def _event(self, time: int, kind: str, path: str, state: str = "", **details: Any) -> RunEvent:
        self._number += 1
        told = {name: value for name, value in details.items() if value is not None and value != ""}
        return RunEvent(f"{self._segment}.{self._number}", time, kind, path, state, told)

    def _of_run(self, event: Event, now: int) -> Iterator[RunEvent]:
        """What an event tells of the run."""
        kind = event[0]
        if kind == RESUMED:
            _, epoch, host, pid, _, time = event
            yield self._event(time, "run", "main", "RUNNING", epoch=epoch, host=host, pid=pid)
        elif kind == PAUSED:
            yield self._event(event[2], "run", "main", "PAUSED", reason=event[1])
        elif kind == UNPAUSED:
            yield self._event(event[1], "run", "main", "RUNNING")
        elif kind == CODE:
            yield self._event(now, "code", "main", name=event[1])
        elif kind == ENDED:
            yield self._event(now, "run", "main", event[1], reason=event[2])

    def _of_nodes(self, taken: _Taken, now: int, touched: dict[Key, Frame]) -> Iterator[RunEvent]:
        """What an event tells of its node, and of the nodes that have ended with it."""
        meta, then = meta_of(taken.event), now
        if meta is not None and meta[2]:
            then = self._manifest.created + meta[0] + meta[1]
        if taken.frame is not None and self._is_told(taken.frame, taken.node):
            yield from self._of_its_node(taken, taken.frame, meta, then)
            if taken.event[0] == ITEMS:
                touched[taken.frame.id, taken.node] = taken.frame
        opened = taken.opened
        if opened is not None and opened.part is None and (self._items or opened.id not in self._scheduler.inside_maps):
            yield self._event(then, "frame", opened.path, nodes=opened.topology.count, depth=opened.depth)
        for frame, index in taken.ended:
            above = frame.parent
            is_item = frame.part is not None and index < frame.topology.count
            if is_item and above is not None and self._is_told(above, frame.slot):
                touched[above.id, frame.slot] = above
            if self._is_told(frame, index) and (frame.id, index) not in self._stopped:
                if touched.pop((frame.id, index), None) is not None:
                    yield from self._map(then, frame, index)
                yield self._end(frame, index, taken, then)

    def _of_its_node(self, taken: _Taken, frame: Frame, meta: Meta | None, then: int) -> Iterator[RunEvent]:
        event, index = taken.event, taken.node
        kind, path = event[0], frame.path_of(index)
        if meta is not None and meta[4] is not None:
            key, offset, length = meta[4]
            yield self._event(then, "log", path, key=key, offset=offset, length=length, worker=meta[2])
        if kind == RETRIED:
            _, _, _, failure, (_, _, worker, attempt, _), delay, _ = event
            why = Failure.from_tree(failure)
            more = {"attempt": attempt, "error": str(why), "traceback": why.traceback, "delay": delay, "worker": worker}
            yield self._event(then, "retry", path, **more)
        elif kind == GATED:
            yield self._gate(frame, index, then, event[3])
        elif kind == CYCLE_ENDED and self._scheduler.ends:
            # A resume may take this end back, so the scheduler has not taken it yet.
            yield self._event(then, "node", path, "SUCCEEDED")
        elif kind in _GOES_ON and (frame, index) not in taken.ended and taken.is_first:
            loops = begins_iteration(event)
            number = taken.iteration + 1 if loops else None
            body = _body(meta, self._manifest)
            yield self._event(then, "node", path, "LOOPING" if loops else "EXPANDED", iteration=number, **body)

    def _progress(self, touched: dict[Key, Frame], now: int) -> Iterator[RunEvent]:
        """How far maps are, of which items have ended since that was told."""
        for (_, index), frame in touched.items():
            yield from self._map(now, frame, index)
        touched.clear()

    def _map(self, time: int, frame: Frame, index: int) -> Iterator[RunEvent]:
        """How far a map is; nothing if it was given up."""
        key, path = (frame.id, index), frame.path_of(index)
        mapping, total = self._scheduler.maps.get(key), self._totals.get(key)
        if mapping is not None:
            yield self._event(time, "map", path, done=mapping.ended, total=mapping.total)
        elif total is not None and frame.state(index) == DONE:
            yield self._event(time, "map", path, done=total, total=total)

    def _is_told(self, frame: Frame, index: int) -> bool:
        """Whether a node is one that people know, and wanted."""
        topology = frame.topology
        if index < 0 or index >= topology.count or index in topology.earlier:
            return False
        return self._items or (frame.part is None and frame.id not in self._scheduler.inside_maps)

    def _gate(self, frame: Frame, index: int, now: int, until: float) -> RunEvent:
        waiting = self._scheduler.waiting.get((frame.id, index))
        wants = None if waiting is None or waiting.wants is None else str(waiting.wants)
        moment = iso(int(until * 1e6)) if until else None
        what = None if waiting is None else waiting.spec.what
        return self._event(now, "gate", frame.path_of(index), "WAITING", waits_for=what, wants=wants, until=moment)

    def _end(self, frame: Frame, index: int, taken: _Taken, then: int) -> RunEvent:
        """A node has ended, with an event of its own or with another node's."""
        state, event = frame.state(index), taken.event
        more: dict[str, Any] = {}
        failed = frame.failures.get(index) if frame.failures else None
        if taken.frame is frame and taken.node == index:
            more = _body(meta_of(event), self._manifest)
            if event[0] in (NODE_SKIPPED, STOPPED_BY):
                more["reason"] = event[3]
        if state == FAILED and failed is not None:
            more |= {"error": str(failed.failure), "traceback": failed.failure.traceback}
        elif state == UPSTREAM_FAILED and failed is not None:
            more["reason"] = f"{failed.path} failed"
        return self._event(then, "node", frame.path_of(index), _NAMES[state], **more)


def _body(meta: Meta | None, manifest: Manifest) -> dict[str, Any]:
    """What is known of the body that ran."""
    if meta is None or not meta[2]:
        return {}
    started, duration, worker, attempt, _ = meta
    return {
        "attempt": attempt,
        "started": iso(manifest.created + started),
        "seconds": duration / 1e6,
        "worker": worker,
        "cached": True if attempt == 0 else None,
    }
