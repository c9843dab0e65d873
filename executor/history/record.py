"""The record of a run: the tables that its journal fills. Reads, never writes; runs no code of the author's.

The journal is replayed into a scheduler from the beginning, and every frame that it ever opened is kept. So the states
of nodes are those that the scheduler itself gave them.
"""

from __future__ import annotations

from typing import Any

from promissory.executor.errors import DoesNotFit, JournalError
from promissory.executor.history.recovery import at_the_beginning
from promissory.executor.journal.base import first_segment
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.protocol.events import (
    AWAITED,
    CODE,
    CYCLES_STOP,
    ENDED,
    EXPANDED,
    ITEMS,
    NODE_FAILED,
    NODE_SKIPPED,
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
    futures_of,
    meta_of,
)
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.heartbeat import Beat, read_beat
from promissory.executor.records.manifest import Manifest, read_manifest, read_plan
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.event_fit import refuse_misfit
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.frame_failure import tell_above
from promissory.executor.scheduler.node_state import FAILED as FAILED_STATE
from promissory.executor.scheduler.replay import TOLD, replay, take_ends
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.keys import segment_key
from promissory.executor.store.store import Store
from promissory.planner.plan.plan import Plan
from promissory.typesys.errors import FormatError


class _Watched(Scheduler):
    """A scheduler that remembers the frame that it opened last."""

    last: Frame | None = None

    def add_frame(self, frame: Frame) -> None:
        self.last = frame
        super().add_frame(frame)


