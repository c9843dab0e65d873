"""The invariants of a plan. A plan that a reader accepted, or a compile made, has them all:

1. There is a graph 0; a graph calls only graphs after itself, so nesting ends.
2. The columns of a graph agree: a kind, a target and an offset for each node; every target exists.
3. A node takes values only of nodes before it, and runs only after nodes before it: the order is topological.
4. A node has one binding for each parameter of its target; a parameter without default is bound.
5. Every edge fits: literal and default apart, the type at the end of each path is assignable to the type
   that is wanted.
6. Literals, inputs, arms and paths that bindings name exist; a plan has as many literals as its shape says.
7. Names of inputs, outputs and nodes are unique in their graph, and parameters in their callee.
8. A callee's identity is a digest of 32 bytes, or a token of 16.
9. A node that is no plain call has a spec of its kind, and only such a node has one; the graphs that it opens come
after its own and take the inputs that they are given.
10. The node that runs when a graph has failed is a call that no node waits for.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Final

from promissory.planner.errors import PlanError
from promissory.planner.plan.bindings import is_leaf, parts
from promissory.planner.plan.interfaces import result_type, target_interface
from promissory.planner.plan.model import (
    ARM,
    BRANCH,
    BY_VALUE_SIZE,
    CALL,
    DICT,
    EARLIER,
    ERROR,
    GATE,
    INPUT,
    MAP,
    MERGE,
    NODE,
    PLAN,
    RECORD,
    RESCUE,
    Graph,
    Parameter,
    Shape,
    references,
)
from promissory.planner.plan.names import can_be_a_name, name_of_graph, node_names
from promissory.planner.plan.node_failure import failure_type
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.policy import OVERRIDABLE, Policy
from promissory.planner.plan.specs import (
    GATES,
    Branch,
    Earlier,
    Gate,
    Map,
    Merge,
    Rescue,
    Spec,
    check_concurrency,
    check_condition,
    check_ratio,
)
from promissory.planner.plan.triggers import check_trigger
from promissory.typesys.assignability import why_not
from promissory.typesys.errors import FormatError
from promissory.typesys.transcode import fits
from promissory.typesys.types import ANY, NONE, DictType, Type
from promissory.typesys.value_paths import step_type


def verify(plan: Plan) -> None:
    """Raise `PlanError`, naming graph and node, at the first invariant that does not hold."""
    verify_shape(plan.shape)
    verify_literals(plan)


def verify_literals(plan: Plan) -> None:
    """Check invariant 6, for the literals that a plan brings."""
    if len(plan.literals) != plan.shape.literals:
        raise PlanError(f"the plan brings {len(plan.literals)} literals, its shape has {plan.shape.literals}")


def verify_shape(shape: Shape) -> None:
    """Check every invariant that doesn't need the literals."""
    if not shape.graphs:
        raise PlanError("the plan has no graph")
    for callee in shape.callees:
        _unique([p.name for p in callee.interface.parameters], f"parameter of {callee.name}")
        if (callee.kind == "cycle") != (callee.policy.cycle is not None):
            raise PlanError(f"{callee.name} is a {callee.kind}, and has another policy")
        if not can_be_a_name(callee.short_name):
            raise PlanError(f"{callee.name!r} can't be a callee's name")
        if len(callee.digest) not in (32, BY_VALUE_SIZE):
            raise PlanError(f"{callee.name} has an identity of {len(callee.digest)} bytes")
    for index in range(len(shape.graphs)):
        _Checker(shape, index).check()


def _unique(names: list[str], what: str) -> None:
    seen = set()
    for name in names:
        if not isinstance(name, str) or not name:
            raise PlanError(f"a {what} has no name")
        if name in seen:
            raise PlanError(f"the {what} {name!r} is there twice")
        seen.add(name)


_SPECS: dict[int, type[Spec] | None] = {
    CALL: None,
    PLAN: None,
    MAP: Map,
    BRANCH: Branch,
    GATE: Gate,
    RESCUE: Rescue,
    MERGE: Merge,
    EARLIER: Earlier,
}


