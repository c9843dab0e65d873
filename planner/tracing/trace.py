"""The tracing context: entities call in, nodes come out.

A `Trace` is one graph in the making: the columns of `promissory.planner.plan.model.Graph`, appended to call by call. What the graphs of one compile share, its problems too, is the
`promissory.planner.tracing.session.Session`. Which trace is the current one is a context variable, so threads and event loops don't meet.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Protocol, cast

from promissory.planner.active import current
from promissory.planner.errors import (
    CompileError,
    DecorationError,
    DuplicateName,
    LeakedPromise,
    OrderCycle,
    OverrideError,
    PromiseError,
    Where,
    WrongCall,
    user_line,
)
from promissory.planner.functions.entity import Entity, refuse_unknown_inputs
from promissory.planner.functions.signature import Signature
from promissory.planner.functions.version import with_code_version
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
from promissory.planner.plan.policy import OVERRIDABLE, overridden, policy_of
from promissory.planner.plan.renumber import renumber_nodes
from promissory.planner.plan.specs import Gate, Map, Spec
from promissory.planner.plan.triggers import check_trigger
from promissory.planner.tracing.binder import Binder
from promissory.planner.tracing.checks import Surroundings, check_starts, with_standby
from promissory.planner.tracing.promise import MARKER, Promise
from promissory.planner.tracing.session import Session
from promissory.typesys.canonical import pack
from promissory.typesys.types import Type, short_name


class OpenArm(Protocol):
    """An arm of a choice that is open: calls belong to it until it is closed."""

    def must_be_closed(self) -> None:
        """Raise `BranchError`: another statement begins."""

    def not_closed(self) -> CompileError:
        """What is wrong with a workflow that ends while the arm is open."""


@dataclass
class UseOfChoice:
    """Where a choice that may get more arms was used: the type that is wanted, what takes it, and the author's line."""

    wanted: Type
    said: str = "what takes it"
    where: Where | None = None


