"""Plan: the data model, and nothing else. Frozen, no I/O, nothing filled in later.

A plan has a **shape** (which calls there are and how they hang together) and **literals** (the constant values in it). They stand apart so that
the frames of one recursion, whose plans differ in their literals only, share one shape and everything that is computed from it.

A shape has a table of callees and a table of graphs. Graph 0 is the workflow; the others are nested workflows, each written once however often it
is called, each after all graphs that call it. A graph holds its nodes as columns:

============ =================== ==================================================================================
column       in memory           meaning for node i
============ =================== ==================================================================================
kinds        bytes               CALL: a task or dynamic; PLAN: a nested graph; MAP, BRANCH, GATE, RESCUE, MERGE: as `specs` has it
targets      array of uint32     index of its callee (CALL, MAP) or graph (PLAN, MAP); else 0
offsets      array of uint32     where its bindings begin in `bindings` (one entry more than nodes)
bindings     bytes               a canonical msgpack array: one binding a parameter, in the order of the interface
after        {i: (j, …)}         nodes that must succeed before it, beyond those whose values it takes
overrides    {i: {…}}            what the author changed for this node alone (`name`, `trigger`, `standby`, a task's policy)
specs        {i: spec}           what a node that is no plain call says beside its bindings (`promissory.planner.plan.specs`)
============ =================== ==================================================================================

A **binding** says where a parameter's value comes from, as a tree:

======================= ===========================================================================================
tree                    meaning
======================= ===========================================================================================
n ≥ 0                   the whole value of node n
-1-k                    literal k
nil                     the parameter's default
[INPUT, i, path?]       input i of the graph, or what a path leads to in it
[NODE, n, path]         what a path leads to in the value of node n
[LIST, [b, …]]          a list of bindings
[TUPLE, [b, …]]         a tuple of bindings
[DICT, [[key, b], …]]   a dict; keys are wire trees of the key type
[RECORD, type?, [b, …]] a dataclass or NamedTuple; its type's bytes only where the target is `Any`
[ARM, i, b]             b, as arm i of the union that is wanted
[ERROR]                 why the graph failed, as a `NodeFailure`
======================= ===========================================================================================

Nodes stand in topological order and refer to each other by position. A graph says beside its nodes which of them runs when it has failed (`on_failure`), and whether what does
not depend on a failure goes on (`runs_on`, rule X6).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from promissory.planner.plan.policy import Policy
from promissory.planner.plan.specs import Map, Spec, graphs_of
from promissory.typesys.canonical import unpack
from promissory.typesys.types import Type, short_name

if TYPE_CHECKING:
    from promissory.planner.errors import Where

CALL, PLAN, MAP, BRANCH, GATE, RESCUE, MERGE = range(7)
INPUT, NODE, LIST, TUPLE, DICT, RECORD, ARM, ERROR = range(8)

KIND_NAMES: Final = ("call", "plan", "map", "branch", "gate", "rescue", "merge")

Binding = Any
"""A tree as in the table at the top of the file."""

BY_VALUE_SIZE: Final = 16
"""Length of an identity that is no digest: code without canonical bytes is known by a random token."""


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

    `digest` is the 32-byte digest of its source, or a 16-byte token where identity is by value (rule A11).
    """

    name: str
    digest: bytes
    interface: Interface
    policy: Policy
    kind: Literal["task", "dynamic"]

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
        """Whether a node's target is a callee: it calls a task or dynamic, or maps over one."""
        kind = self.kinds[index]
        if kind == MAP:
            spec = self.specs[index]
            return isinstance(spec, Map) and not spec.over_graph
        return kind == CALL

    def opens(self, index: int) -> bool:
        """Whether a node's target is a graph: a nested plan, or a map over one."""
        return self.kinds[index] == PLAN or (self.kinds[index] == MAP and not self.calls(index))

    def bindings_of(self, index: int) -> list[Binding]:
        """The bindings of one node."""
        trees: list[Binding] = unpack(self.bindings[self.offsets[index] : self.offsets[index + 1]])
        return trees


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything of a plan but its literals, of which it says only how many there are."""

    callees: tuple[Callee, ...]
    graphs: tuple[Graph, ...]
    literals: int


@dataclass(frozen=True, slots=True)
class Large:
    """A literal above the inline limit: its digest and size; the bytes lie in the plan's `blobs` or in a store."""

    digest: bytes
    size: int


Value = bytes | Large
"""Encoded bytes, or the name of an object that holds them."""


