"""What is ready, and what comes next: a pure state machine. Events in, calls out, in batches; no I/O, no clock, no threads.

State:

=========== =====================================================================================================
frames      the open frames by id; a frame that has ended is gone, with everything it held
ready       a stack of (frame, node) whose inputs are there; the last in is the first out, so a recursion goes deep before
            it goes wide and the number of open frames stays small
gates_ready gates whose inputs are there: they begin though no worker has room
in_flight   what a worker has, by (frame id, index), with what its expansion will need
admission   what calls in flight have taken of the run's capacity, and who waits for it
tries       how often a call that has not succeeded was begun, by (frame id, index)
loops       which iteration a call is in, and what the one before gave it, by (frame id, index)
maps        the maps under way, by (frame id, index)
waiting     the gates under way, by (frame id, index)
channel     the run's key-value store
sleeping    calls and gates that wait for a moment in time, the first one first
holding     what follows nodes that are done and wait for being committed (`commit="each"`)
afresh      cached calls that are to run all the same
ended_frames nodes that are held back and stand for a frame: committed as soon as all events so far are
settled     what may be put into the cache once all events so far are committed
hard_timeouts whether time-outs can be kept (or the caller is content with less)
weighted    whether any call wants another number of processors than one
log         events since the journal last took them, in causal order
outputs     the run's outputs, once the root frame has ended; None for one that was skipped
failing     frames that fail and have not ended
busy        while frames fail: how much of each frame runs still, by frame id (its own calls, and frames right below it of which something runs or that fail)
unsettled   frames that fail and may have come a step further since they were looked at, by -id: what is inside comes before what is around it
cleaning    nodes that may run although their frame fails, and had not ended when last looked at, by frame id
handlers    what runs on the failure of frames that fail, as far as it has begun
ending      what has ended otherwise than well and is being worked off (`is_ending`)
has_dropped whether frames were dropped, so that what is ready may belong to none any more
failure     the first failure that nothing handles
dead        whether the root frame has ended badly
terminated  reason and outputs, once a task has ended the run well
cancelled   path and reason, once a task has cancelled the run
stopping    nothing new starts any more
paused      nothing new starts for the time being
=========== =====================================================================================================

What calls are is in `promissory.executor.scheduler.calls`; how frames of nested plans are opened is in `promissory.executor.scheduler.expansion`, how nodes end badly in `promissory.executor.scheduler.propagation`, what becomes of frames that fail in `promissory.executor.scheduler.frame_failure`, maps are in `promissory.executor.scheduler.maps`, gates in `promissory.executor.scheduler.gates`, what a task asks of its run in `promissory.executor.scheduler.requests`, what starts next in `promissory.executor.scheduler.dispatch`, and how a journal brings a
state back in `promissory.executor.scheduler.replay`. Nothing here recurses: frames end in a loop, however deep they are nested.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol.events import (
    CHOSEN,
    EXPANDED,
    FAILED,
    LOOPED,
    NO_META,
    RETRIED,
    SKIPPED,
    STOPPED_BY,
    Event,
    Meta,
)
from promissory.executor.protocol.events import DONE as DONE_EVENT
from promissory.executor.protocol.failure import Failure, LastWords
from promissory.executor.protocol.limits import Limits
from promissory.executor.scheduler import dispatch as starting
from promissory.executor.scheduler import expansion as opening
from promissory.executor.scheduler import frame_failure as failing
from promissory.executor.scheduler import gates
from promissory.executor.scheduler import maps as mapped
from promissory.executor.scheduler import propagation as endings
from promissory.executor.scheduler import requests as control
from promissory.executor.scheduler.admission import Admission
from promissory.executor.scheduler.cache_key import fields_of
from promissory.executor.scheduler.calls import Call, Key, Settled, Sleeping, Tries
from promissory.executor.scheduler.capacity import Capacity
from promissory.executor.scheduler.frame import CANCELLED as CANCELLED_STATE
from promissory.executor.scheduler.frame import DONE, PENDING, FailedNode, Frame, Repeat
from promissory.executor.scheduler.frame import SKIPPED as SKIPPED_STATE
from promissory.executor.scheduler.retry import retry_delay
from promissory.executor.scheduler.timeouts import cant_stop, with_timeouts
from promissory.executor.scheduler.topology import Topologies
from promissory.planner.plan.format import FuturesHeader, futures_from_bytes
from promissory.planner.plan.model import GATE, Plan, Value
from promissory.planner.plan.specs import Branch

ROOT_IDENTITY = bytes(16)
NOTHING: Final = b"\xc0"
"""The value None."""
_SENT_AGAIN: Final = 2


class Scheduler:
    """The state of one run. See the table at the top of the file.

    Args:
        limits: depth, nodes, bytes.
        capacity: what bodies that run at one time may use together.
        run: tells this run's retries from another's, where they are to come at different moments.
    """

    def __init__(self, limits: Limits, capacity: Capacity | None = None, run: bytes = b"") -> None:
        self.limits = limits
        self.admission = Admission(capacity)
        self.tries: dict[Key, Tries] = {}
        self.loops: dict[Key, tuple[int, Value]] = {}
        self.maps: dict[Key, mapped.Mapping] = {}
        self.waiting: dict[Key, gates.Waiting] = {}
        self.channel: dict[str, bytes] = {}
        self.sleeping: list[Sleeping] = []
        self.holding: dict[Key, Callable[[], None]] = {}
        self.ended_frames: list[Key] = []
        self.afresh: set[Key] = set()
        self.settled: list[Settled] = []
        self.run = run
        self.weighted = False
        self.hard_timeouts = True
        self.topologies = Topologies()
        self.frames: dict[int, Frame] = {}
        self.ready: list[tuple[Frame, int]] = []
        self.gates_ready: list[tuple[Frame, int]] = []
        self.in_flight: dict[Key, Repeat | None] = {}
        self.log: list[Event] = []
        self.outputs: tuple[Value | None, ...] | None = None
        self.failing: dict[int, Frame] = {}
        self.busy: dict[int, int] = {}
        self.unsettled: list[int] = []
        self.cleaning: dict[int, list[int]] = {}
        self.handlers: set[Key] = set()
        self.ending: deque[tuple[Frame, int, int, FailedNode | None]] = deque()
        self.is_ending = False
        self.has_dropped = False
        self.failure: FailedNode | None = None
        self.dead = False
        self.terminated: tuple[str, Any] | None = None
        self.cancelled: tuple[str, str] | None = None
        self.stopping = False
        self.paused = False
        self.next_frame = 0
        self.nodes = 0
        self.done_nodes = 0
        self.replaying = False
        self._root_is_checked = False
        self._slept = 0

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
        """A node has its value. What is done already, or belongs to no open frame, is ignored."""
        frame = self._pending(frame_id, index)
        if frame is None:
            return
        self.log.append((DONE_EVENT, frame_id, index, value, meta))
        if frame.topology.code.commits_each and not self.replaying and frame.topology.commits_each(index):
            self.hold_back(frame, index, partial(self.complete, frame, index, value, True))
            return
        self.complete(frame, index, value, meta[3] > 0)

    def looped(self, frame_id: int, index: int, payload: Value, meta: Meta = NO_META) -> None:
        """A body asks to be run again with what it gives (rule S1)."""
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
        """A body has ended with an outcome ("value", "futures", "loop") and asked its run for more (rules S4, S5, S7): both count, or neither. `at`: the author's line."""
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
            self.complete(frame, index, gates.none_of(spec.result), True)
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
        """A dynamic emitted a futures file, which is spliced in as a frame. Gives its header; None if it did not count.

        Args:
            loops: whether it is one iteration: what the frame gives is the payload of the next.
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
            self._settle(frame, index, None, data)
        self.hold(frame, index, partial(opening.splice, self, id, frame, index, plan, header, repeat, loops))
        return header

    def may_splice(self, plan: Plan, data: bytes, path: str) -> Failure | None:
        """Why what a node emitted can't run, if it can't."""
        problem = self.limits.futures_bytes(len(data), path) or self.limits.nodes(self.nodes + len(plan.graph), path)
        if not self.hard_timeouts and (limited := with_timeouts(plan.shape)):
            problem = problem or Failure.of_executor("EngineError", cant_stop(limited, "of this run"))
        return problem

    def hold(self, frame: Frame, index: int, follows: Callable[[], None]) -> None:
        """Go on with what follows a node: when it is committed, if it says so, else at once."""
        if frame.topology.code.commits_each and not self.replaying and frame.topology.commits_each(index):
            self.hold_back(frame, index, follows)
        else:
            follows()

    def hold_back(self, frame: Frame, index: int, follows: Callable[[], None]) -> None:
        """Go on with what follows a node when it is committed."""
        self.holding[frame.id, index] = follows
        if self.failing:
            failing.begins_to_run(self, frame)

    def committed(self, frame_id: int, index: int) -> None:
        """A node that was held back is stored for good: what follows may start."""
        follows = self.holding.pop((frame_id, index), None)
        if follows is not None and frame_id in self.frames:
            if self.failing:
                failing.runs_no_more(self, self.frames[frame_id])
            follows()

    def failed(
        self, frame_id: int, index: int, failure: Failure, meta: Meta = NO_META, now: float = 0.0, calendar: float = 0.0
    ) -> None:
        """An attempt failed: another one follows, or the node has failed for good.

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
        """The worker ended while it ran this call, which says nothing of the call: it is sent again, alone, at most twice (rule R5)."""
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
        """The frame of a call that has come back, if it still waits for an outcome. It is in flight no more."""
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
        """A call waits for an equal one; `returned` brings it back."""
        self._pending(frame_id, index, keep_tries=True)

    def postponed(self, frame_id: int, index: int, now: float, delay: float) -> None:
        """A call is to be looked at again after a while, since somebody else is at work on an equal one."""
        frame = self._pending(frame_id, index, keep_tries=True)
        if frame is not None:
            self.sleep(frame, index, now + delay, delay, 0.0)

    def sleep(self, frame: Frame, index: int, due: float, delay: float, calendar: float) -> None:
        """Have a call or gate wait for a moment."""
        self._slept += 1
        heapq.heappush(self.sleeping, Sleeping(due, self._slept, frame, index, delay, calendar))

    def wake(self, now: float) -> None:
        """What has slept long enough is ready."""
        while self.sleeping and self.sleeping[0].due <= now:
            one = heapq.heappop(self.sleeping)
            if (one.frame.id, one.node) in self.waiting:
                gates.due(self, one.frame, one.node)
            else:
                self.ready.append((one.frame, one.node))

    @property
    def next_due(self) -> float | None:
        """When the first of what sleeps is to be woken."""
        return self.sleeping[0].due if self.sleeping else None

    def stop(self) -> None:
        """Start nothing new; what runs may finish."""
        self.stopping = True

    def iteration(self, frame_id: int, index: int) -> int:
        """Which iteration a call is in, from 0."""
        return self.loops[frame_id, index][0] if self.loops and (frame_id, index) in self.loops else 0

    # --- instructions out ---

    def take(self, count: int, now: float = 0.0, calendar: float = 0.0) -> list[Call]:
        """Calls to run now, of at most `count` processors. What needs no worker (nested plans, gates, items of maps) is opened on the way, limits are checked.

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
        """How many processors the calls in flight take."""
        return len(self.in_flight) + self.admission.more_than_plain

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do, or nothing may be done any more."""
        if self.outputs is not None:
            return True
        if self.in_flight or self.holding:
            return False
        return (
            self.dead
            or self.stopping
            or not (self.ready or self.gates_ready or self.admission.parked or self.sleeping or self.waiting)
        )

    # --- frames ---

    def new_frame(self, expected: int | None = None) -> int:
        """The number of the next frame. Raises `DoesNotFit` if a journal says another."""
        self.next_frame += 1
        id = self.next_frame - 1
        if expected is not None and expected != id:
            raise DoesNotFit(f"frame {expected} is opened where frame {id} was expected")
        return id

    def open(self, frame: Frame) -> None:
        """A frame begins."""
        topology = frame.topology
        self.weighted = self.weighted or topology.code.weighted
        if frame.parent is not None and (
            frame.parent.exempt
            or (frame.parent.topology.unusual and endings.handles(frame.parent.topology, frame.slot))
        ):
            frame.exempt = True
        if frame.part is None and not frame.loop:
            self.nodes += topology.count
        if topology.dormant:
            frame.mixed = True
        self.add_frame(frame)
        if frame.remaining == 0:
            self.leave(frame)
            return
        if topology.standby:
            endings.release_standby(self, frame)
        if frame.part is not None:
            mapped.begin_items(self, frame)
        elif topology.has_gates:
            self.make_ready(frame, topology.first)
        else:
            self.ready += [(frame, index) for index in topology.first]

    def add_frame(self, frame: Frame) -> None:
        """A frame is open."""
        self.frames[frame.id] = frame
        frame.attach()
        frame.frozen = frame.parent is not None and frame.parent.frozen

    def remove_frame(self, frame: Frame) -> None:
        """A frame is open no more."""
        if self.frames.pop(frame.id, None) is not None:
            if self.failing:
                failing.leaves(self, frame)
            frame.detach()

    def begin_call(self, frame: Frame, index: int, repeat: Repeat | None) -> None:
        """A call is given to a worker."""
        self.in_flight[frame.id, index] = repeat
        if self.failing:
            failing.begins_to_run(self, frame)

    def make_ready(self, frame: Frame, indices: Iterable[int]) -> None:
        """These nodes wait for nothing any more; the last one is to be the first."""
        for index in indices:
            if frame.topology.kind(index) == GATE:
                self.gates_ready.append((frame, index))
            else:
                self.ready.append((frame, index))

    def iterate(self, frame: Frame, index: int, payload: Value) -> None:
        """A call begins its next iteration."""
        self.tries.pop((frame.id, index), None)
        self.loops[frame.id, index] = (self.iteration(frame.id, index) + 1, payload)
        frame.set_state(index, PENDING)
        self.ready.append((frame, index))

    def complete(self, frame: Frame, index: int, value: Value, fresh: bool) -> None:
        """A node's value is there: wake who waited for it, drop what nobody needs, end what has ended. `fresh`: a body made it, not the cache."""
        while True:
            topology, cells = frame.topology, frame.cells
            if topology.code.caches and fresh and topology.is_cached(index):
                self._settle(frame, index, value, None)
            size = topology.size
            cells[2 * size + index] = DONE
            if not topology.dormant or frame.counts(index):
                frame.remaining -= 1
                frame.going -= 1
            if index < topology.count and frame.part is None and not frame.loop:
                self.done_nodes += 1
            if self.loops:
                self.loops.pop((frame.id, index), None)
            if self.maps:
                self.maps.pop((frame.id, index), None)
            if cells[size + index]:
                if frame.values is None:
                    frame.values = {}
                frame.values[index] = value
            offsets, values = topology.take_offsets, frame.values
            for position in range(offsets[index], offsets[index + 1]):
                taken = topology.take_list[position]
                cells[size + taken] -= 1
                if cells[size + taken] == 0 and values is not None:
                    values.pop(taken, None)
            if frame.mixed or topology.unusual:
                if frame.failing is not None:
                    failing.look_at(self, frame)
                endings.release(self, frame, index)
            else:
                offsets = topology.successor_offsets
                for position in range(offsets[index + 1] - 1, offsets[index] - 1, -1):
                    follower = topology.successor_list[position]
                    cells[follower] -= 1
                    if cells[follower] == 0:
                        if frame.part is None:
                            self.ready.append((frame, follower))
                        else:
                            mapped.item_is_ready(self, frame, follower)
            if frame.part is not None and index < topology.count:
                mapped.item_ended(self, frame, index)
            if frame.remaining:
                if topology.standby:
                    endings.release_standby(self, frame)
                if frame.remaining:
                    return
            if frame.id not in self.frames:
                return  # what the last node brought about has ended it
            ended = self._leave(frame)
            if ended is None:
                return
            frame, index, value, fresh = ended
            if frame.topology.code.commits_each and not self.replaying and frame.topology.commits_each(index):
                # no event says that it is done: it is committed with all that came before
                self.hold_back(frame, index, partial(self.complete, frame, index, value, True))
                self.ended_frames.append((frame.id, index))
                return

    def leave(self, frame: Frame) -> None:
        """All nodes of a frame have ended."""
        ended = self._leave(frame)
        if ended is not None:
            self.complete(*ended)

    def _leave(self, frame: Frame) -> tuple[Frame, int, Value, bool] | None:
        """All nodes of a frame have ended. Gives the node above it that is done now, and its value; None if nothing is."""
        if frame.failing is not None:
            return None  # `failing.settle` brings it to its end
        self.remove_frame(frame)
        for index in frame.topology.standby:
            if frame.state(index) == PENDING:
                frame.set_state(index, SKIPPED_STATE)  # nothing sent the run there
        values = [
            frame.value(binding) if endings.is_there(frame, binding) else None for binding in frame.topology.outputs
        ]
        if frame.parent is None:
            self.outputs = tuple(values) or (NOTHING,)
            return None
        value = values[0] if values else NOTHING
        if frame.part is not None:
            assert value is not None
            return mapped.chunk_done(self, frame, value)
        if value is None:
            endings.end(self, frame.parent, frame.slot, SKIPPED_STATE)
            return None
        if frame.loop:
            parent, slot = frame.parent, frame.slot
            parent.set_state(slot, PENDING)
            self.iterate(parent, slot, value)
            return None
        return frame.parent, frame.slot, value, not frame.signalled

    def _settle(self, frame: Frame, index: int, value: Value | None, futures: bytes | None) -> None:
        topology = frame.topology
        loop = self.loops.get((frame.id, index)) if futures is not None else None
        self.settled.append(
            Settled(
                fields_of(frame, index, loop),
                frame.path_of(index),
                value,
                futures,
                topology.policy(index).cache_serialize,
            )
        )

    def note_failed(self, key: Key, meta: Meta) -> None:
        """After a failure for good a resume begins with a whole budget, and counts on."""
        self.tries.pop(key, None)
        if meta[2]:  # a worker began it
            self.tries[key] = Tries(meta[3])

    def fail(self, frame: Frame, index: int, failure: Failure, meta: Meta) -> None:
        """A node has failed for good."""
        self.log.append((FAILED, frame.id, index, failure.to_tree(), meta))
        self.hold(frame, index, partial(endings.fail, self, frame, index, failure, meta))
