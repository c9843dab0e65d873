"""What is ready, and what comes next: a pure state machine. Events in, calls out, in batches; no I/O, no clock, no threads.

State:

=========== =====================================================================================================
frames      the open frames by id; a frame that has ended is gone, with everything it held
ready       a stack of (frame, node) whose inputs are there; the last in is the first out, so a recursion goes deep before
            it goes wide and the number of open frames stays small
in_flight   what a worker has, by (frame id, index), with what its expansion will need
admission   what calls in flight have taken of the run's capacity, and who waits for it
tries       how often a call that has not succeeded was begun, by (frame id, index)
sleeping    calls that wait for a moment in time, the first one first
holding     nodes that are done and wait for being committed before anything follows (`commit="each"`)
afresh      cached calls that are to run all the same
ended_frames nodes that are held back and stand for a frame: committed as soon as all events so far are
settled     what may be put into the cache once all events so far are committed
hard_timeouts whether time-outs can be kept (or the caller is content with less)
weighted    whether any call wants another number of processors than one
log         events since the journal last took them, in causal order
outputs     the run's outputs, once the root frame has ended
failure     (path, frame id, index, failure, attempt) of the first failure, after which nothing new starts
stopping    nothing new starts any more
paused      nothing new starts for the time being
=========== =====================================================================================================

Replay feeds the events of a journal through the same functions that made them, so a run resumed is in the state in which it was. Nothing here recurses: frames end in
a loop, however deep they are nested.
"""

from __future__ import annotations

import heapq
from typing import Any, Final, NamedTuple

from executor.admission import PARKED, TOO_WIDE, Admission
from executor.cache_key import Fields, fields_of
from executor.capacity import Capacity, demand_of
from executor.errors import JournalError
from executor.events import DONE as DONE_EVENT
from executor.events import EXPANDED, FAILED, NO_META, OPENED, RETRIED, Event, Meta
from executor.failure import Failure, LastWords
from executor.frame import DONE, OPEN, PENDING, Frame, Repeat, joined, node_identity
from executor.limits import Limits
from executor.recursion import may_expand
from executor.retry import retry_delay
from executor.timeouts import cant_stop, with_timeouts
from executor.topology import Topologies
from planner.plan import PLAN, Plan, Value
from planner.plan_format import FuturesHeader, futures_from_bytes

ROOT_IDENTITY = bytes(16)
_SENT_AGAIN: Final = 2
_RESETTLED: Final = 1_000
"""How many outcomes a replay gives to the cache again: a crash may have come before they were kept there."""

Key = tuple[int, int]
"""Frame id and index."""


class Call(NamedTuple):
    """An instruction: have a worker run this node (or joint) of this frame.

    Attributes:
        attempt: how often its body has been begun, this time too.
        timeout: seconds that the body may take.
        cached: whether an equal call's outcome will do.
        alone: whether it is to run on a fresh worker, beside nothing else, because its last one was lost.
    """

    frame: Frame
    node: int
    attempt: int = 1
    timeout: float | None = None
    cached: bool = False
    alone: bool = False


class FailedNode(NamedTuple):
    """The first failure of a run."""

    path: str
    frame: int
    node: int
    failure: Failure
    attempt: int


class Tries(NamedTuple):
    """How often a call was begun without success: in all, of these by its own failures that were charged to its retries, and because workers were lost."""

    begun: int = 0
    retries: int = 0
    lost: int = 0


class Sleeping(NamedTuple):
    """A call that waits: until when (the run's clock), how long in all, and until when as the calendar has it (seconds since the epoch)."""

    due: float
    number: int
    frame: Frame
    node: int
    delay: float
    calendar: float


