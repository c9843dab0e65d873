"""Frame: one expanded plan within a run.

============ ===========================================================================================================
field        meaning
============ ===========================================================================================================
id           a small integer, given when the frame is opened
parent       the frame that its outputs go to; None for the root
slot         the node of the parent that it stands for
depth        how many dynamics it is nested in; the root has 0
topology     the graph that it runs, shared by all frames of the shape
literals     the constant values of its plan
inputs       the values of the graph's inputs
identity     16 bytes: a hash of the parent's identity and the node's index
path         text for people, shortened in the middle
remaining    nodes and joints that are not done
cells        for node or joint i of n: at i the number of nodes that it still waits for; at n+i the number that still
             need its value; at 2n+i its state: PENDING, OPEN (its own frame is running, or it waits), or how it ended:
             DONE, FAILED, UPSTREAM_FAILED, SKIPPED, CANCELLED
values       values that a node or an output still needs, by node
youngest     the frame right below that was opened last; `older` leads on to its sisters
older        the sister that was opened before this frame; `younger` is the sister opened after it
asleep       nodes on standby that no task has sent the run to, and that have not ended
going        where there are nodes on standby: how many nodes that count run, or could start
mixed        whether any node has ended otherwise than DONE
failing      the failure that nothing in the frame handles; None while all is well
failures     the failures of nodes, by node, for the nodes that handle them
frozen       whether the frame starts no new node except nodes that handle failures, because this frame or a frame
             above fails at once
loop         whether the frame is an iteration: its output is the payload of the next iteration
exempt       whether the frame may go on below a failing frame, because this frame is part of the handling of a failure
awake        nodes on standby that a task has sent the run to
jumped       nodes that a task has jumped to, which wait for nothing but their values
signalled    whether the frame is what a task with requests asked for: the task's value is then not kept in the cache
more         followers that a signal has added, in order: nodes that wait for a node beside its followers in the plan
sought       how many of the nodes that bear a name no task can send the run to any more, by name and whether only nodes
             on standby are meant
stage        of a round of a cycle, or a segment of an async dynamic: its number, from 1; 0 for any other frame
told         of a segment: the origins of failures of which the dynamic's body was told, each with the number of the
             segment that was next then; None for any other frame
watched      of a segment whose dynamic's body has ended: the nodes that the body awaited till then; else None
part         of a chunk of a map: the chunk's number, and the position of its first item; None for any other frame
repeat       Brent's remembered key on this chain of dynamics, his power, and the depth since when; None before the
             first dynamic
nesting      how deep functions that limit their own nesting are nested, by name
============ ===========================================================================================================
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from promissory.executor.protocol.events import NO_META, Meta
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.identity import node_identity
from promissory.executor.scheduler.node_path import exact, joined
from promissory.executor.scheduler.node_state import (
    DONE,
    ENDED,
    OPEN,
    PENDING,
    SKIPPED,
    NodeState,
)
from promissory.executor.scheduler.topology import Counts, Topology
from promissory.planner.plan.model import ERROR, Binding, Value, references
from promissory.planner.plan.node_failure import NodeFailure, failure_bytes

_ITEM: Final = 1 << 61
_ITERATION: Final = 1 << 62

Repeat = tuple[bytes, int, int]


class FailedNode(NamedTuple):
    """A node that failed for good, and why; and when the body ran that failed, if one did."""

    path: str
    frame: int
    node: int
    failure: Failure
    attempt: int
    meta: Meta = NO_META

    def to_tree(self) -> list[Any]:
        """The failed node as it stands in a snapshot."""
        of_body = [list(self.meta)] if self.meta[2] else []
        return [self.path, self.frame, self.node, self.failure.to_tree(), self.attempt, *of_body]

    def as_value(self) -> bytes:
        """The failure as the value that a handler gets."""
        failure = self.failure
        return failure_bytes(
            NodeFailure(self.path, failure.type_name, failure.message, failure.traceback, self.attempt)
        )


class Part(NamedTuple):
    """The number of the map's chunk that a frame runs, and the position of the chunk's first item."""

    number: int
    first: int


class Frame:
    """See the table at the top of the file."""

    __slots__ = (
        "asleep",
        "awake",
        "cells",
        "depth",
        "exempt",
        "failing",
        "failures",
        "frozen",
        "going",
        "id",
        "identity",
        "inputs",
        "jumped",
        "literals",
        "loop",
        "mixed",
        "more",
        "nesting",
        "older",
        "parent",
        "part",
        "path",
        "remaining",
        "repeat",
        "signalled",
        "slot",
        "sought",
        "stage",
        "told",
        "topology",
        "values",
        "watched",
        "younger",
        "youngest",
    )

    def __init__(
        self,
        id: int,
        parent: Frame | None,
        slot: int,
        depth: int,
        topology: Topology,
        literals: tuple[Value, ...],
        inputs: tuple[Value, ...],
        identity: bytes,
        path: str,
        repeat: Repeat | None,
        nesting: dict[str, int] | None,
    ) -> None:
        self.id = id
        self.parent = parent
        self.slot = slot
        self.depth = depth
        self.topology = topology
        self.literals = literals
        self.inputs = inputs
        self.identity = identity
        self.path = path
        self.repeat = repeat
        self.nesting = nesting
        self.remaining = topology.size - topology.dormant
        self.asleep = len(topology.standby)
        self.going = len(topology.first) if topology.standby else 0
        self.frozen = False
        self.youngest: Frame | None = None
        self.older: Frame | None = None
        self.younger: Frame | None = None
        self.mixed = False
        self.failing: FailedNode | None = None
        self.failures: dict[int, FailedNode] | None = None
        self.loop = False
        self.exempt = False
        self.more: dict[int, dict[int, None]] | None = None
        self.sought: dict[tuple[str, bool], int] | None = None
        self.awake: set[int] | None = None
        self.jumped: set[int] | None = None
        self.signalled = False
        self.part: Part | None = None
        self.stage = 0
        self.watched: frozenset[int] | None = None
        self.told: dict[tuple[int, int], int] | None = None
        self.cells: Counts = topology.cells[:]
        self.values: dict[int, Value] | None = None

    @property
    def cycle(self) -> int:
        """Of a round of a cycle: its number, from 1; 0 for any other frame."""
        return self.stage if self.told is None else 0

    @property
    def is_segment(self) -> bool:
        """Whether the frame is a segment of an async dynamic."""
        return self.told is not None

    def stem_of(self, index: int, iteration: int = 0) -> str:
        """The path of a node, of one item or iteration of it, as the paths of the nodes inside begin. It may be
        shortened, and then several nodes have it."""
        if self.part is not None and index < self.topology.count:
            path = f"{self.path}[{self.part.first + index}]"
        else:
            path = joined(self.path, self.topology.name(index))
        return path + self.topology.suffix(index, iteration) if iteration else path

    def path_of(self, index: int, iteration: int = 0) -> str:
        """The path of a node, of one item or iteration of it, for people and for the command line (rule T5)."""
        path = exact(self.stem_of(index), self.id, index)
        return path + self.topology.suffix(index, iteration) if iteration else path

    def identity_of(self, index: int, iteration: int = 0) -> bytes:
        """The identity of a node, of one item or iteration of it."""
        return node_identity(*self.slot_of(index, iteration))

    def slot_of(self, index: int, iteration: int = 0) -> tuple[bytes, int]:
        """The two parts that a node's identity is a hash of: an identity, and a place below that identity."""
        place = _ITEM + self.part.first + index if self.part is not None else index
        if not iteration:
            return self.identity, place
        return node_identity(self.identity, place), _ITERATION + iteration

    def counts(self, index: int) -> bool:
        """Whether the frame waits for a node.

        A frame waits neither for a node on standby that no task has sent the run to, nor for its `on_failure` handler.
        """
        if not self.topology.dormant:
            return True
        if index == self.topology.graph.on_failure:
            return False
        return index not in self.topology.standby or (self.awake is not None and index in self.awake)

    @property
    def is_over(self) -> bool:
        """Whether all nodes have ended, but for an `on_failure` handler that has nothing to handle."""
        return not self.remaining and not self.asleep

    def wake(self, index: int) -> bool:
        """Have a node on standby start once its inputs are there. Returns whether they are there now."""
        if self.awake is None:
            self.awake = set()
        self.awake.add(index)
        self.asleep -= 1
        self.remaining += 1
        return self.waits_less(index)

    def waits_less(self, index: int, by: int = 1) -> bool:
        """Have a node wait for `by` fewer nodes. Returns whether this step has left the node waiting for nothing."""
        if not by:
            return False
        self.cells[index] -= by
        if self.cells[index]:
            return False
        self.going += self.counts(index)
        return True

    def is_going(self, index: int) -> bool:
        """Whether the frame waits for a node that runs, or could start."""
        state = self.state(index)
        return (state == OPEN or (state == PENDING and not self.cells[index])) and self.counts(index)

    def attach(self) -> None:
        """Take the frame's place below its parent."""
        parent = self.parent
        if parent is not None:
            self.older = parent.youngest
            if self.older is not None:
                self.older.younger = self
            parent.youngest = self

    def detach(self) -> None:
        """Leave the frame's place below its parent."""
        if self.older is not None:
            self.older.younger = self.younger
        if self.younger is not None:
            self.younger.older = self.older
        elif self.parent is not None and self.parent.youngest is self:
            self.parent.youngest = self.older
        self.older = self.younger = None

    def inside(self) -> Iterator[Frame]:
        """The frames right below this frame, the last opened first."""
        one = self.youngest
        while one is not None:
            following = one.older
            yield one
            one = following

    def drop_taken(self, index: int) -> None:
        """Release the values that a node will not take any more: a value that no other node takes is dropped."""
        topology, cells = self.topology, self.cells
        for position in range(topology.take_offsets[index], topology.take_offsets[index + 1]):
            taken = topology.take_list[position]
            cells[topology.size + taken] -= 1
            if cells[topology.size + taken] == 0 and self.values is not None:
                self.values.pop(taken, None)

    def recount(self) -> None:
        """Rebuild all counts from the states of the nodes. Only nodes that are not done are counted: mostly few."""
        topology, size, more = self.topology, self.topology.size, self.more or {}
        states = self.states
        cells = self.cells
        cells[: 2 * size] = (
            bytearray(2 * size)  # type: ignore[assignment]
            if isinstance(cells, bytearray)
            else array("I", bytes(8 * size))
        )
        for output in topology.outputs:
            if output.__class__ is int and output >= 0:
                cells[size + output] += 1
        taken, take_list = topology.take_offsets, topology.take_list
        followed, successors = topology.successor_offsets, topology.successor_list
        if topology.keeps:
            for index in range(size):
                cells[size + index] += 1
        self.remaining = 0
        for index in [index for index, state in enumerate(states) if state != DONE]:
            state = states[index]
            if state != SKIPPED:
                for one in take_list[taken[index] : taken[index + 1]]:
                    cells[size + one] += 1
            if state in (PENDING, OPEN):
                self.remaining += self.counts(index)
            elif self.part is None:
                continue  # followers wait no more; only the list of a chunk waits for all of the chunk's items
            for follower in (*successors[followed[index] : followed[index + 1]], *more.get(index, ())):
                cells[follower] += 1
        for index in topology.standby:
            cells[index] += 1
        for index in self.awake or ():
            cells[index] -= 1
        self.sought = None
        for index in self.jumped or ():
            cells[index] = sum(states[one] not in ENDED for one, takes in topology.before(index).items() if takes)
        for index in [index for index in self.values or () if not cells[size + index]]:
            assert self.values is not None
            del self.values[index]
        self.asleep = sum(states[one] == PENDING and not self.counts(one) for one in topology.standby)
        self.going = sum(map(self.is_going, range(size))) if topology.standby else 0
        self.mixed = topology.dormant > 0 or any(state != DONE and state in ENDED for state in set(states))

    def failed(self, index: int, failed: FailedNode, state: NodeState) -> None:
        """Note that a node has ended badly."""
        self.set_state(index, state)
        self.mixed = True
        if self.failures is None:
            self.failures = {}
        self.failures[index] = failed

    def state(self, index: int) -> int:
        """PENDING, OPEN, or how the node ended."""
        state: int = self.cells[2 * self.topology.size + index]
        return state

    @property
    def states(self) -> Counts:
        """The states of all nodes and joints, as they are now."""
        return self.cells[2 * self.topology.size :]

    def set_states(self, states: bytes) -> None:
        """The nodes and joints are now in these states."""
        whole = array("I", list(states)) if isinstance(self.cells, array) else bytearray(states)
        self.cells[2 * self.topology.size :] = whole  # type: ignore[assignment]

    def set_state(self, index: int, state: NodeState) -> None:
        """A node or joint is now in this state."""
        self.cells[2 * self.topology.size + index] = state

    def misses(self, binding: Binding) -> bool:
        """Whether a binding takes the value of a node that has none, because it ended otherwise than well."""
        return self.mixed and any(self.state(node) != DONE for node in references(binding))

    def value(self, binding: Binding) -> Value:
        """The value that a plain binding gives."""
        if binding.__class__ is int:
            node: int = binding
            if node < 0:
                return self.literals[-1 - node]
            assert self.values is not None
            return self.values[node]
        if binding[0] == ERROR:
            assert self.failing is not None
            return self.failing.as_value()
        index: int = binding[1]
        return self.inputs[index]
