"""The data that a plan consists of, and nothing else. Frozen, no I/O, nothing filled in later.

A plan has a **shape** (its calls and their connections) and **literals** (the constant values in it). They stand apart
so that the frames of one recursion, whose plans differ in their literals only, share one shape and everything that is
computed from the shape.

A shape has a table of callees and a table of graphs. Graph 0 is the workflow. The others are nested workflows: each is
written once, however often it is called, and after all graphs that call it. A graph holds its nodes as columns:

============ =================== ==================================================================================
column       in memory           meaning for node i
============ =================== ==================================================================================
kinds        bytes               CALL: a task, dynamic or cycle; PLAN: a nested graph; others: as `specs` has it
targets      array of uint32     index of its callee (CALL, MAP) or graph (PLAN, MAP); else 0
offsets      array of uint32     where its bindings begin in `bindings` (one entry more than nodes)
bindings     bytes               a canonical msgpack array: one binding a parameter, in the order of the interface
after        {i: (j, …)}         nodes that must succeed before it, beyond those whose values it takes
overrides    {i: {…}}            this node's own `name`, `trigger`, `standby`, `sends`, `held` and policy
specs        {i: spec}           the parts of a node that is no plain call (`promissory.planner.plan.specs`)
============ =================== ==================================================================================

A **binding** says where a parameter's value comes from, as a tree:

======================= ===========================================================================================
tree                    meaning
======================= ===========================================================================================
n ≥ 0                   the whole value of node n
-1-k                    literal k
nil                     the parameter's default
[INPUT, i, path?]       input i of the graph, or the part of it to which the path leads
[NODE, n, path]         the part of node n's value to which the path leads
[LIST, [b, …]]          a list of bindings
[TUPLE, [b, …]]         a tuple of bindings
[DICT, [[key, b], …]]   a dict; keys are wire trees of the key type
[RECORD, type?, [b, …]] a dataclass or NamedTuple; its type's bytes only where the target is another
[ARM, i, b]             b, as arm i of the union that is wanted
[ERROR]                 the failure of the graph, as a `NodeFailure`
======================= ===========================================================================================

Nodes stand in topological order and refer to each other by position. A graph says beside its nodes which of them runs
when the graph has failed (`on_failure`), and whether nodes that do not depend on a failure go on (`runs_on`, rule X6).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from promissory.planner.plan.policy import Policy
from promissory.planner.plan.specs import Map, Spec, graphs_of
from promissory.typesys.buffer import PartName
from promissory.typesys.canonical import has_parts, opened, unpack
from promissory.typesys.types import Type, short_name

CALL, PLAN, MAP, BRANCH, GATE, RESCUE, MERGE, EARLIER = range(8)
INPUT, NODE, LIST, TUPLE, DICT, RECORD, ARM, ERROR = range(8)

KIND_NAMES: Final = ("call", "plan", "map", "branch", "gate", "rescue", "merge", "earlier")

Binding = Any
"""A tree of the table at the top of the file."""

BY_VALUE_SIZE: Final = 16
"""The length of an identity that is no digest. Code without canonical bytes is known by a random token."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input of a callee or graph. `default` holds the encoded default, if there is one."""

    name: str
    type: Type
    default: bytes | None = None
    kind: Literal["positional", "both", "keyword"] = "both"


@dataclass(frozen=True, slots=True)
class Interface:
    """The typed inputs and the typed result of a callable."""

    parameters: tuple[Parameter, ...]
    result: Type

    def __str__(self) -> str:
        inner = ", ".join(f"{p.name}: {p.type}" + (" = …" if p.default is not None else "") for p in self.parameters)
        return f"({inner}) -> {self.result}"


@dataclass(frozen=True, slots=True)
class Callee:
    """The code that a node calls: by name and digest, never by content.

    `digest` is the 32-byte digest of its source, or a 16-byte token where identity is by value (rule A11). An async
    task overlaps with others on an event loop; an async dynamic awaits.
    """

    name: str
    digest: bytes
    interface: Interface
    policy: Policy
    kind: Literal["task", "dynamic", "cycle"]
    is_async: bool = False

    @property
    def short_name(self) -> str:
        return short_name(self.name)


