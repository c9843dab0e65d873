"""A choice in the making: its arms with their graphs, its conditions as trees, and the type of its result (rule B1).

The calls of an arm go to a trace of the arm's own. Values that an arm takes from outside become inputs of the arm's
graph. The branch is a node whose arms and type are settled when the graph around the node is finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NoReturn

from promissory.planner.active import current
from promissory.planner.errors import BranchError, CompileError, EdgeTypeError, Where, user_line
from promissory.planner.plan.model import BRANCH, Binding, Parameter
from promissory.planner.plan.specs import COMPARISONS, JOINERS, Arm, Branch, Condition
from promissory.planner.tracing.binder import holds_promise
from promissory.planner.tracing.expression import Expression
from promissory.planner.tracing.promise import Promise
from promissory.planner.tracing.trace import Trace
from promissory.planner.tracing.value_types import common_type, type_of
from promissory.typesys.assignability import why_not
from promissory.typesys.canonical import pack
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.secret import INSTEAD, revealed_in
from promissory.typesys.types import (
    ANY,
    BOOL,
    NONE,
    AnyType,
    BoolType,
    BytesType,
    EnumType,
    FloatType,
    IntType,
    LiteralType,
    NamedType,
    NoneType,
    StrType,
    Type,
    UnionType,
)
from promissory.typesys.unions import union
from promissory.typesys.wire import codec_for

_COMPARABLE: Final = (
    BoolType,
    IntType,
    FloatType,
    StrType,
    BytesType,
    NoneType,
    EnumType,
    LiteralType,
    NamedType,
    AnyType,
)
UNSAID: Final = object()
ELSE: Final = object()
FINISH: Final = "finish it in one statement: conditional(…).if_(…).then(…).else_().then(…)"
_DEEPEST: Final = 200


@dataclass
class GivenArm:
    """An arm as its author gave it. `value` is the argument of `.then`."""

    condition: Any
    trace: Trace
    where: Where | None
    value: Any = UNSAID
    message: str = ""
    fails: bool = False


class Choice:
    """A choice is a branch in the making."""

    def __init__(self, trace: Trace, name: str) -> None:
        self.trace = trace
        self.name = name
        self.given: list[GivenArm] = []
        self.node: int | None = None
        self.where = user_line()
        self._types: list[Type] = []

    def begin(self, condition: Any) -> GivenArm:
        """Begin an arm, with a trace of its own. Raises `BranchError` for an arm out of place, or for no condition."""
        where = user_line()
        if current.get() is not self.trace:
            self.refuse(f"an arm of {self.name!r} is opened while another is open", where, FINISH)
        if self.given and self.given[-1].condition is ELSE:
            self.refuse(
                f"{self.name!r} has an arm behind .else_(), which would never be chosen", where, "put .else_() last"
            )
        if condition is not ELSE:
            self._check(condition, where)
        number = len(self.given) + 1
        trace = Trace(
            self.trace.session,
            f"{self.name}.{number}" if condition is not ELSE else f"{self.name}.else",
            (),
            self.trace,
        )
        self.given.append(GivenArm(condition, trace, where))
        return self.given[-1]

    def close(self, arm: GivenArm) -> tuple[Type, int]:
        """Close an arm.

        Gives the type of the branch's result, as far as the arms so far tell it, and the branch's node.
        """
        current.set(self.trace)
        if arm.trace.open_arm is not None:
            self.trace.arms_open.remove(arm.trace.open_arm)
        arm.trace.open_arm = None
        if not arm.fails:
            self._note_type(arm.value)
        spec = Branch((), (), self.result())
        if self.node is None:
            self.node = self.trace.add_later(BRANCH, self.where, spec, self.finish)
            self.trace.override(self.node, self.name, {})
        else:
            self.trace.restate(self.node, spec)
        return spec.result, self.node

    def refuse(self, message: str, where: Where | None, way_out: str) -> NoReturn:
        """Raise `BranchError`, and fail the compile with this error even if the body swallows it."""
        error = BranchError(message, where=where, way_out=way_out)
        self.trace.fatal.append(error)
        raise error

    def misplaced(self, problem: str) -> BranchError:
        """Make the error of a step that can't come here."""
        error = BranchError(
            f"{self.name!r}: {problem}",
            where=user_line(),
            way_out="go on with .elif_(…) or .else_(), each closed by .then(…)",
        )
        self.trace.fatal.append(error)
        return error

    def _check(self, condition: Any, where: Where | None) -> None:
        if isinstance(condition, Promise):
            said = condition._said()
            type = condition._promissory_type
            may_be_compared = all(
                isinstance(one, _COMPARABLE) for one in (type.arms if isinstance(type, UnionType) else (type,))
            )
            way_out = (
                f"compare it: {said} == …, {said}.is_none()"
                if may_be_compared
                else "decide in a task that gives a bool, and use .is_true()"
            )
            way_out = f"write {said}.is_true()" if type == BOOL else way_out
            self.refuse(
                f"a condition of {self.name!r} is the promise of {condition._promissory_type}, not a comparison",
                where,
                way_out,
            )
        if not isinstance(condition, Expression):
            self.refuse(
                f"a condition of {self.name!r} is {condition!r}, known before the run",
                where,
                "use Python's own if: it is no choice of the run's",
            )
        todo: list[tuple[Any, int]] = [(condition, 1)]
        while todo:
            one, depth = todo.pop()
            if depth > _DEEPEST:
                self.refuse(
                    f"a condition of {self.name!r} is joined of more than {_DEEPEST} parts",
                    where,
                    "decide it in a task that gives a bool",
                )
            if isinstance(one, Expression):
                todo.extend((inner, depth + 1) for inner in one.operands)
            elif isinstance(one, Promise):
                # A leaked promise is reported here, with the line of the condition.
                self.trace.binding_of(one)

    # --- types ---

    def result(self) -> Type:
        """Give the type that all arms so far fit."""
        merged = common_type(self._types) or self._types[0]
        if self.given[-1].condition is not ELSE:
            merged = union([merged, NONE])
        return merged

    def _note_type(self, value: Any) -> None:
        """Note the type of an arm's value, unless the value fits the types of the arms before it."""
        if not isinstance(value, Promise) and self._types and not holds_promise(value):
            try:
                pack(codec_for(union(self._types)).lower(value))
                # The value fits the type that the arms have already.
                return
            except (TypeMismatch, CompileError, RecursionError):
                pass
        found = type_of(value)
        if found not in self._types:
            self._types.append(found)

    # --- the end ---

    def finish(self) -> tuple[list[Binding], Branch]:
        """Make the bindings and the spec of the node, once all arms are there."""
        if any(arm.value is UNSAID and not arm.fails for arm in self.given):
            self.trace.problem(self.not_closed(self.given[-1]))
            return [], Branch((), (Arm(None, None),), NONE)
        result = self.result()
        inputs = _Inputs(self.trace)
        arms = []
        for use in self.trace.uses_of(self.node):
            if (reason := why_not(result, use.wanted)) is not None:
                way_out = (
                    "use it once all arms are there"
                    if self.given[-1].condition is ELSE
                    else "say .else_().then(…): without it the value may be None"
                )
                self.trace.problem(
                    EdgeTypeError(
                        f"{use.said} wants {use.wanted}, but {self.name} gives {result}: {reason}",
                        where=use.where,
                        way_out=way_out,
                    )
                )
        for number, arm in enumerate(self.given):
            condition = None if arm.condition is ELSE else self._tree(arm.condition, inputs, arm.where)
            if arm.fails:
                arms.append(Arm(condition, None, (), arm.message))
                continue
            said = f"arm {number + 1} of {self.name!r}" if arm.condition is not ELSE else f"the else of {self.name!r}"
            graph = arm.trace.finish([("result", result, arm.value, said)], arm.where)
            takes = tuple(
                inputs.add(binding, p.type) for binding, p in zip(arm.trace.captures, arm.trace.inputs, strict=True)
            )
            arms.append(Arm(condition, graph, takes))
        return inputs.bindings, Branch(tuple(inputs.parameters), tuple(arms), result)

    def not_closed(self, arm: GivenArm) -> BranchError:
        """Make the error of an arm that is left open."""
        return BranchError(
            f"an arm of {self.name!r} is opened and not closed by .then(…)", where=arm.where, way_out=FINISH
        )

    def _tree(self, condition: Any, inputs: _Inputs, where: Where | None) -> Condition:
        if not isinstance(condition, Expression):
            return 0
        operator, operands = condition.operator, condition.operands
        if operator in JOINERS or operator == "~":
            return [operator, *(self._tree(one, inputs, where) for one in operands)]
        typed = [one._promissory_type for one in operands if isinstance(one, Promise)]
        found = []
        for one in operands:
            if isinstance(one, Promise):
                self._comparable(one, operator, where)
                found.append(inputs.add(self.trace.binding_of(one), one._promissory_type))
            else:
                type, binding = self._literal(one, typed[0] if typed else ANY, condition, where)
                found.append(inputs.add(binding, type))
        if operator in COMPARISONS and len(typed) == 2:
            self._same_kind(typed[0], typed[1], condition, where)
        return [operator, *found]

    def _literal(self, value: Any, type: Type, condition: Expression, where: Where | None) -> tuple[Type, Binding]:
        if isinstance(value, Expression):
            self._problem(f"{condition!r} compares a condition", where, "join conditions with & and |")
            return NONE, self.trace.session.literal(pack(None))
        for wanted in (type, type_of(value)):
            try:
                data = codec_for(wanted).encode(value)
            except (TypeMismatch, CompileError, RecursionError):
                continue
            if wanted != type:
                self._same_kind(type, wanted, condition, where)
            if secret := revealed_in(data):
                self._problem(f"{condition!r} is stored, and holds the value of Secret({secret!r})", where, INSTEAD)
            return wanted, self.trace.session.literal(data)
        self._problem(
            f"{condition!r} compares {type} with a {value.__class__.__name__}", where, "compare values of one type"
        )
        return NONE, self.trace.session.literal(pack(None))

    def _comparable(self, promise: Promise[Any], operator: str, where: Where | None) -> None:
        type = promise._promissory_type
        said = promise._said()
        arms = type.arms if isinstance(type, UnionType) else (type,)
        if operator == "is none":
            return
        if operator in ("is true", "is false"):
            if not all(isinstance(one, BoolType | NoneType | AnyType) for one in arms):
                self._problem(
                    f"{said} is {type}, and .is_true() and .is_false() are for a bool",
                    where,
                    f"compare it: {said} == …",
                )
        elif operator not in ("==", "!=") and any(isinstance(one, EnumType) for one in arms):
            self._problem(
                f"{said} is {type}, whose members have no order",
                where,
                "compare in a task that gives a bool, and use .is_true()",
            )
        elif not all(isinstance(one, _COMPARABLE) for one in arms):
            self._problem(
                f"{said} is {type}, which can't be compared in a condition",
                where,
                "compare in a task that gives a bool, and use .is_true()",
            )

    def _same_kind(self, left: Type, right: Type, condition: Expression, where: Where | None) -> None:
        if why_not(left, right) is not None and why_not(right, left) is not None:
            self._problem(f"{condition!r} compares {left} with {right}", where, "compare values of one type")

    def _problem(self, message: str, where: Where | None, way_out: str) -> None:
        self.trace.problem(BranchError(f"a condition of {self.name!r}: {message}", where=where, way_out=way_out))


class _Inputs:
    """The inputs of a branch in the making: each value that it takes from outside stands once."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.bindings: list[Binding] = []
        self.parameters: list[Parameter] = []
        self._known: dict[tuple[bytes, Type], int] = {}

    def add(self, binding: Binding, type: Type) -> int:
        key = (pack(binding), type)
        if key not in self._known:
            self._known[key] = len(self.bindings)
            self.bindings.append(binding)
            self.parameters.append(Parameter(f"in{len(self.parameters)}", type))
        return self._known[key]
