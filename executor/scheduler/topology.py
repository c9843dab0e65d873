"""The topology of a graph: the facts that the scheduler needs, computed once per shape and shared by all its frames.

Beside the graph's own nodes there are **joints**: hidden nodes, numbered after them, that build a value where a plain
reference isn't enough (a list of promises that is returned, a field of a value, an int that goes out as a float).
Joints run on a worker like any other node, so that the scheduler never touches a value; people don't see joints.

============ ====================================================================================================
attribute   meaning
============ ====================================================================================================
count       nodes of the graph
size        nodes and joints
cells       the first cells of a frame: three counts for each node and joint, in one array (a deep recursion has a frame
            per level): how many nodes it waits for (values and order); how many take its value, outputs included; its
            state, 0
successors  for each node and joint: the nodes that wait for it (a slice of `successor_list`)
takes       for each node and joint: the nodes whose values it takes, once each (a slice of `take_list`)
simple      for each node: 1 if its bindings can be copied as they stand: whole values of exactly the wanted types
first       nodes and joints that wait for nothing, in reverse order (they go on a stack)
standby     nodes that start only when a task sends the run there
senders     where there are nodes on standby: the calls that may send the run there
dormant     how many nodes don't start by themselves: nodes on standby, and the `on_failure` handler
triggers    for nodes that have a trigger: the trigger, which says when the node starts
unusual     whether any node has a trigger, is on standby, handles a failure, is a gate or async, or merges (takes the
            first input that is there); then endings are looked at one by one
apart       whether any node is a gate or async, so that it does not wait for a place among those that run
takes_inputs whether any binding takes an input of the graph
joints      (binding, type) of each
outputs     for each output: the plain binding that gives its value (node or joint, literal, input)
keeps       whether the values of all nodes are kept, for later rounds of a cycle
earlier     the nodes that stand for nodes of earlier rounds of a cycle
chunks      the topologies of the chunks of a map, by the map's node and the number of items, as far as they are kept
chunk_of    of a chunk's topology: the node of the map, and the number of items; None for any other
plan_inputs for each node that opens a graph or gets its values from the scheduler: its plain bindings, None where a
            default is meant
============ ====================================================================================================
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from promissory.executor.code.recent import Recent
from promissory.executor.protocol.messages import CLOSING
from promissory.executor.scheduler.called import Calls
from promissory.executor.scheduler.names import nodes_by_name
from promissory.executor.scheduler.shape_code import ShapeCode
from promissory.planner.plan.interfaces import target_interface
from promissory.planner.plan.model import (
    CALL,
    EARLIER,
    ERROR,
    GATE,
    INPUT,
    MERGE,
    NODE,
    RESCUE,
    Binding,
    Callee,
    Graph,
    Parameter,
    Shape,
    leaves,
    references,
)
from promissory.planner.plan.names import node_names
from promissory.planner.plan.node_failure import failure_type
from promissory.planner.plan.policy import Policy, overridden
from promissory.planner.plan.specs import Map
from promissory.planner.plan.triggers import DEFAULT
from promissory.typesys.types import ListType, Type

Counts = bytearray | array  # type: ignore[type-arg]


JOINT: Final = -1
"""The kind of a hidden node."""


class Topology:
    """See the table at the top of the file."""

    def __init__(
        self,
        shape: Shape,
        number: int,
        code: ShapeCode,
        graph: Graph | None = None,
        plain: bool = False,
        keeps: bool = False,
    ) -> None:
        self.shape = shape
        self.number = number
        self.graph: Graph = shape.graphs[number] if graph is None else graph
        self._plain_calls = plain
        self.keeps = keeps
        kinds = self.graph.kinds
        self.earlier = tuple(index for index, kind in enumerate(kinds) if kind == EARLIER) if EARLIER in kinds else ()
        self.chunk_of: tuple[int, int] | None = None
        self.chunks: Recent[tuple[int, int], Topology] = Recent(_CHUNKS_KEPT)
        overrides = self.graph.overrides
        self.triggers = {index: str(entries["trigger"]) for index, entries in overrides.items() if "trigger" in entries}
        self.standby = frozenset(index for index, entries in overrides.items() if "standby" in entries)
        self.senders = self._senders() if self.standby else ()
        self.dormant = len(self.standby) + (self.graph.on_failure is not None)
        self.apart = GATE in self.graph.kinds or code.overlaps
        self.unusual = bool(
            self.triggers or self.dormant or self.apart or RESCUE in self.graph.kinds or MERGE in self.graph.kinds
        )
        self._all_before: dict[int, frozenset[int]] = {}
        self.code = code
        self.count = len(self.graph)
        self.simple = bytearray(self.count)
        self.takes_inputs = False
        self.joints: list[tuple[Binding, Type]] = []
        self.plan_inputs: dict[int, list[Binding]] = {}
        self._results: list[Type] = []
        takes: list[tuple[int, ...]] = []
        waits_for: list[tuple[int, ...]] = []
        for index in range(self.count):
            taken = self._read_node(index)
            takes.append(taken)
            after = self.graph.after.get(index)
            waits_for.append(taken if after is None else tuple(dict.fromkeys((*taken, *after))))
        self.outputs = [self._plain(output.binding, output.type) for output in self.graph.outputs]
        self._note_inputs([output.binding for output in self.graph.outputs])
        for binding, _ in self.joints:
            taken = tuple(dict.fromkeys(references(binding)))
            takes.append(taken)
            waits_for.append(taken)
        self.size = self.count + len(self.joints)
        self._index(takes, waits_for)

    def _senders(self) -> tuple[int, ...]:
        calls = tuple(index for index, kind in enumerate(self.graph.kinds) if kind == CALL)
        marked = tuple(index for index in calls if "sends" in self.graph.overrides.get(index, ()))
        return marked or calls

    def _read_node(self, index: int) -> tuple[int, ...]:
        interface = target_interface(self.shape, self.graph, index)
        bindings = self.graph.bindings_of(index)
        self._results.append(interface.result)
        kind = self.graph.kinds[index]
        if kind != CALL or self._plain_calls:
            spec = self.graph.specs.get(index)
            plain = [
                b if isinstance(spec, Map) and self._is_cut_as_it_is(b, at, spec) else self._plain(b, p.type)
                for at, (b, p) in enumerate(zip(bindings, interface.parameters, strict=True))
            ]
            self.plan_inputs[index] = plain
            self.simple[index] = 1
            bindings = plain
        else:
            self.simple[index] = all(self.fits(b, p.type) for b, p in zip(bindings, interface.parameters, strict=True))
        taken = [b for b in bindings if b.__class__ is int and b >= 0]
        if len(taken) != len(bindings):
            taken = [node for binding in bindings for node in references(binding)]
            self._note_inputs(bindings)
        return tuple(dict.fromkeys(taken))

    def _note_inputs(self, bindings: list[Binding]) -> None:
        if not self.takes_inputs:
            self.takes_inputs = any(
                leaf.__class__ is list and leaf[0] == INPUT for binding in bindings for leaf in leaves(binding)
            )

    def fits(self, binding: Binding, wanted: Type) -> bool:
        """Whether a binding gives a whole value of exactly the wanted type."""
        if binding is None:
            return True
        if binding.__class__ is int:
            if binding >= self.count:
                return self.joints[binding - self.count][1] == wanted
            return binding < 0 or self._results[binding] is wanted or self._results[binding] == wanted
        if binding[0] == ERROR:
            return failure_type() == wanted
        return binding[0] == INPUT and len(binding) == 2 and self.graph.inputs[binding[1]].type == wanted

    def _is_cut_as_it_is(self, binding: Binding, at: int, spec: Map) -> bool:
        """Whether a binding gives a whole list to map; items of another type are converted one by one later."""
        if at not in spec.mapped or not (binding.__class__ is int or (binding[0] == INPUT and len(binding) == 2)):
            return False
        given = self.leaf_type(binding)
        return (
            at not in spec.flat or given is None or (isinstance(given, ListType) and isinstance(given.item, ListType))
        )

    def _plain(self, binding: Binding, wanted: Type) -> Binding:
        """The binding itself if it fits the wanted type, else the number of a new joint that builds the value."""
        if self.fits(binding, wanted):
            return binding
        self.joints.append((binding, wanted))
        return self.count + len(self.joints) - 1

    def _index(self, takes: list[tuple[int, ...]], waits_for: list[tuple[int, ...]]) -> None:
        uses, followers = array("I", bytes(4 * self.size)), array("I", bytes(4 * (self.size + 1)))
        for taken in takes:
            for node in taken:
                uses[node] += 1
        for node in self.outputs:
            if node.__class__ is int and node >= 0:
                uses[node] += 1
        if self.keeps:
            for node in range(self.size):
                uses[node] += 1
        for before in waits_for:
            for node in before:
                followers[node + 1] += 1
        for node in range(self.size):
            followers[node + 1] += followers[node]
        ends, listed = array("I", followers), array("I", bytes(4 * followers[self.size]))
        for index, before in enumerate(waits_for):
            for node in before:
                listed[ends[node]] = index
                ends[node] += 1
        self.successor_offsets, self.successor_list = followers, listed
        self.take_offsets, self.take_list = array("I", [0]), array("I")
        for taken in takes:
            self.take_list.extend(taken)
            self.take_offsets.append(len(self.take_list))
        self.cells = _small([*(len(before) for before in waits_for), *uses, *bytes(self.size)])
        for index in self.standby:
            self.cells[index] += 1
        self.first = [
            index for index in range(self.size - 1, -1, -1) if not self.cells[index] and index != self.graph.on_failure
        ]

    def before(self, index: int) -> dict[int, bool]:
        """The nodes that a node or joint waits for, each with whether its value is wanted."""
        if index >= self.count:
            return dict.fromkeys(references(self.joints[index - self.count][0]), True)
        bindings = self.plan_inputs.get(index)
        if bindings is None:
            bindings = self.graph.bindings_of(index)
        found = dict.fromkeys(self.graph.after.get(index, ()), False)
        found.update((node, True) for binding in bindings for node in references(binding))
        return found

    @cached_property
    def known_as(self) -> dict[str, list[int]]:
        """The nodes by name, in order: each is listed under its own name and under the name of its callee."""
        return nodes_by_name(self.shape, self.graph, self.names, self.code.callees)

    @cached_property
    def asleep_as(self) -> dict[str, list[int]]:
        """The nodes of `known_as` that are on standby."""
        found = {name: [index for index in nodes if index in self.standby] for name, nodes in self.known_as.items()}
        return {name: nodes for name, nodes in found.items() if nodes}

    def all_before(self, index: int) -> frozenset[int]:
        """The nodes that have to end before a node can start, as the plan has it."""
        found = self._all_before.get(index)
        if found is None:
            if len(self._all_before) >= _ANCESTRIES_KEPT:
                self._all_before.clear()
            todo, seen = [index], set[int]()
            while todo:
                new = self.before(todo.pop()).keys() - seen
                seen |= new
                todo += new
            found = self._all_before[index] = frozenset(seen)
        return found

    @cached_property
    def output_nodes(self) -> frozenset[int]:
        """The nodes and joints whose values are outputs."""
        return frozenset(node for node in self.outputs if node.__class__ is int and node >= 0)

    @cached_property
    def fallbacks(self) -> tuple[int, ...]:
        """The nodes that stand in for others that failed."""
        return tuple(index for index, kind in enumerate(self.graph.kinds) if kind == RESCUE)

    def followers(self, index: int) -> Sequence[int]:
        """The nodes and joints that wait for a node or joint."""
        return self.successor_list[self.successor_offsets[index] : self.successor_offsets[index + 1]]

    def trigger(self, index: int) -> str:
        """The trigger of a node or joint, which says when the node starts."""
        return self.triggers.get(index, DEFAULT)

    def rescues(self, index: int) -> int | None:
        """The node whose failure a node stands in for; None if there is no such node."""
        if index < self.count and self.graph.kinds[index] == RESCUE:
            source: int = self.graph.bindings_of(index)[0]
            return source
        return None

    def kind(self, index: int) -> int:
        """The kind of a node; JOINT of a joint."""
        return self.graph.kinds[index] if index < self.count else JOINT

    def result_type(self, index: int) -> Type:
        """The type of the value that a node or joint gives."""
        return self._results[index] if index < self.count else self.joints[index - self.count][1]

    def leaf_type(self, binding: Binding) -> Type | None:
        """The type of a leaf before any path is followed; None for a literal, which has the wanted type."""
        if binding.__class__ is int:
            return None if binding < 0 else self.result_type(binding)
        if binding[0] == ERROR:
            return failure_type()
        return self.result_type(binding[1]) if binding[0] == NODE else self.graph.inputs[binding[1]].type

    def callee(self, index: int) -> Callee:
        """The callee of a call node."""
        return self.code.callees[self.graph.targets[index]]

    def policy(self, index: int) -> Policy:
        """The policy of a call node: its callee's policy with the node's own overrides."""
        policy = self.callee(index).policy
        entries = self.graph.overrides.get(index)
        return policy if entries is None else overridden(policy, dict(entries))

    def is_call(self, index: int) -> bool:
        """Whether a node calls a task or dynamic; a joint and a nested plan don't."""
        return index < self.count and self.graph.kinds[index] == CALL

    def parameters(self, index: int) -> tuple[Parameter, ...]:
        """The parameters of a node."""
        return target_interface(self.shape, self.graph, index).parameters

    def is_cached(self, index: int) -> bool:
        """Whether a node's outcome is taken from the cache, and kept there."""
        return self.code.caches and self.is_call(index) and self.policy(index).cache

    def commits_each(self, index: int) -> bool:
        """Whether the followers of a node wait until the node is committed."""
        return self.code.commits_each and self.is_call(index) and self.policy(index).commit == "each"

    def keeps_its_place(self, index: int) -> bool:
        """Whether a dynamic's own result is waited for, so that its place can't go to the dynamic that it ends with."""
        return self.is_cached(index) or self.commits_each(index)

    def is_governed(self, index: int) -> bool:
        """Whether a node has a policy that matters before the node starts: time, pool, resources or cache."""
        return (
            index < self.count
            and self.graph.kinds[index] == CALL
            and (self.code.governed[self.graph.targets[index]] or index in self.graph.overrides)
        )

    def is_plain(self, index: int) -> bool:
        """Whether a node calls a task with a policy that does not matter before the node starts."""
        graph = self.graph
        return (
            index < self.count
            and graph.kinds[index] == CALL
            and self.code.plain[graph.targets[index]]
            and index not in graph.overrides
        )

    def is_dynamic(self, index: int) -> bool:
        """Whether a node (not a joint) calls a dynamic or a cycle."""
        return index < self.count and self.graph.kinds[index] == CALL and self.callee(index).kind != "task"

    def is_cycle(self, index: int) -> bool:
        """Whether a node (not a joint) calls a cycle."""
        return index < self.count and self.graph.kinds[index] == CALL and self.callee(index).kind == "cycle"

    def overlaps(self, index: int) -> bool:
        """Whether a node (not a joint) calls an async task or dynamic, which runs beside others."""
        return index < self.count and self.graph.kinds[index] == CALL and self.code.is_async[self.graph.targets[index]]

    def awaits(self, index: int) -> bool:
        """Whether a node (not a joint) calls an async dynamic."""
        return self.is_dynamic(index) and self.callee(index).is_async

    def suffix(self, index: int, iteration: int) -> str:
        """The end of the path of an iteration, or of a round of a cycle."""
        cycle = self.policy(index).cycle if self.is_cycle(index) else None
        if cycle is not None and iteration > CLOSING:
            return "@last"
        return f"[={iteration}]" if cycle is None else f"@{cycle[0] + (iteration - 1) * cycle[2]}"

    @cached_property
    def calls(self) -> Calls:
        """What the nodes call, as people are told."""
        return Calls(self.shape, self.graph, self.name, self.size, self.chunk_of is not None, self.earlier)

    @cached_property
    def names(self) -> list[str]:
        """The nodes' names."""
        return node_names(self.shape, self.number)

    def name(self, index: int) -> str:
        """The name of a node; "(result)" for a joint, after the value that the joint makes."""
        return self.names[index] if index < self.count else "(result)"


def _small(counts: list[int]) -> Counts:
    """Counts in as few bytes as they need, because each frame copies them."""
    return bytearray(counts) if max(counts, default=0) < 255 else array("I", counts)


_ANCESTRIES_KEPT: Final = 16
_CHUNKS_KEPT: Final = 32
