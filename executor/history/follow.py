"""Following a run: what is committed of it, from any cursor, as events of the public vocabulary. Reads the store alone.

The journal is replayed into a scheduler, which tells the nodes that have ended; what has ended is let go again, so a
follower holds what the run itself holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

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
    OPENED,
    OPENING,
    PAUSED,
    RESUMED,
    RETRIED,
    SIGNALLED,
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
        CursorGone: the journal was trimmed, and begins behind the cursor.
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
        self.cursor = since or Cursor(self._segments, 0)
        self._totals: dict[Key, int] = {}
        self._iterations: dict[Key, int] = {}
        self._stopped: set[Key] = set()
        self._number = 0
        self._segment = 0

    def read(self) -> Iterator[RunEvent]:
        """Give what was committed since. Raises `JournalError`, `CursorGone`."""
        end = find_end(self._store, self._run_id, self._segments)
        try:
            for segment, _ in read_segments(self._store, self._run_id, self._segments, end):
                wanted = Cursor(segment.number, 0) >= self.cursor or segment.number == self.cursor.segment
                for event in self._told(segment):
                    if wanted and (place := Cursor.from_text(event.cursor)) > self.cursor:
                        self.cursor = place
                        yield event
                self._segments = segment.number + 1
                self.cursor = max(self.cursor, Cursor(self._segments, 0))
        except JournalError:
            base = first_segment(self._store, self._run_id)
            if base <= self._segments:
                raise
            raise CursorGone(
                f"the journal of run {self._run_id} was trimmed while it was followed, and begins at {base}.0 now"
            ) from None

    def _told(self, segment: Segment) -> Iterator[RunEvent]:
        """The events of one segment."""
        key = segment_key(self._run_id, segment.number)
        self._segment, self._number = segment.number, 0
        touched: dict[Key, Frame] = {}
        try:
            for event in segment.events:
                yield from self._of(event, segment.time, touched)
        except FormatError as error:
            raise JournalError(key, f"holds what does not fit the run: {error}") from None
        except DoesNotFit as error:
            raise JournalError(key, f"has an event that does not fit the run: {error}") from None
        yield from self._progress(touched, list(touched), segment.time)

    def _progress(self, touched: dict[Key, Frame], places: list[Key], time: int) -> Iterator[RunEvent]:
        """How far maps are, of which items have ended since that was told."""
        for place in places:
            frame, known = touched.pop(place), self._scheduler.maps.get(place)
            total = self._totals.get(place, 0) if known is None else known.total
            done = total if known is None else known.ended
            yield self._event(time, "map", frame.path_of(place[1]), done=done, total=total)
            if known is None:
                self._totals.pop(place, None)

    def _event(self, time: int, kind: str, path: str, state: str = "", **details: Any) -> RunEvent:
        self._number += 1
        told = {name: value for name, value in details.items() if value is not None and value != ""}
        return RunEvent(f"{self._segment}.{self._number}", time, kind, path, state, told)

    def _of(self, event: Event, now: int, touched: dict[Key, Frame]) -> Iterator[RunEvent]:
        """What an event of the journal tells."""
        kind = event[0]
        if kind == RESUMED:
            _, epoch, host, pid, _, time = event
            yield self._event(time, "run", "main", "RUNNING", epoch=epoch, host=host, pid=pid)
        elif kind in (PAUSED, UNPAUSED):
            reason = event[1] if kind == PAUSED else None
            yield self._event(event[-1], "run", "main", "PAUSED" if kind == PAUSED else "RUNNING", reason=reason)
        elif kind == CODE:
            yield self._event(now, "code", "main", name=event[1])
        elif kind == ENDED:
            yield from self._progress(touched, list(touched), now)
            yield self._event(now, "run", "main", event[1], reason=event[2])
        if kind not in TOLD:
            return
        scheduler = self._scheduler
        scheduler.last = None
        named = scheduler.frames.get(event[1]) if len(event) > 2 and kind != RESUMED else None
        replay(scheduler, event)
        for left in (scheduler.ready, scheduler.gates_ready, scheduler.overlapping, scheduler.settled):
            left.clear()
        ended, scheduler.followed = scheduler.followed or [], []
        yield from self._nodes(event, named, ended, now, touched)
        scheduler.inside_maps.difference_update(scheduler.removed)
        scheduler.removed.clear()

    def _nodes(
        self, event: Event, frame: Frame | None, ended: list[tuple[Frame, int]], now: int, touched: dict[Key, Frame]
    ) -> Iterator[RunEvent]:
        """What an event tells of its node, and of the nodes that have ended with it."""
        kind, index = event[0], -1 if frame is None else event[2]
        meta = meta_of(event)
        then = now
        if meta is not None and meta[2]:
            then = self._manifest.created + meta[0] + meta[1]
        if kind == ITEMS:
            self._totals[event[1], index] = sum(count for count, _ in event[3])
            if frame is not None and self._is_told(frame, index):
                touched[frame.id, index] = frame
        if frame is not None and self._is_told(frame, index):
            path = frame.path_of(index)
            if meta is not None and meta[4] is not None:
                key, offset, length = meta[4]
                yield self._event(then, "log", path, key=key, offset=offset, length=length, worker=meta[2])
            if kind == RETRIED:
                _, _, _, failure, _, delay, _ = event
                why = Failure.from_tree(failure)
                assert meta is not None
                more = {"attempt": meta[3], "error": str(why), "traceback": why.traceback, "delay": delay}
                yield self._event(then, "retry", path, worker=meta[2], **more)
            elif kind == GATED:
                yield self._gate(frame, index, now, event[3])
            elif kind in _GOES_ON and (frame, index) not in ended and self._is_first(event):
                yield self._goes_on(frame, index, event, then)
            elif kind == CYCLE_ENDED and self._scheduler.ends:  # its end may be taken back by a resume, and is told now
                self._stopped.add((frame.id, index))
                yield self._event(then, "node", path, "SUCCEEDED")
        opened, self._scheduler.last = self._scheduler.last, None
        if opened is not None and kind in OPENING:
            yield from self._opened(opened, then)
        for one, at in ended:
            if one.part is not None and at < one.topology.count and one.parent is not None:
                place = (one.parent.id, one.slot)
                if self._is_told(one.parent, one.slot):
                    touched[place] = one.parent
            if (one.id, at) in self._stopped:
                self._stopped.remove((one.id, at))
            elif self._is_told(one, at):
                if (one.id, at) in touched:
                    yield from self._progress(touched, [(one.id, at)], then)
                yield self._end(one, at, event if one is frame and at == index else None, then)

    def _is_told(self, frame: Frame, index: int) -> bool:
        """Whether a node is one that people know, and wanted."""
        topology = frame.topology
        if index < 0 or index >= topology.count or index in topology.earlier:
            return False
        return self._items or (frame.part is None and frame.id not in self._scheduler.inside_maps)

    def _is_first(self, event: Event) -> bool:
        """Whether a node goes on with an event, and not only with its next round, stretch or chunk."""
        opened = self._scheduler.last
        if event[0] == AWAITED:
            return not event[4]
        if event[0] == OPENED:
            return opened is not None and opened.part is None
        return opened is None or opened.cycle <= 1

    def _goes_on(self, frame: Frame, index: int, event: Event, then: int) -> RunEvent:
        key, path = (frame.id, index), frame.path_of(index)
        if begins_iteration(event):
            number = self._iterations[key] = self._iterations.get(key, 0) + 1
            return self._event(then, "node", path, "LOOPING", iteration=number, **_body(meta_of(event), self._manifest))
        return self._event(then, "node", path, "EXPANDED", **_body(meta_of(event), self._manifest))

    def _gate(self, frame: Frame, index: int, now: int, until: float) -> RunEvent:
        waiting = self._scheduler.waiting.get((frame.id, index))
        wants = None if waiting is None or waiting.wants is None else str(waiting.wants)
        moment = iso(int(until * 1e6)) if until else None
        what = None if waiting is None else waiting.spec.what
        return self._event(now, "gate", frame.path_of(index), "WAITING", waits_for=what, wants=wants, until=moment)

    def _opened(self, frame: Frame, then: int) -> Iterator[RunEvent]:
        if frame.part is not None or (not self._items and frame.id in self._scheduler.inside_maps):
            return
        yield self._event(then, "frame", frame.path, nodes=frame.topology.count, depth=frame.depth)

    def _end(self, frame: Frame, index: int, event: Event | None, then: int) -> RunEvent:
        """A node has ended; with its own event, if it has one."""
        self._iterations.pop((frame.id, index), None)
        state, more = frame.state(index), {}
        failed = frame.failures.get(index) if frame.failures else None
        if event is not None:
            more = _body(meta_of(event), self._manifest)
            more["reason"] = event[3] if state in (SKIPPED, CANCELLED) and event[3].__class__ is str else ""
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
