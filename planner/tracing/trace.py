"""The tracing context: entities record their calls, and nodes come out.

A `Trace` is one graph in the making: the columns of `promissory.planner.plan.model.Graph`, appended to call by call.
The graphs of one compile share a `promissory.planner.tracing.session.Session`, which has their problems too. The
current trace is a context variable, so the traces of threads and event loops don't meet.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, cast

from promissory.planner.active import current
from promissory.planner.errors import (
    CompileError,
    LeakedPromise,
    OrderCycle,
    PromiseError,
    Where,
    WrongCall,
    user_line,
)
from promissory.planner.functions.entity import Entity
from promissory.planner.functions.signature import Signature
from promissory.planner.plan.model import (
    CALL,
    INPUT,
    KIND_NAMES,
    MAP,
    PLAN,
    Binding,
    Graph,
    Output,
    Parameter,
    references,
)
from promissory.planner.plan.order import in_order
from promissory.planner.plan.renumber import renumber_nodes
from promissory.planner.plan.specs import Gate, Map, Spec
from promissory.planner.tracing.binder import Binder
from promissory.planner.tracing.checks import Surroundings, check_starts, with_senders, with_standby
from promissory.planner.tracing.overrides import Overrides
from promissory.planner.tracing.parts import CycleBody, OpenArm, UseOfChoice
from promissory.planner.tracing.promise import Promise
from promissory.planner.tracing.segment import Segment
from promissory.planner.tracing.session import Session
from promissory.typesys.canonical import pack
from promissory.typesys.types import Type, short_name


class Trace:
    """A trace is one graph in the making."""

    def __init__(self, session: Session, name: str, inputs: Sequence[Parameter], outer: Trace | None = None) -> None:
        self.session = session
        self.name = name
        self.outer = outer
        self.inputs = list(inputs)
        self.lines: list[Where | None] = []
        self.fatal = session.fatal
        self.binder = Binder(self)
        self._kinds = bytearray()
        self._targets = array("I")
        self._rows: list[bytes] = []
        self._specs: dict[int, Spec] = {}
        self._later: dict[int, Callable[[], tuple[list[Binding], Spec]]] = {}
        self._referred: dict[int, tuple[Any, Promise[Any]]] = {}
        self._captured: dict[bytes, int] = {}
        self.captures: list[Binding] = []
        self.open_arm: OpenArm | None = None
        self.arms_open: list[OpenArm] = []
        self.uses_of_choices: list[UseOfChoice] = []
        self._uses_by_choice: dict[int, list[UseOfChoice]] = {}
        self.on_failure: int | None = None
        self.runs_on = False
        self.follows_jumps = True
        self.cycle: CycleBody | None = None
        self.segment: Segment | None = None
        self.places: Sequence[int] | None = None
        self.in_dynamic: bool = False if outer is None else outer.in_dynamic
        self._after: dict[int, set[int]] = {}
        self._overrides = Overrides(self)
        self._unordered = False

    def __len__(self) -> int:
        return len(self._kinds)

    def input(self, index: int) -> Promise[Any]:
        """Give the promise of an input."""
        return Promise(self, self.inputs[index].type, [INPUT, index])

    def input_name(self, index: int) -> str:
        """Name an input as an error message does."""
        return f"input {self.inputs[index].name}"

    def called(self, node: int) -> str:
        """Name the target of a node."""
        kind, spec = self._kinds[node], self._specs.get(node)
        if kind == PLAN or (isinstance(spec, Map) and spec.over_graph):
            return self.session.graphs[self._targets[node]].name
        if kind in (CALL, MAP):
            return short_name(self.session.callees[self._targets[node]].name)
        if isinstance(spec, Gate):
            return spec.name
        name: str = self._overrides.of(node).get("name", KIND_NAMES[kind])
        return name

    def kind(self, node: int) -> int:
        """Give the kind of a node."""
        return self._kinds[node]

    def entity_called(self, node: int) -> Entity[..., Any] | None:
        """Give the task or dynamic that a node calls or maps over; None for any other node."""
        spec = self._specs.get(node)
        calls = self._kinds[node] == CALL or (isinstance(spec, Map) and not spec.over_graph)
        return self.session.entities[self._targets[node]] if calls else None

    def given_name(self, node: int) -> str | None:
        """Give the name that the author gave a node."""
        name: str | None = self._overrides.of(node).get("name")
        return name

    def target(self, node: int) -> object:
        """Tell what a node calls, as `target_of` tells it of a task, dynamic, cycle or workflow; None if it calls
        none."""
        if self._kinds[node] == PLAN:
            return self._targets[node]
        entity = self.entity_called(node)
        return None if entity is None else entity.original

    def target_of(self, what: Any) -> object:
        """Tell what a call of a task, dynamic, cycle or workflow calls, as `target` tells it of the call's node."""
        nested = self.session.nested_number(what)
        return what.original if nested is None else nested

    def problem(self, error: CompileError) -> None:
        """Collect a problem. The trace goes on, so that further problems are found."""
        self.session.problems.append(error)

    # --- calls ---

    def record_call(self, entity: Entity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Promise[Any]:
        """Record a call of a task or dynamic: a node, and one promise of its result."""
        return self._record(CALL, self.session.callee(entity), entity.signature, args, kwargs)

    def record_plan(
        self, number: int, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Promise[Any]:
        """Record a call of a nested workflow."""
        return self._record(PLAN, number, signature, args, kwargs)

    def _record(
        self, kind: int, target: int, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Promise[Any]:
        where = user_line()
        try:
            values = signature.arguments(args, kwargs)
        except WrongCall as error:
            error.where = where
            self.fatal.append(error)
            raise
        node = self.add(kind, target, self.binder.call(signature, values, where), where)
        return Promise(self, signature.interface.result, node)

    def add(
        self, kind: int, target: int, bindings: list[Binding], where: Where | None, spec: Spec | None = None
    ) -> int:
        """Append a node and give its number."""
        if self.open_arm is not None:
            self.open_arm.must_be_closed()
        node = len(self._kinds)
        self._kinds.append(kind)
        self._targets.append(target)
        self._rows.append(pack(bindings))
        self.lines.append(where)
        if spec is not None:
            self._specs[node] = spec
        return node

    def add_later(
        self, kind: int, where: Where | None, spec: Spec, finish: Callable[[], tuple[list[Binding], Spec]]
    ) -> int:
        """Append a node whose bindings and spec are known when the graph is finished. `finish` gives them then."""
        node = self.add(kind, 0, [], where, spec)
        self._later[node] = finish
        return node

    def note_use_of_choice(self, value: Promise[Any], wanted: Type) -> None:
        """Note that a choice which may get more arms is used where this type is wanted."""
        use = UseOfChoice(wanted)
        self.uses_of_choices.append(use)
        self._uses_by_choice.setdefault(value._promissory_binding, []).append(use)

    def uses_of(self, node: int | None) -> list[UseOfChoice]:
        """List the uses of the choice that a node stands for."""
        return [] if node is None else self._uses_by_choice.get(node, [])

    def restate(self, node: int, spec: Spec) -> None:
        """Give a node that `add_later` made another spec for now.

        Calls made since may have to stand before the node.
        """
        self._specs[node] = spec
        self._unordered = True

    @property
    def specs(self) -> list[Spec]:
        """List the specs of the nodes so far."""
        return list(self._specs.values())

    def referred(self, entity: Entity[..., Any]) -> Promise[Any]:
        """Give the node of an entity that an order (`a >> b`) names without calling it.

        Each entity has one such node.
        """
        if id(entity) not in self._referred:
            self._referred[id(entity)] = (entity, cast(Any, entity)())
        return self._referred[id(entity)][1]

    def record_rescue(self, source: Promise[Any], fallback: Any) -> Promise[Any]:
        """Record the fallback for a node's failure (rule X9)."""
        from promissory.planner.tracing.rescue import add_rescue

        self._must_be_open(source._node(), "say it where it is called, or handle it: try: await value(…) except …")
        return add_rescue(self, source, fallback)

    # --- promises of the traces around this one ---

    def capture(self, binding: Binding, type: Type) -> Binding:
        """Make a value of the trace around this one an input of this one."""
        key = pack(binding)
        if key not in self._captured:
            self._captured[key] = len(self.inputs)
            self.inputs.append(Parameter(f"in{len(self.inputs)}", type))
            self.captures.append(binding)
        return [INPUT, self._captured[key]]

    def binding_of(self, promise: Promise[Any]) -> Binding:
        """Refer to a promise of this trace, or of a trace around it. Raises `LeakedPromise` for any other."""
        if promise._promissory_trace is self:
            return promise._promissory_binding
        if not self._knows(promise._promissory_trace):
            self.mine(promise)
        if self.outer is None:
            assert self.segment is not None
            return self.segment.bring(self, promise)
        return self.capture(self.outer.binding_of(promise), promise._promissory_type)

    def _knows(self, trace: Trace) -> bool:
        """Tell whether another trace is around this one, or a segment before the outermost one."""
        at = self
        while at.outer is not None:
            at = at.outer
            if at is trace:
                return True
        return at.segment is not None and at.segment.follows(trace.segment)

    def mine(self, candidate: Promise[Any]) -> None:
        """Raise `LeakedPromise` if a promise belongs to another trace."""
        left_open = candidate._promissory_trace.open_arm
        if left_open is not None and candidate._promissory_trace is not self:
            raise left_open.not_closed()
        if candidate._promissory_trace is not self:
            node = candidate._node()
            line = None if node is None else candidate._promissory_trace.lines[node]
            made = (
                f"{candidate._said()}, made {f'at {line} ' if line else ''}while "
                f"{candidate._promissory_trace.name} was traced"
            )
            error = LeakedPromise(
                f"a promise was used outside its workflow: {made}, is used in {self.name}",
                where=user_line(),
                way_out="pass it in as an argument",
            )
            self.fatal.append(error)
            raise error

    # --- order and overrides ---

    def order(self, before: Sequence[Any], after: Sequence[Any]) -> list[Any]:
        """Add an order edge from each of `before` to each of `after`.

        Gives `after`, in which the nodes of entities stand that were named without being called.
        """
        active = current.get()
        if active is not self and isinstance(active, Trace) and active._knows(self):
            return active.order(before, after)
        before, after = self._referring(before), self._referring(after)
        before = [self._brought(one) for one in before]
        for candidate in (*before, *after):
            if not isinstance(candidate, Promise) or candidate._node() is None:
                said = candidate._said() if isinstance(candidate, Promise) else type(candidate).__name__
                error = PromiseError(
                    f">> orders calls, and {said} is not one",
                    where=user_line(),
                    way_out="order what calls give: a() >> b()",
                )
                self.fatal.append(error)
                raise error
            self.mine(candidate)
        for second in after:
            for first in before:
                head, tail = first._node(), second._node()
                self._after.setdefault(tail, set()).add(head)
                self._unordered = self._unordered or head >= tail
        return after

    def _referring(self, named: Sequence[Any]) -> list[Any]:
        return [
            one if isinstance(one, Promise) or not hasattr(one, "signature") else self.referred(one) for one in named
        ]

    def _must_be_open(self, node: int | None, way_out: str) -> None:
        """Raise `PromiseError` if what is said of a node comes after it was emitted."""
        if self.segment is not None and self.segment.is_closed and node is not None:
            raise PromiseError(f"{self.called(node)}() has begun already", where=user_line(), way_out=way_out)

    def _brought(self, one: Any) -> Any:
        """Stand for a promise of an earlier segment with a promise of this one; others stand for themselves."""
        if (
            isinstance(one, Promise)
            and self.segment is not None
            and self.segment.follows(one._promissory_trace.segment)
        ):
            return Promise(self, one._promissory_type, self.segment.bring(self, one))
        return one

    def override(self, node: int, name: str | None, given: dict[str, Any]) -> None:
        """Change a node's name and settings."""
        self._must_be_open(node, "say it where it is called")
        self._overrides.add(node, name, given)

    # --- the end ---

    def finish(self, outputs: Sequence[tuple[str, Type, Any, str]], where: Where | None) -> int:
        """Close the graph and give its number. `outputs` are (name, type, value, name of the value in messages)."""
        for arm in self.arms_open:
            # An open arm causes further errors: put the arm's error before them.
            self.fatal.insert(0, arm.not_closed())
        found = []
        for name, type, value, said in outputs:
            found.append(Output(name, type, self.binder.bind(value, type, said, where)))
        for node, finish in self._later.items():
            bindings, self._specs[node] = finish()
            self._rows[node] = pack(bindings)
            self._unordered = self._unordered or any(one >= node for binding in bindings for one in references(binding))
        after = {node: tuple(sorted(nodes)) for node, nodes in sorted(self._after.items())}
        graph = Graph(
            self.name,
            tuple(self.inputs),
            tuple(found),
            bytes(self._kinds),
            array("I", self._targets),
            array("I", accumulate(map(len, self._rows), initial=0)),
            b"".join(self._rows),
            after,
            self._overrides.in_order(),
            dict(sorted(self._specs.items())),
            self.on_failure,
            self.runs_on,
        )
        around = Surroundings(self.session.entities, self.session.graphs, self.called, self.lines)
        if self.follows_jumps:
            graph = with_standby(graph, around, self._overrides.on_duty, self.session.problems)
        graph = with_senders(graph, around)
        self.session.problems += check_starts(graph, around)
        if not self._unordered and self.cycle is None:
            return self.session.add(graph, self.lines)
        order, circle = in_order(graph) if self._unordered else (list(range(len(graph))), [])
        if circle:
            said = " → ".join(self.called(node) for node in circle)
            self.problem(
                OrderCycle(
                    f"order edges lead in a circle: {said}",
                    where=self.lines[circle[-1]],
                    way_out="drop one of the >> between them",
                )
            )
            return self.session.add(replace(graph, after={}), self.lines)
        if self.cycle is not None:
            graph, order = self.cycle.close(graph, order)
        else:
            graph = renumber_nodes(graph, order)
            self.places = order
        return self.session.add(graph, [self.lines[node] for node in order])

    def finish_with(self, name: str, type: Type, binding: Binding) -> int:
        """Close the graph with one output that is bound already."""
        number = self.finish([], None)
        self.session.graphs[number] = replace(self.session.graphs[number], outputs=(Output(name, type, binding),))
        return number


def tracing() -> Trace | None:
    """Give the current trace, if one is being made."""
    active = current.get()
    return active if isinstance(active, Trace) else None
