"""The scheduler, a pure state machine: events in, calls out, in batches; no I/O, no clock, no threads.

The scheduler knows which nodes are ready and which calls come next. Its tables are in `state.py`, the calls in
`calls.py`. Done nodes, and the frames that end with them, are in `completion.py`; nodes that fail, or are skipped or
cancelled, in `propagation.py`; failing frames in `frame_failure.py`; frames that open in `expansion.py`; maps in
`maps.py`; gates in `gates.py`; requests of tasks in `requests.py`; starts in `dispatch.py`. `replay.py` brings a state
back from a journal.
"""

from __future__ import annotations

import heapq
from functools import partial
from typing import Any, Final

from promissory.executor.protocol.events import (
    CHOSEN,
    EXPANDED,
    FAILED,
    LOOPED,
    NO_META,
    RETRIED,
    SKIPPED,
    STOPPED_BY,
    Meta,
)
from promissory.executor.protocol.events import DONE as DONE_EVENT
from promissory.executor.protocol.failure import Failure, LastWords
from promissory.executor.scheduler import completion, gates
from promissory.executor.scheduler import dispatch as starting
from promissory.executor.scheduler import expansion as opening
from promissory.executor.scheduler import frame_failure as failing
from promissory.executor.scheduler import maps as mapped
from promissory.executor.scheduler import propagation as endings
from promissory.executor.scheduler import requests as control
from promissory.executor.scheduler.calls import Call, Tries
from promissory.executor.scheduler.frame import CANCELLED as CANCELLED_STATE
from promissory.executor.scheduler.frame import PENDING, FailedNode, Frame
from promissory.executor.scheduler.frame import SKIPPED as SKIPPED_STATE
from promissory.executor.scheduler.retry import retry_delay
from promissory.executor.scheduler.state import State
from promissory.planner.plan.format import FuturesHeader, futures_from_bytes
from promissory.planner.plan.model import Value
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.specs import Branch

ROOT_IDENTITY = bytes(16)
_SENT_AGAIN: Final = 2