@dataclass(frozen=True, slots=True)
class Node:
    """A view of one node, made on demand."""

    index: int
    name: str
    kind: Literal["task", "dynamic", "plan", "map", "branch", "gate", "rescue", "merge"]
    target: Callee | Graph | Spec
    bindings: tuple[Binding, ...]
    after: tuple[int, ...]
    overrides: Mapping[str, Any]
    where: Where | None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a plan came from, beside its bytes and never part of them: source lines, and the functions themselves."""

    lines: tuple[tuple[Where | None, ...], ...] = ()
    entities: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled workflow: data that any machine can read, and that runs wherever the tasks' code can be imported.

    >>> from promissory import task, workflow
    >>> @task
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> @workflow
    ... def four_times(x: int) -> int:
    ...     return double(double(x))
    >>> plan = four_times.compile()
    >>> print(plan)
    plan four_times(x: int) -> int
      double   : int = task double(x=x)
      double~2 : int = task double(x=double)
      return double~2
    >>> Plan.from_bytes(plan.to_bytes()).digest == plan.digest
    True
    """

    shape: Shape
    literals: tuple[Value, ...]
    blobs: Mapping[bytes, bytes] = field(default_factory=dict)
    origin: Origin = field(default_factory=Origin, compare=False)

    @property
    def graph(self) -> Graph:
        """The outermost graph."""
        return self.shape.graphs[0]

    @property
    def name(self) -> str:
        return self.graph.name

    @property
    def inputs(self) -> tuple[Parameter, ...]:
        return self.graph.inputs

    @property
    def outputs(self) -> tuple[Output, ...]:
        return self.graph.outputs

    @property
    def digest(self) -> str:
        """BLAKE2b-256 over shape and literals, in hex: equal for equal plans, whoever compiled them."""
        from promissory.planner.plan.format import plan_digest

        return plan_digest(self).hex()

    def __len__(self) -> int:
        return len(self.graph)

    def __bool__(self) -> bool:
        return True  # also without nodes

    def __hash__(self) -> int:
        return hash(self.digest)

    def nodes(self, graph: int = 0) -> Iterator[Node]:
        """The nodes of a graph, in order."""
        from promissory.planner.plan.names import node_names

        columns = self.shape.graphs[graph]
        names = node_names(self.shape, graph)
        lines = self.origin.lines[graph] if self.origin.lines else ()
        for index in range(len(columns)):
            target = columns.targets[index]
            called: Callee | Graph | Spec
            if columns.kinds[index] == CALL:
                called = self.shape.callees[target]
                kind: Any = called.kind
            elif columns.kinds[index] == PLAN:
                called, kind = self.shape.graphs[target], "plan"
            else:
                called, kind = columns.specs[index], KIND_NAMES[columns.kinds[index]]
            yield Node(
                index,
                names[index],
                kind,
                called,
                tuple(columns.bindings_of(index)),
                columns.after.get(index, ()),
                columns.overrides.get(index, {}),
                lines[index] if lines else None,
            )

    def literal(self, index: int) -> bytes:
        """The bytes of a literal. Raises `KeyError` if it is large and its blob is not with the plan."""
        value = self.literals[index]
        return value if isinstance(value, bytes) else self.blobs[value.digest]

    def to_bytes(self) -> bytes:
        """The plan file: canonical, complete by itself, with a check sum."""
        from promissory.planner.plan.format import plan_to_bytes

        return plan_to_bytes(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Plan:
        """The plan of a plan file or futures file; runs no code and imports nothing.

        Raises:
            PlanFormatError: the bytes are damaged, cut short, or of a newer version.
        """
        from promissory.planner.plan.format import plan_from_bytes

        return plan_from_bytes(data)

    def save(self, path: str | Path) -> None:
        """Write the plan file."""
        Path(path).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan file or futures file. Raises `PlanFormatError` and `OSError`."""
        return cls.from_bytes(Path(path).read_bytes())

    def verify(self) -> None:
        """Raise `PlanError` unless every invariant of `promissory.planner.plan.verify` holds."""
        from promissory.planner.plan.verify import verify

        verify(self)

    def show(self) -> str:
        """The plan as text, one line a node."""
        from promissory.planner.plan.show import show

        return show(self)

    def to_mermaid(self) -> str:
        """The plan as a Mermaid flowchart."""
        from promissory.planner.plan.mermaid import to_mermaid

        return to_mermaid(self)

    def __str__(self) -> str:
        return self.show()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook draws."""
        return {"text/plain": self.show(), "text/vnd.mermaid": self.to_mermaid()}


def graphs_opened(graph: Graph, index: int) -> Iterator[int]:
    """The graphs that a node may open, by number."""
    if graph.opens(index):
        yield graph.targets[index]
    if index in graph.specs:
        yield from graphs_of(graph.specs[index])


def leaves(binding: Binding) -> Iterator[Binding]:
    """The leaves of a binding (nodes, literals, inputs), in order, repeats included.

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
    """The nodes whose values a binding takes, in order, repeats included.

    >>> list(references([LIST, [3, -1, [NODE, 5, [0]], None]]))
    [3, 5]
    """
    for leaf in leaves(binding):
        if leaf.__class__ is int:
            if leaf >= 0:
                yield leaf
        elif leaf[0] == NODE:
            yield leaf[1]