@dataclass(frozen=True, slots=True)
class Output:
    """A named result of a graph."""

    name: str
    type: Type
    binding: Binding


@dataclass(frozen=True, slots=True)
class Graph:
    """One level of a plan. See the table at the top of the file."""

    name: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Output, ...]
    kinds: bytes
    targets: array[int]
    offsets: array[int]
    bindings: bytes
    after: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    overrides: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    specs: Mapping[int, Spec] = field(default_factory=dict)
    on_failure: int | None = None
    runs_on: bool = False

    def __len__(self) -> int:
        return len(self.kinds)

    def calls(self, index: int) -> bool:
        """Tell whether a node's target is a callee: the node calls a task or dynamic, or maps over one."""
        kind = self.kinds[index]
        if kind == MAP:
            spec = self.specs[index]
            return isinstance(spec, Map) and not spec.over_graph
        return kind == CALL

    def opens(self, index: int) -> bool:
        """Tell whether a node's target is a graph: the node is a nested plan, or a map over one."""
        return self.kinds[index] == PLAN or (self.kinds[index] == MAP and not self.calls(index))

    def bindings_of(self, index: int) -> list[Binding]:
        """Give the bindings of one node."""
        trees: list[Binding] = unpack(self.bindings[self.offsets[index] : self.offsets[index + 1]])
        return trees


@dataclass(frozen=True, slots=True)
class Shape:
    """A plan without its literals. A shape says only how many literals there are."""

    callees: tuple[Callee, ...]
    graphs: tuple[Graph, ...]
    literals: int


@dataclass(frozen=True, slots=True)
class Large:
    """A literal above the inline limit, by its digest and size. The bytes lie in the plan's `blobs` or in a store.

    `in_parts` says that they name parts, which hold the value's large buffers.
    """

    digest: bytes
    size: int
    in_parts: bool = False

    @property
    def tree(self) -> list[bytes | int | bool]:
        """How it is written down."""
        return [self.digest, self.size, True] if self.in_parts else [self.digest, self.size]


Value = bytes | Large
"""Encoded bytes, or the name of an object that holds them."""


def is_in_parts(value: Value) -> bool:
    """Tell whether a value has parts."""
    return has_parts(value) if isinstance(value, bytes) else value.in_parts


def parts_of(values: Iterable[Value], blobs: Mapping[bytes, bytes]) -> tuple[PartName, ...]:
    """List the parts of values, each once. `blobs` has the bytes of the large ones."""
    whole = (value if isinstance(value, bytes) else blobs[value.digest] for value in values if is_in_parts(value))
    return tuple(dict.fromkeys(name for data in whole for name in opened(data)[1]))


def graphs_opened(graph: Graph, index: int) -> Iterator[int]:
    """List the graphs that a node may open, by number."""
    if graph.opens(index):
        yield graph.targets[index]
    if index in graph.specs:
        yield from graphs_of(graph.specs[index])


def leaves(binding: Binding) -> Iterator[Binding]:
    """List the leaves of a binding (nodes, literals, inputs), in order, repeats included.

    >>> list(leaves([LIST, [3, -1, [NODE, 5, [0]], [INPUT, 0]]]))
    [3, -1, [1, 5, [0]], [0, 0]]
    """
    todo = [binding]
    while todo:
        tree = todo.pop()
        if tree is None:
            continue
        if tree.__class__ is int or tree[0] in (INPUT, NODE, ERROR):
            yield tree
        elif tree[0] in (LIST, TUPLE):
            todo.extend(reversed(tree[1]))
        elif tree[0] == DICT:
            todo.extend(item for _, item in reversed(tree[1]))
        elif tree[0] == RECORD:
            todo.extend(reversed(tree[2]))
        elif tree[0] == ARM:
            todo.append(tree[2])


def references(binding: Binding) -> Iterator[int]:
    """List the nodes whose values a binding takes, in order, repeats included.

    >>> list(references([LIST, [3, -1, [NODE, 5, [0]], None]]))
    [3, 5]
    """
    for leaf in leaves(binding):
        if leaf.__class__ is int:
            if leaf >= 0:
                yield leaf
        elif leaf[0] == NODE:
            yield leaf[1]