class Scheduler(State):
    """The face of a run's state. See the top of the file, and `State`."""

    # --- events in ---

    def open_root(self, plan: Plan, inputs: tuple[Value, ...]) -> None:
        """Begin a run."""
        topology = self.topologies.get(plan.shape, 0)
        self.open(
            Frame(self.new_frame(), None, 0, 0, topology, plan.literals, inputs, ROOT_IDENTITY, "main", None, None)
        )

    def _check_root(self) -> None:
        """The run's own plan may be too large already; a resume may allow more."""
        self._root_is_checked = True
        root = self.frames.get(0)
        problem = None if root is None else self.limits.nodes(root.topology.count, "main")
        if problem is not None:
            self.log.append((FAILED, 0, 0, problem.to_tree(), NO_META))
            self.dead, self.failure = True, FailedNode("main", 0, 0, problem, 1)

    def done(self, frame_id: int, index: int, value: Value, meta: Meta = NO_META) -> None:
        """A node has its value. The value is ignored if the node is done already, or belongs to no open frame."""
        frame = self._pending(frame_id, index)
        if frame is None:
            return
        self.log.append((DONE_EVENT, frame_id, index, value, meta))
        if frame.topology.code.commits_each and not self.replaying and frame.topology.commits_each(index):
            self.hold_back(frame, index, partial(completion.complete, self, frame, index, value, True))
            return
        completion.complete(self, frame, index, value, meta[3] > 0)

    def looped(self, frame_id: int, index: int, payload: Value, meta: Meta = NO_META) -> None:
        """A body asks to be run again with the payload that it gives (rule S1)."""
        frame = self._pending(frame_id, index)
        if frame is None:
            return
        iteration = self.iteration(frame_id, index)
        self.log.append((LOOPED, frame_id, index, iteration, payload, meta))
        self.hold(frame, index, partial(self.iterate, frame, index, payload))

    def skipped(self, frame_id: int, index: int, reason: str, meta: Meta = NO_META) -> None:
        """A body says that its node is not to be done this time (rule S6)."""
        frame = self._pending(frame_id, index)
        if frame is None:
            return
        self.log.append((SKIPPED, frame_id, index, reason, meta))
        self.hold(frame, index, partial(endings.end, self, frame, index, SKIPPED_STATE))

    def cancelled_by(self, frame_id: int, index: int, reason: str, meta: Meta = NO_META) -> None:
        """A body cancels the run: its node does not complete, nothing new starts (rule S6)."""
        frame = self._pending(frame_id, index)
        if frame is None:
            return
        self.log.append((STOPPED_BY, frame_id, index, reason, meta))
        if endings.is_of_the_runs_failure(self, frame, index):
            endings.end(self, frame, index, CANCELLED_STATE)
            return
        if self.cancelled is None:
            self.cancelled = (frame.path_of(index, self.iteration(frame_id, index)), reason)
        self.stopping = True

    def signalled(
        self,
        frame_id: int,
        index: int,
        outcome: tuple[str, Any],
        asked: dict[str, Any],
        meta: Meta = NO_META,
        child: int | None = None,
        at: str = "",
    ) -> None:
        """A body has ended with an outcome and with requests to its run (rules S4, S5, S7): both count, or neither.

        Args:
            outcome: of the kind "value", "futures" or "loop".
            at: the author's line.
        """
        repeat = self.in_flight.get((frame_id, index))
        frame = self._pending(frame_id, index, keep_tries=True)
        if frame is not None:
            control.take(self, frame, index, outcome, asked, meta, repeat, child, at)

    def chosen(self, frame_id: int, index: int, arm: int, meta: Meta = NO_META, child: int | None = None) -> None:
        """The conditions of a branch chose an arm; -1: none of them."""
        frame = self._pending(frame_id, index)
        if frame is None:
            return
        spec = frame.topology.graph.specs[index]
        assert isinstance(spec, Branch)
        chosen = spec.arms[arm] if arm >= 0 else None
        if chosen is not None and chosen.graph is None:
            self.fail(frame, index, Failure.of_executor("BranchFailed", chosen.message), meta)
            return
        id = -1 if chosen is None else self.new_frame(child)
        self.log.append((CHOSEN, frame_id, index, arm, id, meta))
        if chosen is None:
            completion.complete(self, frame, index, gates.none_of(spec.result), True)
            return
        assert chosen.graph is not None
        given = frame.topology.plan_inputs[index]
        opening.open_graph(self, id, frame, index, chosen.graph, tuple(frame.value(given[at]) for at in chosen.takes))

    def spread(self, frame_id: int, index: int, chunks: list[Any], meta: Meta = NO_META) -> None:
        """The lists of a map were cut into chunks of items."""
        frame = self._pending(frame_id, index)
        if frame is not None:
            mapped.begin(self, frame, index, chunks, meta)

    def expanded(
        self,
        frame_id: int,
        index: int,
        data: bytes,
        meta: Meta = NO_META,
        child: int | None = None,
        loops: bool = False,
    ) -> FuturesHeader | None:
        """A dynamic emitted a futures file, which is spliced in as a frame.

        Returns the header of the file; None if the file did not count.

        Args:
            loops: whether the frame is one iteration, whose output is the payload of the next iteration.
        """
        repeat = self.in_flight.get((frame_id, index))
        frame = self._pending(frame_id, index)
        if frame is None:
            return None
        plan, header = futures_from_bytes(data)
        problem = self.may_splice(plan, data, frame.path_of(index))
        if problem is not None and child is None:
            self.fail(frame, index, problem, meta)
            return None
        id = self.new_frame(child)
        self.log.append((EXPANDED, frame_id, index, id, data, loops, meta))
        if meta[3] > 0 and not loops and frame.topology.is_cached(index):
            completion.settle(self, frame, index, None, data)
        self.hold(frame, index, partial(opening.splice, self, id, frame, index, plan, header, repeat, loops))
        return header

    def committed(self, frame_id: int, index: int) -> None:
        """A node that was held back is committed, so the steps that waited for its commit are taken."""
        follows = self.holding.pop((frame_id, index), None)
        if follows is not None and frame_id in self.frames:
            if self.failing:
                failing.runs_no_more(self, self.frames[frame_id])
            follows()

    def failed(
        self, frame_id: int, index: int, failure: Failure, meta: Meta = NO_META, now: float = 0.0, calendar: float = 0.0
    ) -> None:
        """An attempt failed: another attempt follows, or the node has failed for good.

        Args:
            now: of the run's clock.
            calendar: seconds since the epoch.
        """
        frame = self._pending(frame_id, index, keep_tries=True)
        if frame is None:
            return
        key = (frame_id, index)
        tries = self.tries.get(key, Tries())
        policy = frame.topology.policy(index) if frame.topology.is_call(index) else None
        delay = None
        if policy is not None and policy.retries:
            delay = retry_delay(
                policy, failure, tries.retries, self.run + frame.identity_of(index, self.iteration(*key))
            )
        if delay is None:
            self.fail(frame, index, failure if policy is None else failure.without_budget(policy.retries), meta)
            return
        self.log.append((RETRIED, frame_id, index, failure.to_tree(), meta, delay, calendar + delay))
        self.tries[key] = Tries(tries.begun + 1, tries.retries + 1, tries.lost)
        self.sleep(frame, index, now + delay, delay, calendar + delay)

    def lost(self, frame_id: int, index: int, last_words: LastWords, meta: Meta = NO_META) -> None:
        """A worker ended while it ran this call. The loss says nothing of the call, so the call is sent again.

        The call is sent again alone, and at most twice (rule R5).
        """
        frame = self._pending(frame_id, index, keep_tries=True)
        if frame is None:
            return
        key = (frame_id, index)
        begun, retries, lost = self.tries.get(key, Tries())
        if lost < _SENT_AGAIN:
            self.tries[key] = Tries(begun + 1, retries, lost + 1)
            self.ready.append((frame, index))
            return
        self.tries.pop(key, None)
        self.fail(
            frame, index, Failure.of_lost_worker(frame.path_of(index, self.iteration(*key)), lost + 1, last_words), meta
        )

    def _pending(self, frame_id: int, index: int, keep_tries: bool = False) -> Frame | None:
        """Take a returned call out of `in_flight`. Returns the call's frame if the call still waits for an outcome."""
        key = (frame_id, index)
        frame = self.frames.get(frame_id)
        if self.failing and frame is not None and key in self.in_flight:
            failing.runs_no_more(self, frame)
        self.in_flight.pop(key, None)
        if self.admission.held:
            self.admission.release(key)
        if frame is None or frame.state(index) != PENDING or (self.holding and key in self.holding):
            return None
        if self.tries and not keep_tries:
            self.tries.pop(key, None)
        return frame

    def returned(self, frame_id: int, index: int) -> None:
        """A worker gave a call back without starting it."""
        frame = self._pending(frame_id, index, keep_tries=True)
        if frame is not None:
            self.ready.append((frame, index))

    def set_aside(self, frame_id: int, index: int) -> None:
        """A call waits for an equal call; `returned` makes the waiting call ready again."""
        self._pending(frame_id, index, keep_tries=True)

    def postponed(self, frame_id: int, index: int, now: float, delay: float) -> None:
        """A call is to be looked at again after a while, since an equal call is under way elsewhere."""
        frame = self._pending(frame_id, index, keep_tries=True)
        if frame is not None:
            self.sleep(frame, index, now + delay, delay, 0.0)

    def wake(self, now: float) -> None:
        """Wake the calls and gates that have slept long enough: calls become ready, gates are due."""
        while self.sleeping and self.sleeping[0].due <= now:
            one = heapq.heappop(self.sleeping)
            if (one.frame.id, one.node) in self.waiting:
                gates.due(self, one.frame, one.node)
            else:
                self.ready.append((one.frame, one.node))

    @property
    def next_due(self) -> float | None:
        """The moment when the first sleeping call or gate is to be woken; None if none sleeps."""
        return self.sleeping[0].due if self.sleeping else None

    def stop(self) -> None:
        """Start no new call or gate; calls in flight may finish."""
        self.stopping = True

    # --- instructions out ---

    def take(self, count: int, now: float = 0.0, calendar: float = 0.0) -> list[Call]:
        """Calls to run now, of at most `count` processors.

        Nodes that need no worker (nested plans, gates, items of maps) are opened on the way, and limits are checked.

        Args:
            now: of the run's clock.
            calendar: seconds since the epoch.
        """
        if self.paused:
            return []
        if self.admission.parked:
            self.ready += self.admission.unpark()
        if not self._root_is_checked:
            self._check_root()
        if self.unsettled:
            failing.settle(self)
        if self.dead:
            return []
        if self.gates_ready:
            starting.begin_gates(self, now, calendar)
        return starting.calls_to_start(self, count)

    @property
    def places_in_use(self) -> int:
        """The number of processors that the calls in flight take."""
        return len(self.in_flight) + self.admission.more_than_plain

    @property
    def ended(self) -> bool:
        """Whether the run is over: no work is left, or no work may be done any more."""
        if self.outputs is not None:
            return True
        if self.in_flight or self.holding:
            return False
        return (
            self.dead
            or self.stopping
            or not (self.ready or self.gates_ready or self.admission.parked or self.sleeping or self.waiting)
        )