_FARTHEST: Final = 1 << 20
"""The number of rounds that a node can reach back. Values are kept for as many rounds."""
_OWN_TERMS: Final = ("name", "trigger", "standby", "sends", "held")
"""The entries of a node's overrides that are no part of a policy."""


class _Checker:
    def __init__(self, shape: Shape, number: int) -> None:
        self.shape = shape
        self.number = number
        self.graph = shape.graphs[number]
        self.results: list[Type] = []

    def check(self) -> None:
        graph, count = self.graph, len(self.graph.kinds)
        if len(graph.targets) != count or len(graph.offsets) != count + 1 or graph.offsets[-1] != len(graph.bindings):
            raise self.error(None, "its columns have different lengths")
        if graph.offsets[0] != 0 or any(a >= b for a, b in pairwise(graph.offsets)):
            raise self.error(None, "its offsets don't rise")
        if not can_be_a_name(name_of_graph(graph.name)):
            raise self.error(None, "its name can't be a node's")
        _unique([p.name for p in graph.inputs], f"input of {graph.name}")
        _unique([o.name for o in graph.outputs], f"output of {graph.name}")
        for index in range(count):
            self.check_node(index)
        for index, nodes in graph.after.items():
            if index >= count or not all(0 <= before < index for before in nodes):
                raise self.error(index, "an order edge doesn't lead from an earlier node to a later one")
        for index, entries in graph.overrides.items():
            settings = {key: value for key, value in entries.items() if key not in _OWN_TERMS}
            wrong = (
                index >= count
                or not entries
                or not can_be_a_name(entries.get("name", "a name"))
                or set(settings) - OVERRIDABLE
            )
            calls_only = settings or "sends" in entries
            marks = (entries.get("standby", True), entries.get("sends", True))
            if not isinstance(entries.get("held", "a text"), str):
                raise self.error(index, "it is held under no name")
            if wrong or (calls_only and not graph.calls(index)) or marks != (True, True):
                raise self.error(index, f"unknown overrides {sorted(entries)}")
            try:
                Policy.from_map(settings, redundant=True)
                if "trigger" in entries:
                    check_trigger(entries["trigger"])
            except (ValueError, TypeError) as error:
                raise self.error(index, f"a bad override: {error}") from None
        self.check_on_failure()
        for output in graph.outputs:
            self.check_binding(output.binding, output.type, count, f"output {output.name}")
        _unique(node_names(self.shape, self.number), f"node of {graph.name}")

    def error(self, index: int | None, problem: str) -> PlanError:
        at = "" if index is None else f", node {index}"
        return PlanError(f"graph {self.number} ({self.graph.name!r}){at}: {problem}")

    def check_node(self, index: int) -> None:
        graph, target = self.graph, self.graph.targets[index]
        kind = graph.kinds[index]
        if kind != CALL or index in graph.specs:
            self.check_kind(index, kind, target)
        elif target >= len(self.shape.callees):
            raise self.error(index, f"callee {target} does not exist")
        interface = target_interface(self.shape, graph, index)
        try:
            bindings = graph.bindings_of(index)
        except FormatError as error:
            raise self.error(index, str(error)) from None
        if bindings.__class__ is not list or len(bindings) != len(interface.parameters):
            raise self.error(index, f"{len(interface.parameters)} bindings were expected")
        for binding, parameter in zip(bindings, interface.parameters, strict=True):
            if binding is None:
                self.check_default(index, parameter)
            elif (
                binding.__class__ is not int or not 0 <= binding < index or self.results[binding] is not parameter.type
            ):
                self.check_binding(binding, parameter.type, index, f"parameter {parameter.name}")
        self.results.append(interface.result)

    def check_kind(self, index: int, kind: int, target: int) -> None:
        """Check the target and the spec of a node that is more than a call."""
        graph = self.graph
        if kind not in _SPECS:
            raise self.error(index, f"unknown kind {kind}")
        wanted = _SPECS[kind]
        if (index in graph.specs) != (wanted is not None) or (
            wanted is not None and not isinstance(graph.specs[index], wanted)
        ):
            raise self.error(index, "it has not the spec of its kind")
        if graph.calls(index):
            if target >= len(self.shape.callees):
                raise self.error(index, f"callee {target} does not exist")
        elif graph.opens(index):
            self.check_graph(index, target)
        elif target:
            raise self.error(index, f"it has the target {target}, and nodes of its kind have none")
        if wanted is not None:
            self.check_spec(index, graph.specs[index])

    def check_graph(self, index: int, target: int) -> Graph:
        if not self.number < target < len(self.shape.graphs):
            raise self.error(index, f"graph {target} does not exist after graph {self.number}")
        if len(self.shape.graphs[target].outputs) > 1:
            raise self.error(index, "a nested graph has more than one output")
        return self.shape.graphs[target]

    def check_spec(self, index: int, spec: Spec) -> None:
        try:
            match spec:
                case Map():
                    count = len(
                        self.shape.graphs[self.graph.targets[index]].inputs
                        if spec.over_graph
                        else self.shape.callees[self.graph.targets[index]].interface.parameters
                    )
                    if not spec.mapped or list(spec.mapped) != sorted(set(spec.mapped)) or spec.mapped[-1] >= count:
                        raise ValueError(f"the positions {spec.mapped} can't be mapped")
                    if list(spec.flat) != sorted(set(spec.flat)) or not set(spec.flat) <= set(spec.mapped):
                        raise ValueError(f"the positions {spec.flat} can't be flattened")
                    check_concurrency(spec.concurrency)
                    check_ratio(spec.min_success_ratio)
                case Gate():
                    if spec.what not in GATES or (spec.what == "sleep" and spec.result != NONE):
                        raise ValueError("it is no gate")
                    if not can_be_a_name(spec.name):
                        raise ValueError(f"{spec.name!r} can't be a gate's name")
                    if spec.timeout is not None and not (0 < spec.timeout < math.inf):
                        raise ValueError(f"its time-out is {spec.timeout}")
                case Branch():
                    self.check_branch(index, spec)
                case Rescue():
                    if not spec.inputs or spec.inputs[0].type != spec.result:
                        raise ValueError("a fallback stands for a value of another type")
                    self.check_takes(index, spec.graph, spec.takes, spec.inputs, spec.result)
                case Earlier():
                    if not spec.name or spec.distance > _FARTHEST:
                        raise ValueError("it stands for no node")
                case Merge():
                    if not spec.inputs or any(p.type != spec.result for p in spec.inputs):
                        raise ValueError("what is merged is of another type")
        except PlanError:
            raise
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            raise self.error(index, str(error)) from None

    def check_branch(self, index: int, spec: Branch) -> None:
        if not spec.arms:
            raise ValueError("a branch has no arms")
        for number, arm in enumerate(spec.arms):
            if arm.condition is None and number != len(spec.arms) - 1:
                raise ValueError("an arm without condition is not the last")
            if arm.condition is not None:
                check_condition(arm.condition, len(spec.inputs))
            if arm.graph is not None:
                self.check_takes(index, arm.graph, arm.takes, spec.inputs, spec.result)
            elif arm.takes:
                raise ValueError("an arm that fails takes nothing")
        if spec.arms[-1].condition is not None and why_not(NONE, spec.result) is not None:
            raise ValueError(f"without a last resort it may give None, which {spec.result} is not")

    def check_takes(
        self, index: int, number: int, takes: tuple[int, ...], inputs: tuple[Parameter, ...], result: Type
    ) -> None:
        nested = self.check_graph(index, number)
        if len(takes) != len(nested.inputs):
            raise ValueError(f"graph {number} takes {len(nested.inputs)} inputs, {len(takes)} are given")
        for taken, parameter in zip(takes, nested.inputs, strict=True):
            given = failure_type() if taken < 0 else inputs[taken].type
            if given != parameter.type:
                raise ValueError(f"graph {number} wants {parameter.type} for {parameter.name}, {given} is given")
        if result_type(nested) != result:
            raise ValueError(f"graph {number} gives {result_type(nested)}, not {result}")

    def check_on_failure(self) -> None:
        graph, handler = self.graph, self.graph.on_failure
        if handler is None:
            return
        if handler != len(graph) - 1 or graph.kinds[handler] not in (CALL, PLAN) or graph.after.get(handler):
            raise self.error(handler, "what runs on failure is the last node, a call")
        taken = {leaf for output in graph.outputs for leaf in references(output.binding)} | {
            one for nodes in graph.after.values() for one in nodes
        }
        if handler in taken or any(one >= 0 for binding in graph.bindings_of(handler) for one in references(binding)):
            raise self.error(handler, "what runs on failure takes inputs and the failure, and nothing waits for it")

    def check_default(self, index: int, parameter: Parameter) -> None:
        if parameter.default is None:
            raise self.error(index, f"parameter {parameter.name} is not bound and has no default")

    def check_binding(self, binding: Any, target: Type, before: int, what: str) -> None:
        todo: list[tuple[Any, Type]] = [(binding, target)]
        while todo:
            tree, wanted = todo.pop()
            try:
                if is_leaf(tree):
                    self.check_leaf(tree, wanted, before)
                else:
                    self.check_composite(tree, wanted, before)
                    todo.extend(parts(tree, wanted))
            except PlanError:
                raise
            except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
                raise self.error(before, f"{what}: {error}") from None

    def check_composite(self, tree: Any, wanted: Type, before: int) -> None:
        if tree.__class__ is not list or len(tree) != (3 if tree[0] in (RECORD, ARM) else 2):
            raise self.error(before, "a binding has superfluous parts")
        if tree[0] == ARM and (tree[1].__class__ is not int or tree[1] < 0):
            raise self.error(before, f"arm {tree[1]!r} does not exist")
        if tree[0] == DICT:
            key_type = wanted.key if isinstance(wanted, DictType) else ANY
            if not all(fits(key, key_type) for key, _ in tree[1]):
                raise self.error(before, f"a key is not {key_type}")

    def check_leaf(self, tree: Any, wanted: Type, before: int) -> None:
        if tree is None:
            raise self.error(before, "only a parameter can take a default")
        if tree.__class__ is int and tree < 0:
            if -1 - tree >= self.shape.literals:
                raise self.error(before, f"literal {-1 - tree} does not exist")
            return
        if tree.__class__ is list and tree[0] == ERROR:
            if before != self.graph.on_failure or len(tree) != 1:
                raise self.error(before, "only what runs on failure takes the failure")
            if why_not(failure_type(), wanted) is not None:
                raise self.error(before, f"{wanted} is wanted, the failure is given")
            return
        index = tree if tree.__class__ is int else tree[1]
        path = [] if tree.__class__ is int or len(tree) == 2 else tree[2]
        if tree.__class__ is list and (
            len(tree) > 3 or (len(tree) == 3 and not path) or (len(tree) == 2 and tree[0] == NODE)
        ):
            raise self.error(before, "a binding is spelled another way than it should be")
        if index.__class__ is not int or index < 0:
            raise self.error(before, f"{index!r} is no position")
        if tree.__class__ is list and tree[0] == INPUT:
            if index >= len(self.graph.inputs):
                raise self.error(before, f"input {index} does not exist")
            type: Type | None = self.graph.inputs[index].type
        else:
            if index >= before:
                raise self.error(before, f"it takes the value of node {index}, which is not before it")
            type = self.results[index]
        for step in path:
            if (
                isinstance(type, DictType)
                and step.__class__ is list
                and (len(step) != 1 or not fits(step[0], type.key))
            ):
                raise self.error(before, f"{step!r} is no key of {type}")
            type = step_type(type, step) if type is not None else None
        if type is None:
            raise self.error(before, f"the path {path} leads nowhere")
        reason = why_not(type, wanted)
        if reason is not None:
            raise self.error(before, f"{wanted} is wanted, {type} is given: {reason}")
