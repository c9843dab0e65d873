"""What the scheduler needs to know of a graph, computed once a shape and shared by all its frames.

Beside the graph's own nodes there are **joints**: hidden nodes, numbered after them, that build a value where a plain reference isn't enough (a
list of promises that is returned, a field of a value, an int that goes out as a float). They run on a worker as everything else does, so that the scheduler never
touches a value; people don't see them.

============ ====================================================================================================
attribute   meaning
============ ====================================================================================================
count       nodes of the graph
size        nodes and joints
cells       what a frame begins with, three counts for each in one array (a deep recursion has a frame a level):
            how many it waits for (values and order); how many take its value, outputs included; its state, 0
successors  for each: who waits for it (a slice of `successor_list`)
takes       for each: whose values it takes, once each (a slice of `take_list`)
simple      for each node: 1 if its bindings can be copied as they stand: whole values of exactly the wanted types
first       those that wait for nothing, in reverse order (they go on a stack)
takes_inputs whether any binding takes an input of the graph
joints      (binding, type) of each
outputs     for each output: where its value is, a plain binding (node or joint, literal, input)
plan_inputs for each nested plan: its inputs' plain bindings, None where its own default is meant
============ ====================================================================================================
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from functools import cached_property
from typing import Final

from planner.naming import node_names
from planner.plan import CALL, INPUT, NODE, PLAN, Binding, Callee, Graph, Shape, leaves, references
from planner.plan_format import callee_bytes, shape_bytes
from planner.policy import Policy, overridden
from planner.verify import target_interface
from typesys.canonical import digest
from typesys.infer import mentions_opaque
from typesys.types import Type

Counts = bytearray | array  # type: ignore[type-arg]


class Topology:
    """See the table at the top of the file."""

    def __init__(self, shape: Shape, number: int, code: ShapeCode) -> None:
        self.shape = shape
        self.number = number
        self.graph: Graph = shape.graphs[number]
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

    def _read_node(self, index: int) -> tuple[int, ...]:
        interface = target_interface(self.shape, self.graph, index)
        bindings = self.graph.bindings_of(index)
        self._results.append(interface.result)
        if self.graph.kinds[index] == PLAN:
            plain = [self._plain(b, p.type) for b, p in zip(bindings, interface.parameters, strict=True)]
            self.plan_inputs[index] = plain
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
            return binding < 0 or self._results[binding] is wanted or self._results[binding] == wanted
        return binding[0] == INPUT and len(binding) == 2 and self.graph.inputs[binding[1]].type == wanted

    def _plain(self, binding: Binding, wanted: Type) -> Binding:
        """The binding itself if it is plain, else that of a new joint which makes it."""
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
        self.first = [index for index in range(self.size - 1, -1, -1) if not waits_for[index]]

    def result_type(self, index: int) -> Type:
        """The type of what a node or joint gives."""
        return self._results[index] if index < self.count else self.joints[index - self.count][1]

    def leaf_type(self, binding: Binding) -> Type | None:
        """The type of a leaf before any path is followed; None for a literal, which has the type that is wanted of it."""
        if binding.__class__ is int:
            return None if binding < 0 else self.result_type(binding)
        return self.result_type(binding[1]) if binding[0] == NODE else self.graph.inputs[binding[1]].type

    def callee(self, index: int) -> Callee:
        """What a call node calls."""
        return self.code.callees[self.graph.targets[index]]

    def policy(self, index: int) -> Policy:
        """How a call node is to run: its callee's policy with the node's own overrides."""
        policy = self.callee(index).policy
        entries = self.graph.overrides.get(index)
        return policy if entries is None else overridden(policy, dict(entries))

    def is_call(self, index: int) -> bool:
        """Whether a node calls a task or dynamic; a joint and a nested plan don't."""
        return index < self.count and self.graph.kinds[index] == CALL

    def is_cached(self, index: int) -> bool:
        """Whether a node's outcome is taken from the cache, and kept there."""
        return self.code.caches and self.is_call(index) and self.policy(index).cache

    def commits_each(self, index: int) -> bool:
        """Whether what follows a node waits until it is committed."""
        return self.code.commits_each and self.is_call(index) and self.policy(index).commit == "each"

    def keeps_its_place(self, index: int) -> bool:
        """Whether a dynamic's own result is waited for, so that it can't hand its place on to a dynamic that it ends with."""
        return self.is_cached(index) or self.commits_each(index)

    def is_governed(self, index: int) -> bool:
        """Whether a node's policy says anything that matters before it starts: about time, pools, resources or the cache."""
        return index < self.count and self.graph.kinds[index] == CALL and (self.code.governed[self.graph.targets[index]] or index in self.graph.overrides)

    def is_dynamic(self, index: int) -> bool:
        """Whether a node (not a joint) calls a dynamic."""
        return index < self.count and self.graph.kinds[index] == CALL and self.callee(index).kind == "dynamic"

    @cached_property
    def names(self) -> list[str]:
        """The nodes' names."""
        return node_names(self.shape, self.number)

    def name(self, index: int) -> str:
        """The name of a node; a joint is called by what it makes."""
        return self.names[index] if index < self.count else "(result)"


def _small(counts: list[int]) -> Counts:
    """Counts in as few bytes as they need: a frame copies them."""
    return bytearray(counts) if max(counts, default=0) < 256 else array("I", counts)


class ShapeCode:
    """The callees of a shape as this run calls them; a resume after a code change replaces some (rule R6)."""

    def __init__(self, shape: Shape) -> None:
        self.digest = digest("shape", shape_bytes(shape))
        self._overridden = {name for graph in shape.graphs for entries in graph.overrides.values() for name in entries}
        self.use(shape.callees)

    def use(self, callees: tuple[Callee, ...]) -> None:
        """Call these from now on."""
        self.callees = callees
        self.definitions = [callee_bytes(callee) for callee in callees]
        self.governed = [
            callee.policy.timeout is not None or callee.policy.pool is not None or callee.policy.resources is not None or callee.policy.cache
            for callee in callees
        ]
        self.caches = "cache" in self._overridden or any(callee.policy.cache for callee in callees)
        self.commits_each = "commit" in self._overridden or any(callee.policy.commit == "each" for callee in callees)
        wide = [callee for callee in callees if callee.policy.resources is not None and callee.policy.resources.cpu > 1]
        self.weighted = bool(wide) or "resources" in self._overridden
        self.keyed = [not any(mentions_opaque(p.type) for p in callee.interface.parameters) for callee in callees]


_KEPT: Final = 256


class Topologies:
    """The topologies used last. Frames hold their own; this table only lets frames of one shape share.

    Shapes are one object for equal bytes while they are in use (`planner.plan_format.shape_from_bytes`), so they are told apart by identity.
    """

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[int, int], Topology] = OrderedDict()

    def get(self, shape: Shape, number: int, code: ShapeCode | None = None) -> Topology:
        """The topology of a graph, with the given code or that of the shape."""
        key = (id(shape), number)
        topology = self._made.get(key)
        if topology is None or (code is not None and topology.code is not code):
            topology = self._made[key] = Topology(shape, number, code or ShapeCode(shape))
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        else:
            self._made.move_to_end(key)
        return topology