class Trace:
    """One graph in the making."""

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
        self._named: dict[str, int] = {}
        self.on_failure: int | None = None
        self.runs_on = False
        self.follows_jumps = True
        self._on_duty: set[int] = set()
        self._after: dict[int, set[int]] = {}
        self._overrides: dict[int, dict[str, Any]] = {}
        self._unordered = False

    def __len__(self) -> int:
        return len(self._kinds)

    def input(self, index: int) -> Promise[Any]:
        """The promise of an input."""
        return Promise(self, self.inputs[index].type, [INPUT, index])

    def input_name(self, index: int) -> str:
        """An input as an error message says it."""
        return f"input {self.inputs[index].name}"

    def called(self, node: int) -> str:
        """The name of what a node calls."""
        kind, spec = self._kinds[node], self._specs.get(node)
        if kind == PLAN or (isinstance(spec, Map) and spec.over_graph):
            return self.session.graphs[self._targets[node]].name
        if kind in (CALL, MAP):
            return short_name(self.session.callees[self._targets[node]].name)
        if isinstance(spec, Gate):
            return spec.name
        name: str = self._overrides.get(node, {}).get("name", KIND_NAMES[kind])
        return name

    def problem(self, error: CompileError) -> None:
        """Collect a problem that lets the trace go on."""
        self.session.problems.append(error)

    # --- calls ---

    def record_call(self, entity: Entity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Promise[Any]:
        """A call of a task or dynamic: a node, and one promise of its result."""
        return self._record(CALL, self.session.callee(entity), entity.signature, args, kwargs)

    def record_plan(
        self, number: int, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Promise[Any]:
        """A call of a nested workflow."""
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
        """A node; gives its number."""
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
        """A node whose bindings and spec are known when the graph is finished; `finish` gives them then."""
        node = self.add(kind, 0, [], where, spec)
        self._later[node] = finish
        return node

    def note_use_of_choice(self, value: Promise[Any], wanted: Type) -> None:
        """A choice that may get more arms is used where this type is wanted."""
        use = UseOfChoice(wanted)
        self.uses_of_choices.append(use)
        self._uses_by_choice.setdefault(value._promissory_binding, []).append(use)

    def uses_of(self, node: int | None) -> list[UseOfChoice]:
        """Where the choice that a node stands for is used."""
        return [] if node is None else self._uses_by_choice.get(node, [])

    def restate(self, node: int, spec: Spec) -> None:
        """Give a node that is known later another spec for now; what was called since may go before it."""
        self._specs[node] = spec
        self._unordered = True

    @property
    def specs(self) -> list[Spec]:
        """The specs of its nodes so far."""
        return list(self._specs.values())

    def referred(self, entity: Entity[..., Any]) -> Promise[Any]:
        """The node of an entity that is named in an order (`a >> b`) without being called: one for each entity."""
        if id(entity) not in self._referred:
            self._referred[id(entity)] = (entity, cast(Any, entity)())
        return self._referred[id(entity)][1]

    def record_rescue(self, source: Promise[Any], fallback: Any) -> Promise[Any]:
        """What a node gives, or what a fallback makes of its failure (rule X9)."""
        from promissory.planner.tracing.rescue import add_rescue

        return add_rescue(self, source, fallback)

    # --- promises of the traces around this one ---

    def capture(self, binding: Binding, type: Type) -> Binding:
        """A value of the trace around this one, as an input of this one."""
        key = pack(binding)
        if key not in self._captured:
            self._captured[key] = len(self.inputs)
            self.inputs.append(Parameter(f"in{len(self.inputs)}", type))
            self.captures.append(binding)
        return [INPUT, self._captured[key]]

    def binding_of(self, promise: Promise[Any]) -> Binding:
        """How this trace refers to a promise: its own, or one of a trace around it. Raises `LeakedPromise`."""
        if promise._promissory_trace is self:
            return promise._promissory_binding
        if not self._is_around(promise._promissory_trace):
            self.mine(promise)
        assert self.outer is not None
        return self.capture(self.outer.binding_of(promise), promise._promissory_type)

    def _is_around(self, trace: Trace) -> bool:
        outer = self.outer
        while outer is not None and outer is not trace:
            outer = outer.outer
        return outer is not None

    def mine(self, candidate: Promise[Any]) -> None:
        """Raise `LeakedPromise` if a promise belongs to another trace."""
        left_open = candidate._promissory_trace.open_arm
        if left_open is not None and candidate._promissory_trace is not self:
            raise left_open.not_closed()
        if candidate._promissory_trace is not self:
            node = candidate._node()
            line = None if node is None else candidate._promissory_trace.lines[node]
            made = f"{candidate._said()}, made {f'at {line} ' if line else ''}while {candidate._promissory_trace.name} was traced"
            error = LeakedPromise(
                f"a promise was used outside its workflow: {made}, is used in {self.name}",
                where=user_line(),
                way_out="pass it in as an argument",
            )
            self.fatal.append(error)
            raise error

    # --- order and overrides ---

    def order(self, before: Sequence[Any], after: Sequence[Any]) -> list[Any]:
        """Order edges from each of `before` to each of `after`; gives `after`, with the nodes of entities that are named without being called."""
        before, after = self._referring(before), self._referring(after)
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

    def override(self, node: int, name: str | None, given: dict[str, Any]) -> None:
        """Change a node's name and policy."""
        where = user_line()
        entries: dict[str, Any] = {key: given.pop(key) for key in ("trigger", "standby") if key in given}
        unknown = given.keys() - OVERRIDABLE
        if unknown:
            there = ", ".join(sorted(OVERRIDABLE))
            raise TypeError(
                f"with_overrides() got an unexpected keyword argument {sorted(unknown)[0]!r}; there are: name, standby, trigger, {there}"
            )
        if given and not (
            self._kinds[node] == CALL
            or (self._kinds[node] == MAP and not getattr(self._specs.get(node), "over_graph", True))
        ):
            said = (
                f"{', '.join(given)} can't be set for a whole workflow"
                if self._kinds[node] == PLAN
                else f"{', '.join(given)} can't be set for {self.called(node)}, which calls no task"
            )
            self.problem(OverrideError(said, where=where, way_out="set it for the tasks in it"))
            return
        try:
            if "trigger" in entries:
                check_trigger(entries["trigger"])
            if "standby" in entries and entries["standby"].__class__ is not bool:
                raise ValueError(f"standby must be True or False, not {entries['standby']!r}")
            if entries.get("standby") is False:
                del entries["standby"]
                self._on_duty.add(node)
                self._overrides.get(node, {}).pop("standby", None)
            entries |= self._resolved(node, policy_of(given).entries(given))
        except ValueError as error:
            self.problem(OverrideError(str(error), where=where, way_out="see the arguments of @task"))
            return
        except DecorationError as error:
            self.problem(OverrideError(error.message, where=where, way_out=error.way_out))
            return
        if name is not None:
            entries["name"] = name
        if name is not None:
            if not isinstance(name, str) or not name or "/" in name or "~" in name or MARKER in name:
                way_out = "give a text without / and ~, and not made of a promise"
                self.problem(DuplicateName(f"{name!r} can't be a node's name", where=where, way_out=way_out))
                return
            self._named.pop(self._overrides.get(node, {}).get("name", ""), None)
            if self._named.setdefault(name, node) != node:
                self.problem(
                    DuplicateName(
                        f"two nodes of {self.name} are named {name!r}", where=where, way_out="give each its own name"
                    )
                )
                return
        if entries:
            self._overrides.setdefault(node, {}).update(entries)

    def _resolved(self, node: int, entries: dict[str, Any]) -> dict[str, Any]:
        """Overrides as they stand in the plan: a version of the cache that says what it stands for (rules R3, A11)."""
        if not entries.keys() & {"cache", "cache_version", "cache_ignore"}:
            return entries
        entity = self.session.entities[self._targets[node]]
        policy = overridden(entity.policy, {**self._overrides.get(node, {}), **entries})

        refuse_unknown_inputs(entity.function, policy)
        if policy.cache:
            entries = {
                **entries,
                **with_code_version(policy, entity.function, entity.callee().digest).entries(["cache_version"]),
            }
        return entries

    # --- the end ---

    def finish(self, outputs: Sequence[tuple[str, Type, Any, str]], where: Where | None) -> int:
        """Close the graph; gives its number. `outputs` are (name, type, value, what to call it in messages)."""
        for arm in self.arms_open:
            self.fatal.insert(0, arm.not_closed())  # what is wrong because of that is told after it
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
            {node: dict(entries) for node, entries in sorted(self._overrides.items())},
            dict(sorted(self._specs.items())),
            self.on_failure,
            self.runs_on,
        )
        around = Surroundings(self.session.entities, self.session.graphs, self.called, self.lines)
        if self.follows_jumps:
            graph = with_standby(graph, around, self._on_duty, self.session.problems)
        self.session.problems += check_starts(graph, around)
        if not self._unordered:
            return self.session.add(graph, self.lines)
        order, circle = in_order(graph)
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
        return self.session.add(renumber_nodes(graph, order), [self.lines[node] for node in order])

    def finish_with(self, name: str, type: Type, binding: Binding) -> int:
        """Close the graph with one output that is bound already."""
        number = self.finish([], None)
        self.session.graphs[number] = replace(self.session.graphs[number], outputs=(Output(name, type, binding),))
        return number


def tracing() -> Trace | None:
    """The current trace, if one is being made."""
    active = current.get()
    return active if isinstance(active, Trace) else None
