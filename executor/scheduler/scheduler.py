"""The scheduler, a pure state machine: events in, calls out, in batches; no I/O, no clock, no threads.

This is the face: nothing else changes a run's state. The tables are in `state.py`. An event goes to the rules of its
node's kind (`kinds/`), which note steps on the agenda (`agenda.py`); one loop takes the steps (`consequences.py`). Done
nodes, and the frames that end with them, are in `completion.py`; nodes that fail, or are skipped or cancelled, in
`propagation.py`; failing frames in `frame_failure.py`; frames that open in `expansion.py`; requests of tasks in
`requests.py`; starts in `dispatch.py`. `replay.py` brings a state back from a journal, by the same functions.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import Any, Final

from promissory.executor.protocol.events import NO_META, NODE_FAILED, Meta
from promissory.executor.protocol.failure import Failure, LastWords
from promissory.executor.scheduler import completion, dispatch, expansion
from promissory.executor.scheduler.calls import Call
from promissory.executor.scheduler.consequences import settle, work_off
from promissory.executor.scheduler.frame import FailedNode, Frame
from promissory.executor.scheduler.kinds import awaiting, branch, call, cycle, gate, map
from promissory.executor.scheduler.state import State
from promissory.executor.scheduler.waiting import Waiting
from promissory.planner.plan.format import FuturesHeader
from promissory.planner.plan.model import Value
from promissory.planner.plan.plan import Plan

ROOT_IDENTITY: Final = bytes(16)


class Scheduler(State):
    """The face of a run's state. See the top of the file, and `State`.

    The events that tell of a node are ignored if the node has ended already, or belongs to no open frame.
    """

    # --- events in ---

    def open_root(self, plan: Plan, inputs: tuple[Value, ...]) -> None:
        """Begin a run."""
        topology = self.topologies.get(plan.shape, 0)
        root = Frame(self.new_frame(), None, 0, 0, topology, plan.literals, inputs, ROOT_IDENTITY, "main", None, None)
        expansion.open_frame(self, root)
        work_off(self)

    def _check_root(self) -> None:
        """The run's own plan may be too large already; a resume may allow more."""
        self.root_is_checked = True
        root = self.frames.get(0)
        problem = None if root is None else self.limits.nodes(root.topology.count, "main")
        if problem is not None:
            self.log.append((NODE_FAILED, 0, 0, problem.to_tree(), NO_META))
            self.dead, self.failure = True, FailedNode("main", 0, 0, problem, 1)

    def done(self, frame_id: int, index: int, value: Value, meta: Meta = NO_META) -> None:
        """A node has its value."""
        completion.done(self, frame_id, index, value, meta)
        if self.agenda:
            work_off(self)

    def looped(self, frame_id: int, index: int, payload: Value, meta: Meta = NO_META) -> None:
        """A body asks to be run again with the payload that it gives (rule S1)."""
        call.looped(self, frame_id, index, payload, meta)
        work_off(self)

    def skipped(self, frame_id: int, index: int, reason: str, meta: Meta = NO_META) -> None:
        """A body says that its node is not to be done this time (rule S6)."""
        call.skipped(self, frame_id, index, reason, meta)
        work_off(self)

    def cancelled_by(self, frame_id: int, index: int, reason: str, meta: Meta = NO_META) -> None:
        """A body cancels the run: its node does not complete, nothing new starts (rule S6)."""
        call.cancelled_by(self, frame_id, index, reason, meta)
        work_off(self)

    def signalled(
        self,
        frame_id: int,
        index: int,
        outcome: tuple[str, Any],
        asked: dict[str, Any],
        meta: Meta = NO_META,
        at: str = "",
    ) -> None:
        """A body has ended with an outcome and with requests to its run (rules S4, S5, S7): both count, or neither.

        Args:
            outcome: of the kind "value", "futures" or "loop".
            at: the author's line.
        """
        call.signalled(self, frame_id, index, outcome, asked, meta, at=at)
        work_off(self)

    def chosen(self, frame_id: int, index: int, arm: int, meta: Meta = NO_META) -> None:
        """The conditions of a branch chose an arm; -1: none of them."""
        branch.chosen(self, frame_id, index, arm, meta)
        work_off(self)

    def spread(self, frame_id: int, index: int, chunks: list[Any], meta: Meta = NO_META) -> None:
        """The lists of a map were cut into chunks of items."""
        map.spread(self, frame_id, index, chunks, meta)
        work_off(self)

    def expanded(
        self, frame_id: int, index: int, data: bytes, meta: Meta = NO_META, loops: bool = False
    ) -> FuturesHeader | None:
        """A dynamic emitted a futures file, which is spliced in as a frame.

        Returns the header of the file; None if the file did not count.

        Args:
            loops: whether the frame is one iteration, whose output is the payload of the next iteration.
        """
        header = call.expanded(self, frame_id, index, data, meta, loops=loops)
        work_off(self)
        return header

    def failed(
        self, frame_id: int, index: int, failure: Failure, meta: Meta = NO_META, now: float = 0.0, calendar: float = 0.0
    ) -> None:
        """An attempt failed: another attempt follows, or the node has failed for good.

        Args:
            now: of the run's clock.
            calendar: seconds since the epoch.
        """
        call.failed(self, frame_id, index, failure, meta, now, calendar)
        work_off(self)

    def lost(self, frame_id: int, index: int, last_words: LastWords, meta: Meta = NO_META) -> None:
        """A worker ended while it ran this call, which is sent again, alone (rule R5)."""
        call.lost(self, frame_id, index, last_words, meta)
        work_off(self)

    def committed(self, frame_id: int, index: int) -> None:
        """A node that was held back is committed, so the step that waited for its commit is taken."""
        step = self.holding.pop((frame_id, index), None)
        if step is not None and frame_id in self.frames:
            if self.failing:
                self.runs_no_more(self.frames[frame_id])
            self.agenda.append(step)
            work_off(self)

    def answered(self, waiting: Waiting, value: Value, sender: str = "") -> None:
        """A gate has its answer: a value of the type that the gate wants."""
        gate.answer(self, waiting, value, sender)
        work_off(self)

    def gate(self, exact: str) -> Waiting | None:
        """The gate with this path, frame and index (`main/ok#0.3`), if it waits for an answer."""
        return gate.found(self, exact)

    def returned(self, frame_id: int, index: int) -> None:
        """A worker gave a call back without starting it."""
        frame = self.take_back(frame_id, index, keep_tries=True)
        if frame is not None:
            self.ready.append((frame, index))

    def exhausted(self, frame_id: int, index: int) -> None:
        """A worker says that a cycle has no further point."""
        cycle.exhausted(self, frame_id, index)
        work_off(self)

    def not_yet(self, frame_id: int, index: int, due: float, now: float, calendar: float) -> None:
        """A worker says that the moment of a cycle's next round is still to come.

        Args:
            due: the moment, in seconds since the epoch.
            now: of the run's clock.
            calendar: seconds since the epoch.
        """
        frame = self.take_back(frame_id, index)
        if frame is not None:
            delay = max(0.0, due - calendar)
            self.sleep(frame, index, now + delay, delay, due)

    def stretched(
        self,
        frame_id: int,
        index: int,
        stretch: list[Any],
        meta: Meta,
        now: float,
        calendar: float,
    ) -> None:
        """The body of an async dynamic has gone on as far as it could (rule D8).

        Args:
            stretch: what it was told and did, as `promissory.executor.protocol.messages` has it (AWAITS).
            now: of the run's clock.
            calendar: seconds since the epoch.
        """
        moment, count, futures, ends, awaited, due = stretch
        known = self.awaits.get((frame_id, index))
        told = [] if known is None else list(islice(known.answers, count))
        refs = [(ordinal, node) for ordinal, node in awaited]
        awaiting.stretched(self, frame_id, index, moment, told, futures, ends, refs, due, meta)
        work_off(self)
        known = self.awaits.get((frame_id, index))
        if known is not None:
            awaiting.set_alarm(self, known, now, calendar)

    def gone(self, frame_id: int, index: int) -> None:
        """A worker has not the body of an async dynamic any more: it is to be replayed."""
        known = self.awaits.get((frame_id, index))
        if known is not None:
            known.holder = ""
        self.returned(frame_id, index)

    def set_aside(self, frame_id: int, index: int) -> None:
        """A call waits for an equal call; `returned` makes the waiting call ready again."""
        self.take_back(frame_id, index, keep_tries=True)

    def postponed(self, frame_id: int, index: int, now: float, delay: float) -> None:
        """A call is to be looked at again after a while, since an equal call is under way elsewhere."""
        frame = self.take_back(frame_id, index, keep_tries=True)
        if frame is not None:
            self.sleep(frame, index, now + delay, delay, 0.0)

    def wake(self, now: float) -> None:
        """Wake the calls and gates that have slept long enough: calls become ready, gates are due."""
        while self.sleeping and self.sleeping[0].due <= now:
            one = heapq.heappop(self.sleeping)
            key = (one.frame.id, one.node)
            if key in self.waiting:
                gate.due(self, one.frame, one.node)
            elif key in self.awaits:
                awaiting.time_came(self, self.awaits[key], now, one.calendar)
            else:
                self.ready.append((one.frame, one.node))
        work_off(self)

    @property
    def next_due(self) -> float | None:
        """The moment when the first sleeping call or gate is to be woken; None if none sleeps."""
        return self.sleeping[0].due if self.sleeping else None

    def stop(self) -> None:
        """Start no new call or gate; calls in flight may finish."""
        self.stopping = True

    # --- instructions out ---

    def commit_each(self, calls: list[Call]) -> bool:
        """Whether one of these calls is of a task that is committed by itself (`commit="each"`)."""
        return any(call.frame.topology.commits_each(call.node) for call in calls)

    def take(self, count: int, now: float = 0.0, calendar: float = 0.0) -> list[Call]:
        """Calls to run now, of at most `count` processors.

        Nodes that need no worker (nested plans, gates, items of maps) are opened on the way, and limits are checked.

        Args:
            now: of the run's clock.
            calendar: seconds since the epoch.
        """
        if not self._may_start():
            return []
        if self.gates_ready:
            dispatch.begin_gates(self, now, calendar)
        return dispatch.calls_to_start(self, self.ready, count, now, calendar)

    def take_overlapping(self, count: int, now: float = 0.0, calendar: float = 0.0) -> list[Call]:
        """At most so many async calls to run now, which overlap with others. See `take`."""
        if not self._may_start():
            return []
        return dispatch.calls_to_start(self, self.overlapping, count, now, calendar)

    def _may_start(self) -> bool:
        if self.paused:
            return False
        if self.admission.parked:
            self.ready += self.admission.unpark()
        if not self.root_is_checked:
            self._check_root()
        if self.unsettled:
            settle(self)
        return not self.dead

    @property
    def places_in_use(self) -> int:
        """The number of processors that the calls in flight take. Async calls take none, since they wait mostly."""
        return len(self.in_flight) - len(self.overlaps) + self.admission.more_than_plain

    @property
    def ended(self) -> bool:
        """Whether the run is over: no work is left, or no work may be done any more."""
        if self.outputs is not None:
            return True
        if self.in_flight or self.holding:
            return False
        return self.dead or self.stopping or not self.can_go_on
