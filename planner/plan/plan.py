"""`Plan`: a compiled workflow with its methods, and the views that a plan gives of its nodes.

The methods that write, verify or draw a plan import their modules when they are called, so a process that only reads
plans loads no drawing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from promissory.planner.plan.model import (
    CALL,
    KIND_NAMES,
    PLAN,
    Binding,
    Callee,
    Graph,
    Output,
    Parameter,
    Shape,
    Value,
    parts_of,
)
from promissory.planner.plan.names import node_names
from promissory.planner.plan.specs import Spec

if TYPE_CHECKING:
    from promissory.planner.errors import Where


@dataclass(frozen=True, slots=True)
class Node:
    """A view of one node, made on demand."""

    index: int
    name: str
    kind: Literal["task", "dynamic", "plan", "map", "branch", "gate", "rescue", "merge", "cycle", "earlier"]
    target: Callee | Graph | Spec
    bindings: tuple[Binding, ...]
    after: tuple[int, ...]
    overrides: Mapping[str, Any]
    where: Where | None


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a plan, beside its bytes and never part of them: source lines, and the functions themselves."""

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
        """BLAKE2b-256 over shape and literals, in hex.

        Equal plans have equal digests, on whatever machine they were compiled.
        """
        from promissory.planner.plan.format import plan_digest

        return plan_digest(self).hex()

    def __len__(self) -> int:
        return len(self.graph)

    def __bool__(self) -> bool:
        return True  # A plan without nodes is true too.

    def __hash__(self) -> int:
        return hash(self.digest)

    def nodes(self, graph: int = 0) -> Iterator[Node]:
        """Give the nodes of a graph, in order."""
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

    @property
    def is_complete(self) -> bool:
        """Whether the plan's large literals are with it. Those of a futures file lie in the store of its run."""
        large = [value.digest for value in self.literals if not isinstance(value, bytes)]
        return all(name in self.blobs for name in large) and all(
            part.digest in self.blobs for part in parts_of(self.literals, self.blobs)
        )

    def literal(self, index: int) -> bytes:
        """Give the bytes of a literal. Raises `KeyError` if the literal is large and its blob is not with the plan."""
        value = self.literals[index]
        return value if isinstance(value, bytes) else self.blobs[value.digest]

    def to_bytes(self) -> bytes:
        """Write the plan file: canonical, complete by itself, with a check sum."""
        from promissory.planner.plan.format import plan_to_bytes

        return plan_to_bytes(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Plan:
        """Read the plan of a plan file or futures file. This runs no code and imports nothing.

        Raises:
            PlanFormatError: the bytes are damaged, cut short, or of a newer version.
        """
        from promissory.planner.plan.format import plan_from_bytes

        return plan_from_bytes(data)

    def save(self, path: str | Path) -> None:
        """Save the plan file."""
        Path(path).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan file or futures file. Raises `PlanFormatError` and `OSError`."""
        return cls.from_bytes(Path(path).read_bytes())

    def verify(self) -> None:
        """Raise `PlanError` unless every invariant of `promissory.planner.plan.verify` holds."""
        from promissory.planner.plan.verify import verify

        verify(self)

    def show(self, code: bool = False) -> str:
        """Print the plan as text, one line a node; with `code`, also where each callable is found, and its
        code's digest."""
        from promissory.planner.plan.show import show

        return show(self, code)

    def to_mermaid(self) -> str:
        """Draw the plan as a Mermaid flowchart."""
        from promissory.planner.plan.mermaid import to_mermaid

        return to_mermaid(self)

    def __str__(self) -> str:
        return self.show()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Give a notebook the forms that it can show."""
        return {"text/plain": self.show(), "text/vnd.mermaid": self.to_mermaid()}
