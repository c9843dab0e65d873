"""One compile, or one expansion of a dynamic: the tables that its graphs share, and the problems found.

Misuse raises at once and is remembered in `fatal`, so that a body which swallowed the exception fails the compile all
the same (rule A7). Every other problem is collected in `problems`, and all are reported together when the plan is asked
for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

from promissory.planner.errors import CompileError, StaticRecursion, Where, raise_all, user_line
from promissory.planner.functions import registry
from promissory.planner.functions.entity import Entity
from promissory.planner.functions.frozen import contents, frozen
from promissory.planner.plan.model import Binding, Callee, Graph, Large, Shape, Value, parts_of
from promissory.planner.plan.plan import Origin, Plan
from promissory.planner.plan.renumber import rebase, renumber_graphs
from promissory.typesys.buffer import LARGEST_PART, Buffer, names_of
from promissory.typesys.canonical import INLINE_LIMIT, digest, has_parts

_SHARED_LITERAL: Final = 32
"""Equal literals above this many bytes stand once. A smaller literal keeps its own place, so that the shape of a plan
does not depend on which of its literals happen to be equal."""


class Mark(NamedTuple):
    """A state of a session to which `rollback` returns."""

    graphs: int
    problems: int
    literals: list[Value]
    literal_index: dict[bytes, int]


class Traceable(Protocol):
    """A workflow function, which stands above this layer."""

    name: str

    def trace(self, session: Session) -> int:
        """Trace the body as one graph of a session; gives the graph's number."""
        ...


@runtime_checkable
class HasGraph(Protocol):
    """A callable that is called as a graph of its own: a workflow, by decorator or by hand."""

    def graph_in(self, session: Session) -> int:
        """Give the number of its graph in a session."""
        ...


class Session:
    """A session holds the tables that the graphs of one compile share."""

    def __init__(self) -> None:
        self.callees: list[Callee] = []
        self.entities: list[Entity[..., Any]] = []
        self.literals: list[Value] = []
        self.blobs: dict[bytes, bytes] = {}
        self.graphs: list[Graph] = []
        self.lines: list[tuple[Where | None, ...]] = []
        self.open: list[Traceable] = []
        self.problems: list[CompileError] = []
        self.fatal: list[BaseException] = []
        self._callee_index: dict[tuple[int, tuple[int, ...]], int] = {}
        self._recorded: list[Entity[..., Any]] = []
        self._literal_index: dict[bytes, int] = {}
        self._nested: dict[int, tuple[Any, int]] = {}
        self._adopted: dict[tuple[int, str], tuple[Any, int]] = {}

    def callee(self, entity: Entity[..., Any]) -> int:
        """Give the row of an entity in the table of callees.

        A call adds a row if it is the first of its entity, or if the variables that the entity captured hold other
        objects than before (rule A12).
        """
        key = (id(entity), contents(entity) if entity.function.__closure__ else ())
        index = self._callee_index.get(key)
        if index is None:
            index = self._callee_index[key] = len(self.callees)
            self._recorded.append(entity)  # `id()` of a freed object may be reused
            callee = entity.callee()
            entity = frozen(entity)
            registry.remember(callee, entity)
            self.callees.append(callee)
            self.entities.append(entity)
        return index

    def literal(self, data: bytes) -> Binding:
        """Take a literal's bytes and give their binding."""
        if len(data) > _SHARED_LITERAL:
            known = self._literal_index.get(data)
            if known is not None:
                return -1 - known
            self._literal_index[data] = len(self.literals)
        if len(data) > INLINE_LIMIT:
            name = digest("value", data)
            self.blobs[name] = data
            self.literals.append(Large(name, len(data), has_parts(data)))
        else:
            self.literals.append(data)
        return -len(self.literals)

    def take_part(self, buffer: Buffer) -> None:
        """Take the bytes of a literal's buffer, as they are now."""
        content = buffer.content()
        names = names_of(buffer)
        for number, name in enumerate(names):
            self.blobs[name.digest] = content[number * LARGEST_PART :][: name.size] if len(names) > 1 else content

    def nested(self, workflow: Traceable) -> int:
        """Give the number of a nested workflow's graph. The workflow is traced once, however often it is called."""
        if workflow in self.open:
            chain = " → ".join(one.name for one in [*self.open[self.open.index(workflow) :], workflow])
            error = StaticRecursion(
                f"{workflow.name} calls itself while it is being traced: {chain}",
                where=user_line(),
                way_out="make it @dynamic: a dynamic sees its inputs as values, so it can end the recursion",
            )
            self.fatal.append(error)
            raise error
        if id(workflow) not in self._nested:
            # Keep the workflow itself: `id()` of a freed object may be reused.
            self._nested[id(workflow)] = (workflow, workflow.trace(self))
        return self._nested[id(workflow)][1]

    def nested_number(self, workflow: Any) -> int | None:
        """Give the number of a workflow's graph; None if the workflow was not called here."""
        found = self._nested.get(id(workflow))
        return None if found is None else found[1]

    def add(self, graph: Graph, lines: Sequence[Where | None]) -> int:
        """Take a finished graph, with the author's line of each node; gives its number."""
        self.graphs.append(graph)
        self.lines.append(tuple(lines))
        return len(self.graphs) - 1

    def mark(self) -> Mark:
        """Note the state for `rollback`."""
        return Mark(len(self.graphs), len(self.problems), list(self.literals), dict(self._literal_index))

    def rollback(self, mark: Mark) -> None:
        """Forget the graphs, problems and literals since a mark."""
        del self.graphs[mark.graphs :], self.lines[mark.graphs :], self.problems[mark.problems :]
        self.literals, self._literal_index = mark.literals, mark.literal_index

    def adopt(self, workflow: Any, plan: Plan) -> int:
        """Take over the graphs of a workflow's finished plan, once however often the workflow is called.

        Gives the number of the outermost graph.
        """
        key = (id(workflow), plan.digest)
        if key not in self._adopted:
            self._adopted[key] = (workflow, self._adopt(plan))
        return self._adopted[key][1]

    def _adopt(self, plan: Plan) -> int:
        callees = [self._adopt_callee(c, e) for c, e in zip(plan.shape.callees, plan.origin.entities, strict=True)]
        literals = [self.literal(plan.literal(index)) for index in range(len(plan.literals))]
        self.blobs.update((part.digest, plan.blobs[part.digest]) for part in parts_of(plan.literals, plan.blobs))
        first = len(self.graphs)
        count = len(plan.shape.graphs)
        for number, graph in reversed(list(enumerate(plan.shape.graphs))):
            self.add(rebase(graph, callees, literals, lambda old: first + count - 1 - old), plan.origin.lines[number])
        return len(self.graphs) - 1

    def _adopt_callee(self, callee: Callee, entity: Entity[..., Any]) -> int:
        index = self.callee(entity)
        assert self.callees[index].interface == callee.interface
        return index

    def plan(self) -> Plan:
        """Give the finished plan. Raises the misuse or the problems that were collected."""
        if self.fatal:
            raise self.fatal[0]
        raise_all(self.problems)
        last = len(self.graphs) - 1
        graphs = tuple(renumber_graphs(graph, last) for graph in reversed(self.graphs))
        shape = Shape(tuple(self.callees), graphs, len(self.literals))
        return Plan(
            shape, tuple(self.literals), dict(self.blobs), Origin(tuple(reversed(self.lines)), tuple(self.entities))
        )
