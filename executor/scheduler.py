"""What is ready, and what comes next: a pure state machine. Events in, calls out, in batches; no I/O, no clock, no threads.

State:

=========== =====================================================================================================
frames      the open frames by id; a frame that has ended is gone, with everything it held
ready       a stack of (frame, node) whose inputs are there; the last in is the first out, so a recursion goes deep before
            it goes wide and the number of open frames stays small
in_flight   what a worker has, by (frame id, index), with what its expansion will need
held        what calls in flight have taken of the run's capacity, by (frame id, index), where that is more than a plain call's
parked      calls that are ready and wait for capacity, by what they want
losses      how often a worker was lost while it ran a call, by (frame id, index); such a call runs alone
overtaken   how many calls went before one that waits for several processors; after a few, none does any more
hard_timeouts whether time-outs can be kept (or the caller is content with less)
weighted    whether any call wants another number of processors than one
log         events since the journal last took them, in causal order
outputs     the run's outputs, once the root frame has ended
failure     (path, frame id, index, failure, attempt) of the first failure, after which nothing new starts
=========== =====================================================================================================

Replay feeds the events of a journal through the same functions that made them, so a run resumed is in the state in which it was. Nothing here recurses: frames end in
a loop, however deep they are nested.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from executor.capacity import PLAIN, Capacity, Demand, demand_of
from executor.errors import JournalError
from executor.events import DONE as DONE_EVENT
from executor.events import EXPANDED, FAILED, NO_META, OPENED, Event, Meta
from executor.failure import Failure, LastWords
from executor.frame import DONE, OPEN, PENDING, Frame, Repeat, joined, node_identity
from executor.limits import Limits
from executor.timeouts import cant_stop, with_timeouts
from executor.topology import Topologies
from planner.plan import NODE, PLAN, Plan, Value, leaves
from planner.plan_format import FuturesHeader, futures_from_bytes
from typesys.canonical import pack

ROOT_IDENTITY = bytes(16)
_SENT_AGAIN: Final = 2
_OVERTAKEN: Final = 64
_ASIDE: Final = 16


class Call(NamedTuple):
    """An instruction: have a worker run this node (or joint) of this frame.

    Attributes:
        attempt: how often its body has been begun, this time too.
        timeout: seconds that the body may take.
    """

    frame: Frame
    node: int
    attempt: int = 1
    timeout: float | None = None


class FailedNode(NamedTuple):
    """The first failure of a run."""

    path: str
    frame: int
    node: int
    failure: Failure
    attempt: int


class Scheduler:
    """The state of one run. See the table at the top of the file.

    Args:
        limits: depth, nodes, bytes.
        capacity: what bodies that run at one time may use together.
    """

    def __init__(self, limits: Limits, capacity: Capacity | None = None) -> None:
        self.limits = limits
        self.capacity = capacity or Capacity(1 << 30, 1 << 62, 1 << 30)
        self.held: dict[tuple[int, int], Demand] = {}
        self.parked: dict[Demand, deque[tuple[Frame, int]]] = {}
        self.losses: dict[tuple[int, int], int] = {}
        self.weighted = False
        self.overtaken = 0
        self.hard_timeouts = True
        self.topologies = Topologies()
        self.frames: dict[int, Frame] = {}
        self.ready: list[tuple[Frame, int]] = []
        self.in_flight: dict[tuple[int, int], Repeat | None] = {}
        self.log: list[Event] = []
        self.outputs: tuple[Value, ...] | None = None
        self.failure: FailedNode | None = None
        self.stopping = False
        self.next_frame = 0
        self.nodes = 0
        self.done_nodes = 0

    # --- events in ---

    def open_root(self, plan: Plan, inputs: tuple[Value, ...]) -> None:
        """Begin a run."""
        topology = self.topologies.get(plan.shape, 0)
        problem = self.limits.nodes(topology.count, "main")
        if problem is not None:
            self.log.append((FAILED, 0, 0, problem.to_tree(), NO_META))
            self.stopping = True
            self.failure = FailedNode("main", 0, 0, problem, 1)
        self._open(None, 0, 0, topology, plan.literals, inputs, ROOT_IDENTITY, "main", None, None)

    def done(self, frame_id: int, index: int, value: Value, meta: Meta = NO_META) -> None:
        """A node has its value. What is done already, or belongs to no open frame, is ignored."""
        frame = self.frames.get(frame_id)
        self._landed((frame_id, index))
        if frame is None or frame.state(index) != PENDING:
            return
        self.log.append((DONE_EVENT, frame_id, index, value, meta))
        self._complete(frame, index, value)

    def expanded(self, frame_id: int, index: int, data: bytes, meta: Meta = NO_META, child: int | None = None) -> FuturesHeader | None:
        """A dynamic emitted a futures file, which is spliced in as a frame. Gives its header; None if it did not count."""
        frame = self.frames.get(frame_id)
        repeat = self._landed((frame_id, index))
        if frame is None or frame.state(index) != PENDING:
            return None
        plan, header = futures_from_bytes(data)
        path = joined(frame.path, frame.topology.name(index))
        problem = self.limits.futures_bytes(len(data), path) or self.limits.nodes(self.nodes + len(plan.graph), path)
        if not self.hard_timeouts and (limited := with_timeouts(plan.shape)):
            problem = problem or Failure.of_executor("EngineError", cant_stop(limited, "of this run"))
        if problem is not None and child is None:
            self._fail(frame, index, problem, meta)
            return None
        if child is not None and child != self.next_frame:
            raise JournalError(f"frame {child}", f"is opened where frame {self.next_frame} was expected")
        self.log.append((EXPANDED, frame_id, index, self.next_frame, data, meta))
        self._splice(frame, index, plan, path, repeat)
        return header

    def failed(self, frame_id: int, index: int, failure: Failure, meta: Meta = NO_META) -> None:
        """A node failed for good."""
        frame = self.frames.get(frame_id)
        self._landed((frame_id, index))
        if frame is not None and frame.state(index) == PENDING:
            self._fail(frame, index, failure, meta)

    def lost(self, frame_id: int, index: int, last_words: LastWords, meta: Meta = NO_META) -> None:
        """The worker ended while it ran this call, which says nothing of the call: it is sent again, alone, at most twice (rule R5)."""
        frame = self.frames.get(frame_id)
        key = (frame_id, index)
        self._landed(key)
        if frame is None or frame.state(index) != PENDING:
            return
        self.losses[key] = self.losses.get(key, 0) + 1
        if self.losses[key] <= _SENT_AGAIN:
            self.ready.append((frame, index))
            return
        path = joined(frame.path, frame.topology.name(index))
        self._fail(frame, index, Failure.of_lost_worker(path, self.losses.pop(key), last_words), meta)

    def _landed(self, key: tuple[int, int]) -> Repeat | None:
        """A call is in flight no more: what it had taken is free."""
        if self.held:
            demand = self.held.pop(key, None)
            if demand is not None:
                self.capacity.give(demand)
        return self.in_flight.pop(key, None)

    def returned(self, frame_id: int, index: int) -> None:
        """A worker gave a call back without starting it."""
        self._landed((frame_id, index))
        frame = self.frames.get(frame_id)
        if frame is not None:
            self.ready.append((frame, index))

    def stop(self) -> None:
        """Start nothing new; what runs may finish."""
        self.stopping = True

    # --- instructions out ---

    def take(self, count: int) -> list[Call]:
        """Calls to run now, of at most `count` processors. Nested plans that come up are opened on the way, limits are checked."""
        calls: list[Call] = []
        too_wide: list[tuple[Frame, int]] = []
        if self.parked:
            self._unpark()
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
                problem, repeat = self._may_expand(frame, index)
                if problem is not None:
                    self._fail(frame, index, problem, NO_META)
                    continue
            key = (frame.id, index)
            attempt = self.losses.get(key, 0) + 1 if self.losses else 1
            if not topology.is_governed(index):
                self.in_flight[key] = repeat
                calls.append(Call(frame, index, attempt))
                count -= 1
                continue
            policy = topology.policy(index)
            weight = self._admitted(frame, index, demand_of(policy), count)
            if weight < 0:
                too_wide.append((frame, index))
                if self.overtaken >= _OVERTAKEN or len(too_wide) == _ASIDE:
                    break
            if weight > 0:
                self.overtaken = 0 if weight > 1 else self.overtaken
                self.in_flight[key] = repeat
                calls.append(Call(frame, index, attempt, policy.timeout))
                count -= weight
        if too_wide:
            self.overtaken += len(calls)
            self.ready += reversed(too_wide)
        return calls

    def _admitted(self, frame: Frame, index: int, demand: Demand, room: int) -> int:
        """How many processors a call gets; 0 if it has failed or is parked, -1 if there are not enough now."""
        impossible = self.capacity.never(demand)
        if impossible is not None:
            path = joined(frame.path, frame.topology.name(index))
            failure = Failure.of_executor(
                "ResourcesUnavailable",
                f"{path} asks for {impossible}. Ask for less, or say what there is: run(resources=Resources(…), pools={{…}}), --memory, --gpu, --pool",
            )
            self._fail(frame, index, failure, NO_META)
            return 0
        if self.capacity.fits(demand) < 1:
            self.parked.setdefault(demand, deque()).append((frame, index))
            return 0
        weight = self.capacity.weight(demand)
        if weight > room:
            return -1
        if demand != PLAIN:
            self.capacity.take(demand)
            self.held[frame.id, index] = demand
        return weight

    def _unpark(self) -> None:
        """Have calls that waited for capacity tried again, as many as may fit."""
        for demand, waiting in list(self.parked.items()):
            for _ in range(min(len(waiting), self.capacity.fits(demand))):
                self.ready.append(waiting.popleft())
            if not waiting:
                del self.parked[demand]

    @property
    def waiting(self) -> int:
        """How many calls are ready and wait for a pool, or for memory."""
        return sum(len(calls) for calls in list(self.parked.values()))

    @property
    def places_in_use(self) -> int:
        """How many processors the calls in flight take."""
        return len(self.in_flight) + sum(self.capacity.weight(demand) - 1 for demand in self.held.values())

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do, or nothing may be done any more."""
        if self.outputs is not None:
            return True
        return not self.in_flight and (self.stopping or not (self.ready or self.parked))

    # --- frames ---

    def _open(
        self,
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
        frame = Frame(self.next_frame, parent, slot, depth, topology, literals, inputs, identity, path, repeat, nesting)
        self.next_frame += 1
        self.nodes += topology.count
        if frame.remaining == 0:
            self._end(frame)
            return
        self.frames[frame.id] = frame
        self.ready += [(frame, index) for index in topology.first]

    def _open_nested(self, frame: Frame, index: int, replaying: bool = False) -> None:
        topology = frame.topology
        nested = self.topologies.get(topology.shape, topology.graph.targets[index], topology.code)
        path = joined(frame.path, topology.name(index))
        problem = self.limits.nodes(self.nodes + nested.count, path)
        if problem is not None and not replaying:
            self._fail(frame, index, problem, NO_META)
            return
        bindings = topology.plan_inputs[index]
        inputs = []
        for binding, parameter in zip(bindings, nested.graph.inputs, strict=True):
            value = parameter.default if binding is None else frame.value(binding)
            assert value is not None, "verified plans bind what has no default"
            inputs.append(value)
        frame.set_state(index, OPEN)
        self.log.append((OPENED, frame.id, index, self.next_frame))
        identity = node_identity(frame.identity, index)
        self._open(frame, index, frame.depth, nested, frame.literals, tuple(inputs), identity, path, frame.repeat, frame.nesting)

    def _splice(self, frame: Frame, index: int, plan: Plan, path: str, repeat: Repeat | None) -> None:
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
        if frame.remaining == 1 and frame.parent is not None and topology.outputs == [index]:
            del self.frames[frame.id]
            frame.set_state(index, DONE)
            self.done_nodes += 1
            parent, slot = frame.parent, frame.slot
        else:
            frame.set_state(index, OPEN)
        self._open(parent, slot, frame.depth + 1, child, plan.literals, inputs, identity, path, repeat, nesting)

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

    def _complete(self, frame: Frame, index: int, value: Value) -> None:
        """A node's value is there: wake who waited for it, drop what nobody needs, end what has ended."""
        while True:
            topology, cells = frame.topology, frame.cells
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
            frame, index, value = frame.parent, frame.slot, ended[0]

    def _end(self, frame: Frame) -> None:
        """A frame without nodes ends at once."""
        outputs = self._outputs_of(frame)
        if frame.parent is None:
            self.outputs = outputs
        else:
            self._complete(frame.parent, frame.slot, outputs[0])

    def _outputs_of(self, frame: Frame) -> tuple[Value, ...]:
        return tuple([frame.value(binding) for binding in frame.topology.outputs]) or (b"\xc0",)

    # --- limits and failures ---

    def _may_expand(self, frame: Frame, index: int) -> tuple[Failure | None, Repeat | None]:
        """Why a dynamic may not run, if it may not; and what its chain of dynamics is to remember."""
        topology, limits = frame.topology, self.limits
        callee = topology.callee(index)
        if frame.depth >= limits.max_depth:
            return limits.depth(frame.depth + 1, joined(frame.path, topology.name(index))), None
        if callee.policy.max_depth is not None:
            own = (frame.nesting or {}).get(callee.name, 0) + 1
            path = joined(frame.path, topology.name(index))
            problem = limits.own_depth(callee.short_name, own, callee.policy.max_depth, path)
            if problem is not None:
                return problem, None
        if callee.policy.allow_repeat or not topology.code.keyed[topology.graph.targets[index]]:
            return None, frame.repeat
        key = self._call_key(frame, index)
        repeat = frame.repeat
        if repeat is None:
            return None, (key, 1, frame.depth)
        remembered, power, since = repeat
        if remembered == key:
            return self._no_progress(frame, index), None
        if frame.depth - since >= power:
            return None, (key, 2 * power, frame.depth)
        return None, repeat

    def _call_key(self, frame: Frame, index: int) -> bytes:
        """What makes two calls of dynamics the same: the callable and the digests of its inputs."""
        topology = frame.topology
        callee = topology.callee(index)
        state = blake2b(callee.digest, digest_size=16)
        state.update(callee.name.encode())
        for binding, parameter in zip(topology.graph.bindings_of(index), callee.interface.parameters, strict=True):
            if binding is None:
                _add(state, parameter.default or b"")
            elif topology.fits(binding, parameter.type):
                _add(state, frame.value(binding))
            else:
                state.update(pack(binding))
                for leaf in leaves(binding):
                    _add(state, frame.value(leaf[1] if leaf.__class__ is list and leaf[0] == NODE else leaf))
        return state.digest()

    def _no_progress(self, frame: Frame, index: int) -> Failure:
        callee = frame.topology.callee(index)
        names = ", ".join(p.name for p in callee.interface.parameters) or "none"
        return Failure.of_executor(
            "NoProgress",
            f"{callee.short_name} was called again, inside itself, with the inputs it has been called with before ({names}): "
            f"{joined(frame.path, frame.topology.name(index))}. It would go on for ever. Pass something that changes, or, to poll, "
            "say @dynamic(allow_repeat=True)",
        )

    def _fail(self, frame: Frame, index: int, failure: Failure, meta: Meta) -> None:
        self.log.append((FAILED, frame.id, index, failure.to_tree(), meta))
        self.stopping = True
        if self.failure is None:
            path = joined(frame.path, frame.topology.name(index))
            self.failure = FailedNode(path, frame.id, index, failure, meta[3])

    # --- replay ---

    def replay(self, event: Event) -> None:
        """Take an event of the journal as if it happened now. Failures are forgotten: what failed is tried again."""
        kind = event[0]
        if kind == DONE_EVENT:
            self.done(event[1], event[2], event[3])
        elif kind == EXPANDED:
            frame = self.frames.get(event[1])
            if frame is not None:
                _, repeat = self._may_expand(frame, event[2])
                self.in_flight[frame.id, event[2]] = repeat
            self.expanded(event[1], event[2], event[4], child=event[3])
        elif kind == OPENED:
            frame = self.frames.get(event[1])
            if frame is not None and frame.state(event[2]) == PENDING:
                self._open_nested(frame, event[2], replaying=True)
        self.log.clear()

    def replayed(self) -> None:
        """After the last event of a replay: what is ready is what is not done."""
        self.ready = [(frame, index) for frame, index in self.ready if frame.state(index) == PENDING and frame.id in self.frames]


def _add(state: Any, value: Value) -> None:
    """Add a value to the key of a call."""
    data = value if isinstance(value, bytes) else value.digest
    state.update(len(data).to_bytes(8, "big") + data)
