"""The state of one run: all tables of the scheduler, each defined once, and the few steps that keep them consistent.

=========== =====================================================================================================
frames      the open frames by id; a frame that has ended is gone, with everything it held
ready       a stack of (frame, node) whose inputs are there; the last pushed is the first taken, so a recursion goes
            deep before it goes wide, and the number of open frames stays small
overlapping async calls whose inputs are there: they overlap, and wait for no place
overlaps    the async calls that workers have, by (frame id, index)
gates_ready gates whose inputs are there: they begin though no worker has room
in_flight   the calls that workers have, by (frame id, index), each with the `Repeat` that its expansion will need
admission   the capacity that calls in flight have taken, and the calls that wait for capacity
tries       how often a call that has not succeeded was begun, by (frame id, index)
loops       the iteration that a call is in, and the payload that the iteration before gave, by (frame id, index)
maps        the maps under way, by (frame id, index)
cycles      the cycles under way, by (frame id, index)
awaits      the async dynamics whose bodies wait, by (frame id, index)
ends        events of a replay that ended stopped cycles, and that a later event may take back
stop_at     the number that no cycle goes beyond; None for what each cycle itself says
waiting     the gates under way, by (frame id, index)
channel     the run's key-value store
sleeping    calls and gates that wait for a moment in time, the first one first
agenda      the steps that the event in hand still causes; empty between two events
holding     the step to take once a node that waits for its commit is committed (`commit="each"`), by (frame id, index)
afresh      cached calls that are to run all the same
ended_frames nodes that are held back and stand for a frame: they are committed as soon as all events so far are
settled     outcomes that may be put into the cache once all events so far are committed
hard_timeouts whether time-outs can be kept (or the caller is content with less)
timed       whether any call is of a cycle, whose rounds may be for moments in time
weighted    whether any call wants another number of processors than one
log         events since the journal last took them, in causal order
outputs     the run's outputs, once the root frame has ended; None for a skipped output
failing     frames that fail and have not ended
busy        while frames fail: for each frame, the number of its own calls that still run, plus the frames right below
            it that are busy or fail; by frame id
unsettled   failing frames that may have come a step further since they were looked at, by -id: an inner frame comes
            before the frames around it
cleaning    nodes that may run although their frame fails, and had not ended when last looked at, by frame id
handlers    the `on_failure` handlers of failing frames, as far as they have begun
has_dropped whether frames were dropped, so that a node in `ready` may belong to no open frame any more
failure     the first failure that nothing handles
dead        whether the root frame has ended badly
terminated  reason and outputs, once a task has ended the run well
cancelled   path and reason, once a task has cancelled the run
past_nodes  nodes of finished rounds of cycles, which do not count for the limit of nodes
stopping    whether no new call or gate starts any more
paused      whether no new call or gate starts for the time being
tally       what has become of the nodes of frames that are open no more; None if the run's first frames are not known,
            because a version without tallies wrote the snapshot with which a replay began
followed    nodes that have ended, in order, for whoever follows the run and takes them out; None if nobody does
=========== =====================================================================================================
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol.events import NODE_FAILED, Event, Meta
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.limits import Limits
from promissory.executor.scheduler.admission import Admission
from promissory.executor.scheduler.agenda import END, Agenda, Step
from promissory.executor.scheduler.awaiting import Awaits
from promissory.executor.scheduler.calls import Key, Settled, Sleeping, Tries
from promissory.executor.scheduler.capacity import Capacity
from promissory.executor.scheduler.cycling import Cycles
from promissory.executor.scheduler.frame import FailedNode, Frame, Repeat
from promissory.executor.scheduler.mapping import Maps
from promissory.executor.scheduler.node_state import FAILED, PENDING
from promissory.executor.scheduler.tally import Tally
from promissory.executor.scheduler.timeouts import cant_stop, with_timeouts
from promissory.executor.scheduler.topologies import Topologies
from promissory.executor.scheduler.waiting import Waiting
from promissory.planner.plan.model import GATE, Value
from promissory.planner.plan.plan import Plan


class State:
    """See the table at the top of the file.

    Args:
        limits: depth, nodes, bytes.
        capacity: of what bodies that run at one time may use together.
        run: tells the retries of this run from another run's retries, where the two are to come at different moments.
    """

    def __init__(self, limits: Limits, capacity: Capacity | None = None, run: bytes = b"") -> None:
        self.limits = limits
        self.admission = Admission(capacity)
        self.tries: dict[Key, Tries] = {}
        self.loops: dict[Key, tuple[int, Value]] = {}
        self.maps: Maps = {}
        self.cycles: Cycles = {}
        self.awaits: Awaits = {}
        self.ends: list[Event] = []
        self.stop_at: int | None = None
        self.waiting: dict[Key, Waiting] = {}
        self.channel: dict[str, bytes] = {}
        self.sleeping: list[Sleeping] = []
        self.holding: dict[Key, Step] = {}
        self.ended_frames: list[Key] = []
        self.afresh: set[Key] = set()
        self.settled: list[Settled] = []
        self.run = run
        self.weighted = self.timed = False
        self.hard_timeouts = True
        self.topologies = Topologies()
        self.frames: dict[int, Frame] = {}
        self.ready: list[tuple[Frame, int]] = []
        self.gates_ready: list[tuple[Frame, int]] = []
        self.overlapping: list[tuple[Frame, int]] = []
        self.overlaps: set[Key] = set()
        self.in_flight: dict[Key, Repeat | None] = {}
        self.log: list[Event] = []
        self.outputs: tuple[Value | None, ...] | None = None
        self.failing: dict[int, Frame] = {}
        self.busy: dict[int, int] = {}
        self.unsettled: list[int] = []
        self.cleaning: dict[int, list[int]] = {}
        self.handlers: set[Key] = set()
        self.agenda = Agenda()
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
        self.past_nodes = 0
        self.replaying = False
        self.tally: Tally | None = Tally()
        self.followed: list[tuple[Frame, int]] | None = None
        self.root_is_checked = False
        self._slept = 0

    def new_frame(self, expected: int | None = None) -> int:
        """The number of the next frame. Raises `DoesNotFit` if a journal says another."""
        self.next_frame += 1
        id = self.next_frame - 1
        if expected is not None and expected != id:
            raise DoesNotFit(f"frame {expected} is opened where frame {id} was expected")
        return id

    # --- frames ---

    def add_frame(self, frame: Frame) -> None:
        """A frame is open."""
        self.frames[frame.id] = frame
        frame.attach()
        frame.frozen = frame.parent is not None and frame.parent.frozen

    def remove_frame(self, frame: Frame) -> None:
        """A frame is open no more."""
        if self.frames.pop(frame.id, None) is None:
            return
        if self.tally is not None:
            self.tally.fold(frame)
        if self.failing:
            was_busy = self.busy.pop(frame.id, 0) > 0
            if self.failing.pop(frame.id, None) is not None:
                was_busy = True
                self.cleaning.pop(frame.id, None)
            if was_busy and frame.parent is not None and frame.parent.id in self.frames:
                self.runs_no_more(frame.parent)
        frame.detach()

    def forget_frame(self, frame: Frame) -> None:
        """Drop a frame and all frames below, as if they had never been opened."""
        tally, self.tally = self.tally, None
        self.drop_frame(frame)
        self.tally = tally

    def drop_frame(self, frame: Frame) -> None:
        """End a frame and all frames below, whatever becomes of their nodes."""
        gone = [frame]
        for one in gone:
            gone += one.inside()
        tables: tuple[dict[Key, Any], ...] = (self.maps, self.waiting, self.loops, self.cycles, self.awaits)
        used = [table for table in tables if table]
        for one in reversed(gone):
            self.remove_frame(one)
            for table in used:
                for index in range(one.topology.size):
                    table.pop((one.id, index), None)
        self.has_dropped = True

    # --- what runs while frames fail ---

    def look_at(self, frame: Frame) -> None:
        """Note that a failing frame may have come a step further."""
        heapq.heappush(self.unsettled, -frame.id)

    def begins_to_run(self, frame: Frame) -> None:
        """While frames fail: a call of a frame begins to run, or a frame right below that frame becomes busy."""
        at: Frame | None = frame
        while at is not None:
            before = self.busy.get(at.id, 0)
            self.busy[at.id] = before + 1
            if before or at.id in self.failing:
                return  # the frame above counts this frame already
            at = at.parent

    def runs_no_more(self, frame: Frame) -> None:
        """While frames fail: a call of a frame, or a frame right below that frame, is busy no more."""
        at: Frame | None = frame
        while at is not None:
            left = self.busy[at.id] - 1
            if left:
                self.busy[at.id] = left
                return
            del self.busy[at.id]
            if at.id in self.failing:
                self.look_at(at)
                return
            at = at.parent

    # --- nodes and calls ---

    @property
    def known_nodes(self) -> int:
        """The number of nodes that the run has, as far as is known, those of finished rounds of cycles too."""
        return self.nodes + self.past_nodes

    @property
    def can_go_on(self) -> bool:
        """Whether anything runs, could start, or is waited for."""
        return bool(
            self.in_flight
            or self.holding
            or self.ready
            or self.gates_ready
            or self.overlapping
            or self.admission.parked
            or self.sleeping
            or self.waiting
        )

    def make_ready(self, frame: Frame, indices: Iterable[int]) -> None:
        """Push ready nodes. `ready` is a stack: pass the nodes in reverse, since the node pushed last runs first."""
        for index in indices:
            if frame.topology.kind(index) == GATE:
                self.gates_ready.append((frame, index))
            elif frame.topology.overlaps(index):
                self.overlapping.append((frame, index))
            else:
                self.ready.append((frame, index))

    def make_ready_late(self, frame: Frame, indices: Iterable[int]) -> None:
        """Push ready nodes of a cycle's round, as `make_ready` does, below all that is ready in earlier rounds."""
        found = list(indices)
        self.gates_ready += [(frame, index) for index in found if frame.topology.kind(index) == GATE]
        at = bisect_left(self.ready, -frame.cycle, key=self._lateness)
        self.ready[at:at] = [(frame, index) for index in found if frame.topology.kind(index) != GATE]

    def trace_late(self, frame: Frame, index: int, round: int) -> None:
        """Have a cycle's next round traced, once nothing of earlier rounds is ready that could run instead."""
        self.ready.insert(bisect_left(self.ready, -round, key=self._lateness), (frame, index))

    def _lateness(self, ready: tuple[Frame, int]) -> int:
        frame, index = ready
        cycle = self.cycles.get((frame.id, index))
        return -(frame.cycle if cycle is None else cycle.next)

    def begin_call(self, frame: Frame, index: int, repeat: Repeat | None) -> None:
        """A call is given to a worker."""
        self.in_flight[frame.id, index] = repeat
        if frame.topology.code.overlaps and frame.topology.overlaps(index):
            self.overlaps.add((frame.id, index))
        if self.failing:
            self.begins_to_run(frame)

    def take_back(self, frame_id: int, index: int, keep_tries: bool = False) -> Frame | None:
        """Take a returned call out of `in_flight`. Returns the call's frame if the call still waits for an outcome."""
        key = (frame_id, index)
        frame = self.frames.get(frame_id)
        if self.failing and frame is not None and key in self.in_flight:
            self.runs_no_more(frame)
        self.in_flight.pop(key, None)
        if self.overlaps:
            self.overlaps.discard(key)
        if self.admission.held:
            self.admission.release(key)
        if frame is None or frame.state(index) != PENDING or (self.holding and key in self.holding):
            return None
        if self.tries and not keep_tries:
            self.tries.pop(key, None)
        return frame

    def spend(self, frame: Frame, index: int, meta: Meta) -> None:
        """Count the time of a body."""
        if self.tally is not None and meta[2]:
            self.tally.spent[frame.topology.calls.each[index]] += meta[1]

    def iteration(self, frame_id: int, index: int) -> int:
        """The number of the iteration that a call is in, from 0; of a cycle's round, from 1."""
        if self.cycles and (frame_id, index) in self.cycles:
            return self.cycles[frame_id, index].iteration
        return self.loops[frame_id, index][0] if self.loops and (frame_id, index) in self.loops else 0

    def hold(self, frame: Frame, index: int, step: Step) -> None:
        """Take a step that follows a node: on the node's commit if its policy says so and no replay is on, else now."""
        if self.is_held_back(frame, index):
            self.hold_back(frame, index, step)
        else:
            self.agenda.append(step)

    def hold_back(self, frame: Frame, index: int, step: Step) -> None:
        """Take a step that follows a node when the node is committed."""
        self.holding[frame.id, index] = step
        if self.failing:
            self.begins_to_run(frame)

    def is_held_back(self, frame: Frame, index: int) -> bool:
        """Whether the followers of a node wait for the node's commit."""
        return frame.topology.code.commits_each and not self.replaying and frame.topology.commits_each(index)

    def sleep(self, frame: Frame, index: int, due: float, delay: float, calendar: float) -> None:
        """Have a call or gate wait for a moment."""
        self._slept += 1
        heapq.heappush(self.sleeping, Sleeping(due, self._slept, frame, index, delay, calendar))

    def may_splice(self, plan: Plan, data: bytes, path: str) -> Failure | None:
        """The reason why a futures file that a node emitted can't run; None if the file can run."""
        problem = self.limits.futures_bytes(len(data), path) or self.limits.nodes(self.nodes + len(plan.graph), path)
        if not self.hard_timeouts and (limited := with_timeouts(plan.shape)):
            problem = problem or Failure.of_executor("EngineError", cant_stop(limited, "of this run"))
        return problem

    def fail(self, frame: Frame, index: int, failure: Failure, meta: Meta) -> None:
        """A node has failed for good, by itself."""
        self.log.append((NODE_FAILED, frame.id, index, failure.to_tree(), meta))
        self.hold(frame, index, self.failing_step(frame, index, failure, meta))

    def failing_step(self, frame: Frame, index: int, failure: Failure, meta: Meta) -> Step:
        """The step that fails a node. The node's retries are reset: a resume has a whole budget, and counts on."""
        key = (frame.id, index)
        self.spend(frame, index, meta)
        failed = FailedNode(frame.path_of(index, self.iteration(*key)), frame.id, index, failure, meta[3], meta)
        self.tries.pop(key, None)
        if meta[2]:  # a worker began the call
            self.tries[key] = Tries(meta[3], last=(str(failure), meta))
        return (END, frame, index, FAILED, failed, None)