class Settled(NamedTuple):
    """An outcome for the cache: what was called, and the value that it gave or the futures file that it emitted."""

    fields: Fields
    path: str
    value: Value | None
    futures: bytes | None
    once: bool


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
        self.sleeping: list[Sleeping] = []
        self.holding: dict[Key, Value | tuple[int, Plan, str, Repeat | None]] = {}
        self.ended_frames: list[Key] = []
        self.afresh: set[Key] = set()
        self.settled: list[Settled] = []
        self.run = run
        self.weighted = False
        self.hard_timeouts = True
        self.topologies = Topologies()
        self.frames: dict[int, Frame] = {}
        self.ready: list[tuple[Frame, int]] = []
        self.in_flight: dict[Key, Repeat | None] = {}
        self.log: list[Event] = []
        self.outputs: tuple[Value, ...] | None = None
        self.failure: FailedNode | None = None
        self.stopping = False
        self.paused = False
        self.next_frame = 0
        self.nodes = 0
        self.done_nodes = 0
        self._slept = 0
        self._replaying = False

    # --- events in ---

    def open_root(self, plan: Plan, inputs: tuple[Value, ...]) -> None:
        """Begin a run."""
        topology = self.topologies.get(plan.shape, 0)
        problem = self.limits.nodes(topology.count, "main")
        if problem is not None:
            self.log.append((FAILED, 0, 0, problem.to_tree(), NO_META))
            self.stopping = True
            self.failure = FailedNode("main", 0, 0, problem, 1)
        self._open(self._new_frame(), None, 0, 0, topology, plan.literals, inputs, ROOT_IDENTITY, "main", None, None)

    def done(self, frame_id: int, index: int, value: Value, meta: Meta = NO_META) -> None:
        """A node has its value. What is done already, or belongs to no open frame, is ignored."""
        frame = self._pending(frame_id, index)
        if frame is None:
            return
        self.log.append((DONE_EVENT, frame_id, index, value, meta))
        if frame.topology.code.commits_each and not self._replaying and frame.topology.commits_each(index):
            self.holding[frame_id, index] = value
            return
        self._complete(frame, index, value, meta[3] > 0)

    def expanded(self, frame_id: int, index: int, data: bytes, meta: Meta = NO_META, child: int | None = None) -> FuturesHeader | None:
        """A dynamic emitted a futures file, which is spliced in as a frame. Gives its header; None if it did not count."""
        repeat = self.in_flight.get((frame_id, index))
        frame = self._pending(frame_id, index)
        if frame is None:
            return None
        plan, header = futures_from_bytes(data)
        path = joined(frame.path, frame.topology.name(index))
        problem = self.limits.futures_bytes(len(data), path) or self.limits.nodes(self.nodes + len(plan.graph), path)
        if not self.hard_timeouts and (limited := with_timeouts(plan.shape)):
            problem = problem or Failure.of_executor("EngineError", cant_stop(limited, "of this run"))
        if problem is not None and child is None:
            self._fail(frame, index, problem, meta)
            return None
        id = self._new_frame()
        if child is not None and child != id:
            raise JournalError(f"frame {child}", f"is opened where frame {id} was expected")
        self.log.append((EXPANDED, frame_id, index, id, data, meta))
        if meta[3] > 0 and frame.topology.is_cached(index):
            self._settle(frame, index, None, data)
        if not self._replaying and frame.topology.commits_each(index):
            self.holding[frame_id, index] = (id, plan, path, repeat)
            return header
        self._splice(id, frame, index, plan, path, repeat)
        return header

    def committed(self, frame_id: int, index: int) -> None:
        """A node that was held back is stored for good: what follows may start."""
        held = self.holding.pop((frame_id, index), None)
        frame = self.frames.get(frame_id)
        if held is None or frame is None:
            return
        if isinstance(held, tuple):
            id, plan, path, repeat = held
            self._splice(id, frame, index, plan, path, repeat)
        else:
            self._complete(frame, index, held, True)

    def failed(self, frame_id: int, index: int, failure: Failure, meta: Meta = NO_META, now: float = 0.0, calendar: float = 0.0) -> None:
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
            delay = retry_delay(policy, failure, tries.retries, self.run + node_identity(frame.identity, index))
        if delay is None:
            self._fail(frame, index, failure if policy is None else failure.without_budget(policy.retries), meta)
            return
        self.log.append((RETRIED, frame_id, index, failure.to_tree(), meta, delay, calendar + delay))
        self.tries[key] = Tries(tries.begun + 1, tries.retries + 1, tries.lost)
        self._sleep(frame, index, now + delay, delay, calendar + delay)

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
        path = joined(frame.path, frame.topology.name(index))
        self._fail(frame, index, Failure.of_lost_worker(path, lost + 1, last_words), meta)

    def _pending(self, frame_id: int, index: int, keep_tries: bool = False) -> Frame | None:
        """The frame of a call that has come back, if it still waits for an outcome. It is in flight no more."""
        key = (frame_id, index)
        self.in_flight.pop(key, None)
        if self.admission.held:
            self.admission.release(key)
        frame = self.frames.get(frame_id)
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
            self._sleep(frame, index, now + delay, delay, 0.0)

    def _sleep(self, frame: Frame, index: int, due: float, delay: float, calendar: float) -> None:
        self._slept += 1
        heapq.heappush(self.sleeping, Sleeping(due, self._slept, frame, index, delay, calendar))

    def wake(self, now: float) -> None:
        """What has slept long enough is ready."""
        while self.sleeping and self.sleeping[0].due <= now:
            one = heapq.heappop(self.sleeping)
            self.ready.append((one.frame, one.node))

    @property
    def next_due(self) -> float | None:
        """When the first of what sleeps is to be woken."""
        return self.sleeping[0].due if self.sleeping else None

    def stop(self) -> None:
        """Start nothing new; what runs may finish."""
        self.stopping = True

    # --- instructions out ---

    def take(self, count: int) -> list[Call]:
        """Calls to run now, of at most `count` processors. Nested plans that come up are opened on the way, limits are checked."""
        calls: list[Call] = []
        too_wide: list[tuple[Frame, int]] = []
        if self.paused:
            return calls
        if self.admission.parked:
            self.ready += self.admission.unpark()
        weighted = self.weighted
        while self.ready and count > 0 and not self.stopping and self.weighted is weighted:
            frame, index = self.ready.pop()
            if frame.state(index) != PENDING or (frame.id, index) in self.in_flight:
                continue  # done in the journal that was replayed
            topology = frame.topology
            if index < topology.count and topology.graph.kinds[index] == PLAN:
                self._open_nested(frame, index)
                continue
            repeat = frame.repeat
            if topology.is_dynamic(index):
                problem, repeat = may_expand(self.limits, frame, index)
                if problem is not None:
                    self._fail(frame, index, problem, NO_META)
                    continue
            key = (frame.id, index)
            tries = self.tries.get(key) if self.tries else None
            attempt, alone = (1, False) if tries is None else (tries.begun + 1, tries.lost > 0)
            if not topology.is_governed(index):
                self.in_flight[key] = repeat
                calls.append(Call(frame, index, attempt, None, False, alone))
                count -= 1
                continue
            policy = topology.policy(index)
            demand = demand_of(policy)
            impossible = self.admission.capacity.never(demand)
            if impossible is not None:
                self._fail(frame, index, _never(joined(frame.path, topology.name(index)), impossible), NO_META)
                continue
            weight = self.admission.admit(frame, index, demand, count)
            if weight == TOO_WIDE:
                too_wide.append((frame, index))
                if not self.admission.is_patient(len(too_wide)):
                    break
            elif weight != PARKED:
                self.in_flight[key] = repeat
                calls.append(Call(frame, index, attempt, policy.timeout, policy.cache and key not in self.afresh, alone))
                count -= weight
        if too_wide:
            self.admission.overtaken += len(calls)
            self.ready += reversed(too_wide)
        return calls

    @property
    def places_in_use(self) -> int:
        """How many processors the calls in flight take."""
        return len(self.in_flight) + self.admission.more_than_plain

    @property
    def lost_calls(self) -> int:
        """How many calls are sent again because their worker was lost."""
        return sum(1 for tries in list(self.tries.values()) if tries.lost) if self.tries else 0

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do, or nothing may be done any more."""
        if self.outputs is not None:
            return True
        if self.in_flight or self.holding:
            return False
        return self.stopping or not (self.ready or self.admission.parked or self.sleeping)

    # --- frames ---

    def _new_frame(self) -> int:
        self.next_frame += 1
        return self.next_frame - 1

    def _open(
        self,
        id: int,
        parent: Frame | None,
        slot: int,
        depth: int,
        topology: Any,
        literals: tuple[Value, ...],
        inputs: tuple[Value, ...],
        identity: bytes,
        path: str,
        repeat: Repeat | None,
        nesting: dict[str, int] | None,
    ) -> None:
        self.weighted = self.weighted or topology.code.weighted
        frame = Frame(id, parent, slot, depth, topology, literals, inputs, identity, path, repeat, nesting)
        self.nodes += topology.count
        if frame.remaining == 0:
            self._end(frame)
            return
        self.frames[frame.id] = frame
        self.ready += [(frame, index) for index in topology.first]

    def _open_nested(self, frame: Frame, index: int) -> None:
        topology = frame.topology
        nested = self.topologies.get(topology.shape, topology.graph.targets[index], topology.code)
        path = joined(frame.path, topology.name(index))
        problem = self.limits.nodes(self.nodes + nested.count, path)
        if problem is not None and not self._replaying:
            self._fail(frame, index, problem, NO_META)
            return
        bindings = topology.plan_inputs[index]
        inputs = []
        for binding, parameter in zip(bindings, nested.graph.inputs, strict=True):
            value = parameter.default if binding is None else frame.value(binding)
            assert value is not None, "verified plans bind what has no default"
            inputs.append(value)
        frame.set_state(index, OPEN)
        id = self._new_frame()
        self.log.append((OPENED, frame.id, index, id))
        identity = node_identity(frame.identity, index)
        self._open(id, frame, index, frame.depth, nested, frame.literals, tuple(inputs), identity, path, frame.repeat, frame.nesting)

    def _splice(self, id: int, frame: Frame, index: int, plan: Plan, path: str, repeat: Repeat | None) -> None:
        """Open the frame of an expansion. A tail call takes the place of the frame that made it, which ends (rule D4)."""
        topology = frame.topology
        callee = topology.callee(index)
        nesting = frame.nesting
        if callee.policy.max_depth is not None:
            nesting = {**(nesting or {}), callee.name: (nesting or {}).get(callee.name, 0) + 1}
        child = self.topologies.get(plan.shape, 0)
        inputs = self._arguments(frame, index) if child.takes_inputs else ()
        identity = node_identity(frame.identity, index)
        parent, slot = frame, index
        if frame.remaining == 1 and frame.parent is not None and topology.outputs == [index] and not topology.keeps_its_place(index):
            del self.frames[frame.id]
            frame.set_state(index, DONE)
            self.done_nodes += 1
            parent, slot = frame.parent, frame.slot
        else:
            frame.set_state(index, OPEN)
        self._open(id, parent, slot, frame.depth + 1, child, plan.literals, inputs, identity, path, repeat, nesting)

    def _arguments(self, frame: Frame, index: int) -> tuple[Value, ...]:
        """The values of a dynamic's parameters, for what its body passed on by reference.

        An argument that had to be built is not at hand as a value; tracing never refers to one (it wasn't given its bytes).
        """
        topology = frame.topology
        parameters = topology.callee(index).interface.parameters
        values: list[Value] = []
        for binding, parameter in zip(topology.graph.bindings_of(index), parameters, strict=True):
            if binding is None:
                assert parameter.default is not None
                values.append(parameter.default)
            elif topology.fits(binding, parameter.type):
                values.append(frame.value(binding))
            else:
                values.append(b"")
        return tuple(values)

    def _complete(self, frame: Frame, index: int, value: Value, fresh: bool) -> None:
        """A node's value is there: wake who waited for it, drop what nobody needs, end what has ended. `fresh`: a body made it, not the cache."""
        while True:
            topology, cells = frame.topology, frame.cells
            if topology.code.caches and fresh and topology.is_cached(index):
                self._settle(frame, index, value, None)
            size = topology.size
            cells[2 * size + index] = DONE
            frame.remaining -= 1
            if index < topology.count:
                self.done_nodes += 1
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
            offsets = topology.successor_offsets
            for position in range(offsets[index + 1] - 1, offsets[index] - 1, -1):
                follower = topology.successor_list[position]
                cells[follower] -= 1
                if cells[follower] == 0:
                    self.ready.append((frame, follower))
            if frame.remaining:
                return
            self.frames.pop(frame.id, None)
            ended = self._outputs_of(frame)
            if frame.parent is None:
                self.outputs = ended
                return
            frame, index, value, fresh = frame.parent, frame.slot, ended[0], True
            if frame.topology.code.commits_each and not self._replaying and frame.topology.commits_each(index):
                self.holding[frame.id, index] = value  # no event says that it is done: it is committed with all that came before
                self.ended_frames.append((frame.id, index))
                return

    def _settle(self, frame: Frame, index: int, value: Value | None, futures: bytes | None) -> None:
        topology = frame.topology
        path, once = joined(frame.path, topology.name(index)), topology.policy(index).cache_serialize
        self.settled.append(Settled(fields_of(frame, index), path, value, futures, once))

    def _end(self, frame: Frame) -> None:
        """A frame without nodes ends at once."""
        outputs = self._outputs_of(frame)
        if frame.parent is None:
            self.outputs = outputs
        elif not self._replaying and frame.parent.topology.commits_each(frame.slot):
            self.holding[frame.parent.id, frame.slot] = outputs[0]
            self.ended_frames.append((frame.parent.id, frame.slot))
        else:
            self._complete(frame.parent, frame.slot, outputs[0], True)

    def _outputs_of(self, frame: Frame) -> tuple[Value, ...]:
        return tuple([frame.value(binding) for binding in frame.topology.outputs]) or (b"\xc0",)

    def _fail(self, frame: Frame, index: int, failure: Failure, meta: Meta) -> None:
        self.log.append((FAILED, frame.id, index, failure.to_tree(), meta))
        self._note_failed(frame.id, index, meta)
        self.stopping = True
        if self.failure is None:
            path = joined(frame.path, frame.topology.name(index))
            self.failure = FailedNode(path, frame.id, index, failure, meta[3])

    def _note_failed(self, frame: int, index: int, meta: Meta) -> None:
        """After a failure for good a resume begins with a whole budget, and counts on."""
        self.tries.pop((frame, index), None)
        if meta[2]:  # a worker began it
            self.tries[frame, index] = Tries(meta[3])

    # --- replay ---

    def replay(self, event: Event) -> None:
        """Take an event of the journal as if it happened now. Failures for good are forgotten: what failed is tried again, with its whole budget."""
        self._replaying = True
        kind = event[0]
        if kind == DONE_EVENT:
            self.done(event[1], event[2], event[3], event[4])
        elif kind == EXPANDED:
            frame = self.frames.get(event[1])
            if frame is not None:
                _, repeat = may_expand(self.limits, frame, event[2])
                self.in_flight[frame.id, event[2]] = repeat
            self.expanded(event[1], event[2], event[4], event[5], child=event[3])
        elif kind == OPENED:
            frame = self.frames.get(event[1])
            if frame is not None and frame.state(event[2]) == PENDING:
                self._open_nested(frame, event[2])
        elif kind == RETRIED:
            self._replay_retry(event)
        elif kind == FAILED and event[1] in self.frames:
            self._note_failed(event[1], event[2], event[4])
            self.sleeping = [one for one in self.sleeping if (one.frame.id, one.node) != (event[1], event[2])]
        self.log.clear()
        if len(self.settled) > 2 * _RESETTLED:
            del self.settled[:_RESETTLED]  # these were kept long ago
        self._replaying = False

    def _replay_retry(self, event: Event) -> None:
        _, id, index, _, meta, delay, calendar = event
        frame = self.frames.get(id)
        if frame is None or frame.state(index) != PENDING:
            return
        retries = self.tries.get((id, index), Tries()).retries + 1
        self.tries[id, index] = Tries(meta[3], retries)
        self.sleeping = [one for one in self.sleeping if (one.frame.id, one.node) != (id, index)]
        self.sleeping.append(Sleeping(0.0, len(self.sleeping), frame, index, delay, calendar))

    def replayed(self, now: float = 0.0, calendar: float = 0.0) -> None:
        """After the last event of a replay: what is ready is what is not done and does not sleep."""
        asleep = [one for one in self.sleeping if one.frame.state(one.node) == PENDING and one.frame.id in self.frames]
        self.sleeping = []
        for one in asleep:  # never longer than it would have been at first, whatever became of the calendar
            self._sleep(one.frame, one.node, now + max(0.0, min(one.delay, one.calendar - calendar)), one.delay, one.calendar)
        sleepers = {(one.frame.id, one.node) for one in asleep}
        self.ready = [
            (frame, index)
            for frame, index in self.ready
            if frame.state(index) == PENDING and frame.id in self.frames and (frame.id, index) not in sleepers
        ]


def _never(path: str, impossible: str) -> Failure:
    return Failure.of_executor(
        "ResourcesUnavailable",
        f"{path} asks for {impossible}. Ask for less, or say what there is: run(resources=Resources(…), pools={{…}}), --memory, --gpu, --pool",
    )
