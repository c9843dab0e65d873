"""`conditional`: a choice that the run makes, as data in the plan (rule B1).

`.if_`, `.elif_` and `.else_` open an arm: a trace of its own, which the calls up to the next `.then` belong to. What an arm takes from outside becomes an input of the arm's graph. The
branch is a node whose arms and type are settled when the graph around it is finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

from promissory.planner.active import current
from promissory.planner.errors import BranchError, CompileError, EdgeTypeError, PromiseError, Where, user_line
from promissory.planner.plan.model import BRANCH, Binding, Parameter
from promissory.planner.plan.specs import COMPARISONS, JOINERS, Arm, Branch, Condition
from promissory.planner.tracing.binder import holds_promise
from promissory.planner.tracing.expression import Expression
from promissory.planner.tracing.promise import MARKER, Promise
from promissory.planner.tracing.statement import Statement
from promissory.planner.tracing.trace import Trace
from promissory.planner.tracing.value_types import common_type, type_of
from promissory.typesys.assignability import why_not
from promissory.typesys.canonical import pack
from promissory.typesys.errors import TypeMismatch
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
    union,
)
from promissory.typesys.wire import codec_for

T = TypeVar("T")

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
_UNSAID: Final = object()
_ELSE: Final = object()
_DEEPEST: Final = 200
_FINISH: Final = "finish it in one statement: conditional(…).if_(…).then(…).else_().then(…)"


@dataclass
class _Given:
    """An arm as its author gave it. `value` is what `.then` got."""

    condition: Any
    trace: Trace
    where: Where | None
    value: Any = _UNSAID
    message: str = ""
    fails: bool = False


class conditional:
    """Begin a choice: `conditional("size").if_(n > 10).then(big(n)).else_().then(small(n))`.

    Args:
        name: of the node, for people.

    The calls between `.if_(…)` and the next `.then(…)` belong to the arm, and run only if it is chosen; what was called before runs in any case. An arm gives a promise, an input, a value of
    Python, or fails (`.else_().fail("…")`). Without `.else_()` the result may be `None`. Comparisons of promises are data: no code of yours runs to decide.

    Raises:
        BranchError: an arm is left open, the arms give different types, or a condition is none.

    >>> from promissory import task, workflow
    >>> @task
    ... def half(n: int) -> int:
    ...     return n // 2
    >>> @task
    ... def triple(n: int) -> int:
    ...     return 3 * n + 1
    >>> @workflow
    ... def step(n: int, odd: bool) -> int:
    ...     return conditional("parity").if_(~odd).then(half(n)).else_().then(triple(n))
    >>> step(10, False), step(3, True)
    (5, 10)
    """

    def __init__(self, name: str) -> None:
        trace = current.get()
        if not isinstance(trace, Trace):
            raise PromiseError(
                "conditional() is for workflows, and none is being traced",
                where=user_line(),
                way_out="use `if`: the values are there",
            )
        self._choice = _Choice(trace, name)

    def if_(self, condition: Any) -> OpenArm:
        """The first arm: the calls up to `.then` belong to it.

        Args:
            condition: a comparison of promises (`p > 3`, `p.is_true()`, joined by `&`, `|`, `~`).
        """
        return self._choice.arm(condition)


class _Choice:
    """A branch in the making."""

    def __init__(self, trace: Trace, name: str) -> None:
        self.trace = trace
        self.name = name
        self.given: list[_Given] = []
        self.node: int | None = None
        self.where = user_line()
        self._types: list[Type] = []

    def arm(self, condition: Any) -> OpenArm:
        where = user_line()
        if current.get() is not self.trace:
            self._refuse(f"an arm of {self.name!r} is opened while another is open", where, _FINISH)
        if self.given and self.given[-1].condition is _ELSE:
            self._refuse(
                f"{self.name!r} has an arm behind .else_(), which would never be chosen", where, "put .else_() last"
            )
        if condition is not _ELSE:
            self._check(condition, where)
        number = len(self.given) + 1
        trace = Trace(
            self.trace.session,
            f"{self.name}.{number}" if condition is not _ELSE else f"{self.name}.else",
            (),
            self.trace,
        )
        self.given.append(_Given(condition, trace, where))
        opened = OpenArm(self, self.given[-1])
        trace.open_arm = opened
        self.trace.arms_open.append(opened)
        current.set(trace)
        return opened

    def close(self, arm: _Given) -> Promise[Any]:
        """The promise of what the branch gives, as far as it is known."""
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
        return Chosen(self.trace, spec.result, self.node, self)

    def _refuse(self, message: str, where: Where | None, way_out: str) -> NoReturn:
        error = BranchError(message, where=where, way_out=way_out)
        self.trace.fatal.append(error)
        raise error

    def misplaced(self, problem: str) -> BranchError:
        """The error of a step that can't come here."""
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
            self._refuse(
                f"a condition of {self.name!r} is the promise of {condition._promissory_type}, not a comparison",
                where,
                way_out,
            )
        if not isinstance(condition, Expression):
            self._refuse(
                f"a condition of {self.name!r} is {condition!r}, known before the run",
                where,
                "use Python's own if: it is no choice of the run's",
            )
        todo: list[tuple[Any, int]] = [(condition, 1)]
        while todo:
            one, depth = todo.pop()
            if depth > _DEEPEST:
                self._refuse(
                    f"a condition of {self.name!r} is joined of more than {_DEEPEST} parts",
                    where,
                    "decide it in a task that gives a bool",
                )
            if isinstance(one, Expression):
                todo.extend((inner, depth + 1) for inner in one.operands)
            elif isinstance(one, Promise):
                self.trace.binding_of(one)  # a leaked one is told with this line

    # --- types ---

    def result(self) -> Type:
        """The type that all arms so far fit."""
        merged = common_type(self._types) or self._types[0]
        if self.given[-1].condition is not _ELSE:
            merged = union([merged, NONE])
        return merged

    def _note_type(self, value: Any) -> None:
        """The type of what one arm gives, if it says more than those before it."""
        if not isinstance(value, Promise) and self._types and not holds_promise(value):
            try:
                pack(codec_for(union(self._types)).lower(value))
                return  # a value that can be of the type that the arms have
            except (TypeMismatch, CompileError, RecursionError):
                pass
        found = type_of(value)
        if found not in self._types:
            self._types.append(found)

    # --- the end ---

    def finish(self) -> tuple[list[Binding], Branch]:
        """Bindings and spec of the node, once all arms are there."""
        if any(arm.value is _UNSAID and not arm.fails for arm in self.given):
            self.trace.problem(self.not_closed(self.given[-1]))
            return [], Branch((), (Arm(None, None),), NONE)
        result = self.result()
        inputs = _Inputs(self.trace)
        arms = []
        for use in self.trace.uses_of(self.node):
            if (reason := why_not(result, use.wanted)) is not None:
                way_out = (
                    "use it once all arms are there"
                    if self.given[-1].condition is _ELSE
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
            condition = None if arm.condition is _ELSE else self._tree(arm.condition, inputs, arm.where)
            if arm.fails:
                arms.append(Arm(condition, None, (), arm.message))
                continue
            said = f"arm {number + 1} of {self.name!r}" if arm.condition is not _ELSE else f"the else of {self.name!r}"
            graph = arm.trace.finish([("result", result, arm.value, said)], arm.where)
            takes = tuple(
                inputs.add(binding, p.type) for binding, p in zip(arm.trace.captures, arm.trace.inputs, strict=True)
            )
            arms.append(Arm(condition, graph, takes))
        return inputs.bindings, Branch(tuple(inputs.parameters), tuple(arms), result)

    def not_closed(self, arm: _Given) -> BranchError:
        return BranchError(
            f"an arm of {self.name!r} is opened and not closed by .then(…)", where=arm.where, way_out=_FINISH
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
    """What a branch takes from outside, each once."""

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


class OpenArm:
    """An arm that `.then(…)` or `.fail(…)` closes."""

    def __init__(self, choice: _Choice, arm: _Given) -> None:
        self._choice = choice
        self._arm = arm
        self._statement: Statement | None = Statement()

    def then(self, value: Any) -> Any:
        """Close the arm with what it gives: a promise, an input, a literal."""
        self._close()
        if not isinstance(value, Promise) and (callable(value) or isinstance(value, OpenArm)):
            name = getattr(value, "__name__", type(value).__name__)
            self._choice._refuse(
                f"an arm of {self._choice.name!r} is given {name}, not what a call of it gives",
                user_line(),
                f"call it: .then({name}(…))",
            )
        self._arm.value = value
        return self._choice.close(self._arm)

    def fail(self, message: str) -> Any:
        """Close the arm: if it is chosen, the branch fails with this message."""
        self._close()
        if not isinstance(message, str) or MARKER in message:
            self._choice._refuse(
                f".fail(…) of {self._choice.name!r} takes a text that is known before the run",
                user_line(),
                "fail in a task to say more",
            )
        self._arm.fails, self._arm.message = True, message
        return self._choice.close(self._arm)

    def _close(self) -> None:
        if self._arm.value is not _UNSAID or self._arm.fails:
            self._choice._refuse(f"an arm of {self._choice.name!r} is closed twice", user_line(), _FINISH)
        if current.get() is not self._arm.trace:
            self._choice._refuse(
                f"an arm of {self._choice.name!r} is closed while another is open", user_line(), _FINISH
            )
        self._statement = None

    def must_be_closed(self) -> None:
        """Raise if a call is made that is no part of the statement which opened the arm."""
        if self._statement is None or self._statement.is_running():
            return
        current.set(self._choice.trace)
        error = self.not_closed()
        self._choice.trace.fatal.append(error)
        raise error

    def not_closed(self) -> BranchError:
        """The error of an arm that is left open."""
        return self._choice.not_closed(self._arm)


class Chosen(Promise[T]):
    """What a choice gives that may get more arms. Without `.else_()` it may be None."""

    __slots__ = ("_promissory_choice",)

    def __init__(self, trace: Trace, type: Type, binding: Binding, choice: _Choice) -> None:
        super().__init__(trace, type, binding)
        object.__setattr__(self, "_promissory_choice", choice)

    def elif_(self, condition: Any) -> OpenArm:
        """Another arm."""
        opened: OpenArm = self._promissory_choice.arm(condition)
        return opened

    def else_(self) -> OpenArm:
        """The last arm, for all other cases."""
        opened: OpenArm = self._promissory_choice.arm(_ELSE)
        return opened

    def then(self, value: Any) -> NoReturn:
        """Nothing is open to be closed. Raises `BranchError`."""
        raise self._promissory_choice.misplaced(".then(…) closes an arm, and none is open")

    def if_(self, condition: Any) -> NoReturn:
        """There is an arm already. Raises `BranchError`."""
        raise self._promissory_choice.misplaced(".if_(…) opens the first arm, and there is one")