class Record:
    """Everything that the journal of a run tells, in tables.

    Args:
        store: the run's store.
        run_id: the run.
        items: whether to remember each item of each map and each iteration of each loop.

    Raises `RunNotFound`, `JournalError`.
    """

    def __init__(self, store: Store, run_id: str, items: bool = False) -> None:
        self._wants_items = items
        self._begin(store, run_id)
        self.update()

    def _begin(self, store: Store, run_id: str) -> None:
        self.store = store
        self.manifest: Manifest = read_manifest(store, run_id)
        self.beat: Beat | None = None
        self.plan: Plan = read_plan(store, self.manifest)
        self.end: tuple[str, str, list[Any] | None] | None = None
        self.ended_at = self.manifest.created
        self.resumes = 0
        self.limits = self.manifest.limits
        self.changed_code: list[str] = []
        self.paused = False
        self.opened: dict[int, Frame] = {}
        self.parents: dict[int, Key] = {0: (-1, 0)}
        self.children: dict[Key, list[int]] = {}
        self.frame_paths: dict[int, str] = {0: "main"}
        self.frame_iterations: dict[int, int] = {}
        self.rounds: dict[int, str] = {}
        self.round_names: dict[tuple[int, int, int], str] = {}
        self.segments: dict[int, int] = {}
        self.segment_counts: dict[Key, int] = {}
        self.stretches: dict[Key, list[tuple[list[tuple[int, int]], int]]] = {}
        self.said: list[tuple[Key, Meta]] = []
        self.metas: dict[Key, Meta] = {}
        self.failed: dict[Key, tuple[Failure, Meta]] = {}
        self.tried: list[tuple[Key, int, Failure, Meta]] = []
        self.spent: dict[Key, int] = {}
        self.sent: dict[Key, list[int]] = {}
        self.reasons: dict[Key, str] = {}
        self.stopped: dict[Key, str] = {}
        self.iterations: dict[Key, int] = {}
        self.iteration_metas: dict[Key, list[Meta]] = {}
        self.emitted: dict[tuple[int, int, int], bytes] = {}
        self._last_try: dict[Key, int] = {}
        self._totals: dict[Key, int] = {}
        self.scheduler, self._segments = at_the_beginning(store, self.manifest, self.plan, _Watched)
        self.is_trimmed = self._segments > 0
        for frame in list(self.scheduler.frames.values()):
            self._note_there(frame)
        if 0 not in self.opened:
            self.opened[0] = self.scheduler.last or Frame(
                0, None, 0, 0, self.scheduler.topologies.get(self.plan.shape, 0), (), (), bytes(16), "main", None, None
            )

    def _note_there(self, frame: Frame) -> None:
        """Note a frame that is open where the journal begins."""
        self.opened[frame.id] = frame
        if frame.parent is None:
            return
        key = self.parents[frame.id] = (frame.parent.id, frame.slot)
        self.children.setdefault(key, []).append(frame.id)
        if frame.cycle:
            self.iterations[key] = max(self.iterations.get(key, 0), self.scheduler.cycles[key].next - 1)
            self.rounds[frame.id] = self.round_names[*key, frame.cycle] = frame.path.rpartition("@")[2]
        elif frame.is_segment:
            self.segments[frame.id] = frame.stage
            self.segment_counts[key] = self.scheduler.awaits[key].next - 1

    def _forget(self, id: int) -> None:
        """Forget a frame that a cycle dropped, since its last round is not the last any more."""
        self.rounds.pop(id, None)
        self.segments.pop(id, None)
        self.children[self.parents[id]].remove(id)
        del self.opened[id], self.parents[id]
        self.frame_paths.pop(id, None)

    def has_ended(self, key: Key) -> bool:
        """Whether a node is a cycle that has ended, and that a resume may tell to go on."""
        return any((one[1], one[2]) == key for one in self.scheduler.ends)

    def update(self) -> None:
        """Read the segments that were committed since, and the newest beat.

        If the journal was trimmed meanwhile, and these segments are gone, it is read anew.
        """
        try:
            self._read()
        except JournalError:
            if first_segment(self.store, self.manifest.run_id) <= self._segments:
                raise
            self._begin(self.store, self.manifest.run_id)
            self._read()

    def _read(self) -> None:
        self.beat = read_beat(self.store, self.manifest.run_id)
        end = find_end(self.store, self.manifest.run_id)
        for segment, _ in read_segments(self.store, self.manifest.run_id, self._segments, end):
            self.ended_at = segment.time
            key = segment_key(self.manifest.run_id, segment.number)
            try:
                for event in segment.events:
                    self._take(event)
            except FormatError as error:
                raise JournalError(key, f"holds what does not fit the run: {error}") from None
            except DoesNotFit as error:
                raise JournalError(key, f"has an event that does not fit the run: {error}") from None
        self._segments = max(self._segments, end)

    # --- reading events ---

    def _take(self, event: Event) -> None:
        kind = event[0]
        if kind == RESUMED:
            self._resumed(event)
        elif kind in (PAUSED, UNPAUSED):
            self.paused = kind == PAUSED
        elif kind == CODE:
            self.changed_code.append(event[1])
        elif kind == ENDED:
            self.end = (event[1], event[2], event[3])
            if event[1] == "FAILED":
                tell_above(self.scheduler)
        if kind not in TOLD:
            return
        if len(event) > 2 and kind != RESUMED:
            take_ends(self.scheduler, event)
            refuse_misfit(self.scheduler, event)
            if event[2] >= self.opened[event[1]].topology.size:
                raise DoesNotFit(f"frame {event[1]} has no node {event[2]}")
            self._note(event, (event[1], event[2]))
        there = set[int]()
        if kind == CYCLES_STOP:
            take_ends(self.scheduler, event)
        if kind in (CYCLES_STOP, RESUMED):
            there = set(self.scheduler.frames)
        replay(self.scheduler, event)
        if kind == RESUMED:
            self._note_forgiven()
        for id in sorted(there - self.scheduler.frames.keys()):
            if kind == CYCLES_STOP or self.segments.get(id) or self.parents[id][0] not in self.opened:
                self._forget(id)
        self.scheduler.ready.clear()
        self.scheduler.gates_ready.clear()
        self.scheduler.overlapping.clear()
        self.scheduler.settled.clear()
        self._note_frame(event)

    def _resumed(self, event: Event) -> None:
        self.resumes += 1
        self.limits = Limits(*event[4])
        self.end = None
        self.paused = False
        self.stopped.clear()

    def _note_forgiven(self) -> None:
        """Note at a resume that nodes whose failure was not handled are tried again."""
        for key, (failure, meta) in list(self.failed.items()):
            frame = self.opened[key[0]]
            if frame.state(key[1]) == FAILED_STATE or frame.id not in self.scheduler.frames:
                continue
            del self.failed[key]
            if meta[2]:
                self._note_try(key, failure, meta)

    def _note(self, event: Event, key: Key) -> None:
        """Note facts of an event that the scheduler does not remember."""
        kind, meta = event[0], meta_of(event)
        if kind == NODE_FAILED:
            _, _, _, failure, tried = event
            self.failed[key] = (Failure.from_tree(failure), tried)
        elif kind == RETRIED:
            _, _, _, failure, tried, _, _ = event
            self._note_try(key, Failure.from_tree(failure), tried)
        elif kind in (NODE_SKIPPED, STOPPED_BY):
            _, _, _, reason, _ = event
            self.reasons[key] = reason
            if kind == STOPPED_BY:
                self.stopped[key] = reason
        elif kind == ITEMS:
            _, _, _, chunks, _ = event
            self._totals[key] = sum(count for count, _ in chunks)
        frame = self.opened[key[0]]
        is_remembered = self._wants_items or frame.part is None
        if meta is not None and kind not in (NODE_FAILED, RETRIED) and is_remembered:
            self.metas[key] = self._whole(key, tuple(meta)) if kind == AWAITED else tuple(meta)
        if meta is not None and meta[2]:
            if is_remembered:
                self.spent[key] = self.spent.get(key, 0) + meta[1]
            if frame.part is not None:
                of_map = self.parents[frame.id]
                self.spent[of_map] = self.spent.get(of_map, 0) + meta[1]
        if kind == SIGNALLED:
            _, _, _, _, asked, _, _ = event
            targets = [node for _, _, node in asked.get("next", ()) if node >= 0]
            if targets:
                self.sent.setdefault(key, []).extend(targets)
        iteration = self.iterations.get(key, 0)
        is_round = kind == EXPANDED and frame.topology.is_cycle(key[1])
        if is_round:
            iteration = self.iterations[key] = iteration + 1
        if kind == AWAITED:
            _, _, _, _, told, child, *_ = event
            self.stretches.setdefault(key, []).append(([(ordinal, node) for ordinal, node in told], child))
            iteration = self.segment_counts.get(key, 0)
        futures = futures_of(event)
        if futures is not None:
            self.emitted[*key, iteration] = futures
        at = OPENING.get(kind)
        if at is not None and event[at] >= 0 and iteration and not is_round and kind != AWAITED:
            self.frame_iterations[event[at]] = iteration
        if not is_round and begins_iteration(event):
            self.iterations[key] = iteration + 1
            if self._wants_items and meta is not None:
                self.iteration_metas.setdefault(key, []).append(tuple(meta))

    def _whole(self, key: Key, meta: Meta) -> Meta:
        """The meta of an async dynamic's body, which ran stretch after stretch. What it said in each is remembered."""
        if meta[4] is not None:
            self.said.append((key, meta))
        before = self.metas.get(key)
        return meta if before is None else (before[0], before[1] + meta[1], *meta[2:4], None)

    def _note_try(self, key: Key, failure: Failure, meta: Meta) -> None:
        self._last_try[key] = len(self.tried)
        self.tried.append((key, self.iterations.get(key, 0), failure, tuple(meta)))

    def _note_frame(self, event: Event) -> None:
        """Note the frame that an event has opened."""
        at = OPENING.get(event[0])
        if at is None or event[at] < 0:
            return
        id = event[at]
        frame = self.scheduler.last
        if frame is None or frame.id != id:
            return
        self.opened[id] = frame
        if frame.is_segment:
            self.segments[id] = self.segment_counts[event[1], event[2]] = frame.stage
        elif frame.cycle:
            key = (event[1], event[2])
            self.rounds[id] = self.round_names[*key, self.iterations[key]] = frame.path.rpartition("@")[2]
        self.parents[id] = (event[1], event[2])
        self.children.setdefault((event[1], event[2]), []).append(id)
