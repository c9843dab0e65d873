"""Promise: a value that is not there yet, and the operations that it allows (rules P1, P2).

A promise knows its trace, its type, and the binding that leads to its value. An operation that needs the value raises
at once, with the author's line and a way out; nothing here guesses.
`repr` works, for debugging. Its text holds a marker, so that a text made of a promise is caught when the text is passed
on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar, Unpack, cast

from promissory.planner.active import Unready
from promissory.planner.errors import CompileError, PromiseAttributeError, PromiseError, user_line
from promissory.planner.plan.model import ERROR, NODE, Binding
from promissory.planner.plan.policy import TaskPolicy
from promissory.planner.tracing.expression import Expression
from promissory.planner.tracing.refusals import OPERATIONS, in_a_task, no_field, no_item
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.types import DictType, RecordType, TupleType, Type
from promissory.typesys.value_paths import Step, step_type
from promissory.typesys.wire import codec_for

if TYPE_CHECKING:
    from promissory.planner.tracing.trace import Trace

T = TypeVar("T")

MARKER: Final = "‹promise "
"""Begins the text of every promise."""


class Promise(Unready, Generic[T]):
    """A value that will be there when the run gets to it.

    Allowed: pass it on, return it (also inside list, tuple, dict and dataclass literals), take a field or an item that
    its type has, unpack it where its length is known, order it (`a >> b`), compare it (a condition), name it
    (`.with_overrides(name=…)`).

    >>> from promissory import Workflow, task
    >>> @task
    ... def halves(xs: list[int]) -> tuple[list[int], list[int]]:
    ...     return xs[::2], xs[1::2]
    >>> with Workflow("example") as wf:
    ...     left, right = halves([1, 2, 3])
    >>> left
    ‹promise halves()[0]: list[int]›
    """

    __slots__ = ("_promissory_binding", "_promissory_trace", "_promissory_type")

    def __init__(self, trace: Trace, type: Type, binding: Binding) -> None:
        object.__setattr__(self, "_promissory_trace", trace)
        object.__setattr__(self, "_promissory_type", type)
        object.__setattr__(self, "_promissory_binding", binding)

    # --- where it comes from ---

    def _node(self) -> int | None:
        """Give the node that makes the value; None for an input."""
        binding = self._promissory_binding
        if binding.__class__ is int:
            return binding
        return cast(int, binding[1]) if binding[0] == NODE else None

    def _said(self) -> str:
        """Name the value's origin as an error message does: `split()[0]`."""
        binding, node = self._promissory_binding, self._node()
        if binding.__class__ is list and binding[0] == ERROR:
            return "the failure"
        path = binding[2] if binding.__class__ is list and len(binding) == 3 else []
        source = (
            self._promissory_trace.input_name(binding[1])
            if node is None
            else f"{self._promissory_trace.called(node)}()"
        )
        return source + "".join(
            f".{s}" if isinstance(s, str) else f"[{s[0]!r}]" if isinstance(s, list) else f"[{s}]" for s in path
        )

    def __repr__(self) -> str:
        return f"{MARKER}{self._said()}: {self._promissory_type}›"

    # --- going into it ---

    def _step(self, step: Step) -> Promise[Any] | None:
        type = step_type(self._promissory_type, step)
        if type is None:
            return None
        binding = self._promissory_binding
        if binding.__class__ is int:
            inner: Binding = [NODE, binding, [step]]
        else:
            inner = [binding[0], binding[1], [*(binding[2] if len(binding) == 3 else []), step]]
        return Promise(self._promissory_trace, type, inner)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        type = self._promissory_type
        is_outputs = isinstance(type, RecordType) and type.name.endswith(":outputs")
        inner = self._step([name] if is_outputs else name)  # several outputs are a dict, and have names for fields
        if inner is not None:
            return inner
        message, way_out = no_field(self._said(), self._promissory_type, name)
        raise PromiseAttributeError(message, where=user_line(), way_out=way_out)

    def __getitem__(self, key: Any) -> Promise[Any]:
        type = self._promissory_type
        if isinstance(key, slice):
            self._misused(f"{self._said()}[…:…] takes a slice of a promise")
        if isinstance(key, Promise):
            self._misused(f"{self._said()}[{key._said()}] takes an item whose position is a promise itself")
        step: Step | None = None
        if isinstance(type, DictType):
            if isinstance(key, str) and MARKER in key:
                self._misused(f"{self._said()}[…] takes a text made of a promise as its key")
            try:
                step = [codec_for(type.key).lower(key)]
            except TypeMismatch as mismatch:
                self._misused(
                    f"{self._said()}[{key!r}]: a key of {type} was wanted, {mismatch.problem}",
                    way_out="give a key of its type",
                )
        elif isinstance(type, RecordType) and type.kind == "typeddict" and isinstance(key, str):
            step = [key]
        elif isinstance(key, int) and not isinstance(key, bool):
            step = key
        inner = None if step is None else self._step(step)
        if inner is not None:
            return inner
        raise self._misuse(*no_item(self._said(), type, key))

    def __iter__(self) -> Iterator[Promise[Any]]:
        match self._promissory_type:
            case TupleType(items):
                return iter([self[index] for index in range(len(items))])
            case RecordType(kind="namedtuple", fields=fields):
                return iter([self[index] for index in range(len(fields))])
        raise self._misuse(
            f"{self._said()} can't be iterated or unpacked: how many items {self._promissory_type} has is not "
            "known before the run"
        )

    # --- conditions ---

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return Expression("==", (self, other))

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return Expression("!=", (self, other))

    def __lt__(self, other: object) -> Expression:
        return Expression("<", (self, other))

    def __le__(self, other: object) -> Expression:
        return Expression("<=", (self, other))

    def __gt__(self, other: object) -> Expression:
        return Expression(">", (self, other))

    def __ge__(self, other: object) -> Expression:
        return Expression(">=", (self, other))

    def __and__(self, other: Any) -> Expression:
        condition: Expression = self.is_true() & other
        return condition

    def __or__(self, other: Any) -> Expression:
        condition: Expression = self.is_true() | other
        return condition

    def _joined_wrongly(self, other: Any) -> NoReturn:
        said = f"{other!r} is joined with {self._said()} by & or |, which join conditions"
        self._misused(said, way_out="put each comparison in brackets: (a > 1) & (b > 1)")

    __rand__ = __ror__ = _joined_wrongly

    def __invert__(self) -> Expression:
        return self.is_false()

    def is_none(self) -> Expression:
        """State the condition that the value is `None`."""
        return Expression("is none", (self,))

    def is_true(self) -> Expression:
        """State the condition that the value, a bool, is true."""
        return Expression("is true", (self,))

    def is_false(self) -> Expression:
        """State the condition that the value, a bool, is false."""
        return Expression("is false", (self,))

    # --- order and overrides ---

    def __rshift__(self, other: Any) -> Any:
        """Order two calls: with `a >> b`, b starts after a succeeded.

        `other` may be a list. Gives `other`, so orders chain.
        """
        after = self._promissory_trace.order([self], other if isinstance(other, list | tuple) else [other])
        return after if isinstance(other, list | tuple) else after[0]

    def __rrshift__(self, other: Any) -> Promise[T]:
        """Order a call after several: with `[a, b] >> c`, c starts after both succeeded."""
        self._promissory_trace.order(list(other), [self])
        return self

    def with_overrides(
        self,
        *,
        name: str | None = None,
        trigger: str | None = None,
        standby: bool | None = None,
        **policy: Unpack[TaskPolicy],
    ) -> Promise[T]:
        """Give this node other settings. The result is a promise of the same value.

        Args:
            name: the node's name, for people; unique in its workflow.
            trigger: the outcome of the nodes before it with which the node starts: "all_success", "all_done",
                "any_failed", "all_failed", "any_success", "none_failed", `at_least(n)` (rule X7).
            standby: whether the node waits for a task that sends the run there (`ctx.next_task(…)`, rule S4), and does
                not start by itself.
            policy: settings of `@task` for this call alone: `retries`, `timeout`, `cache`, `pool`, `resources`, …;
                `timeout=None` lifts the time-out.

        Raises:
            PromiseError: this is an input of the workflow, or a part of a value.
            TypeError: an unknown setting.
        """
        if self._promissory_binding.__class__ is not int:
            self._misused(
                f"with_overrides() is for what a call gives; {self._said()} is not", way_out="override the call itself"
            )
        own = {key: value for key, value in (("trigger", trigger), ("standby", standby)) if value is not None}
        self._promissory_trace.override(self._promissory_binding, name, {**own, **policy})
        return Promise(self._promissory_trace, self._promissory_type, self._promissory_binding)

    def on_error(self, fallback: Any) -> Promise[T]:
        """Replace the node's failure for good by a fallback (rule X9). The result is a promise of the same type.

        Args:
            fallback: a value; or a task, dynamic or workflow that takes `err`, a `NodeFailure` (with
                `functools.partial` for its other inputs).

        Raises:
            PromiseError: this is an input of the workflow, or a part of a value.

        >>> from promissory import promise, task, workflow
        >>> @task
        ... def halves(n: int) -> int:
        ...     return n // (n % 2)
        >>> @workflow
        ... def safe(n: int) -> int:
        ...     return promise(halves(n)).on_error(-1)  # type: ignore[return-value]
        >>> safe(4)
        -1
        """
        if self._promissory_binding.__class__ is not int:
            self._misused(
                f"on_error() is for what a call gives; {self._said()} is not", way_out="say it where the call is made"
            )
        rescued: Promise[T] = self._promissory_trace.record_rescue(self, fallback)
        return rescued

    # --- everything else raises ---

    def _record_misuse(self, error: CompileError) -> None:
        self._promissory_trace.fatal.append(error)

    def _misuse(self, message: str, way_out: str | None = None) -> PromiseError:
        said = (
            message if message.endswith("before the run") else f"{message}, but the value is not there before the run"
        )
        error = PromiseError(said, where=user_line(), way_out=way_out or in_a_task())
        self._record_misuse(error)
        return error

    def _misused(self, message: str, way_out: str | None = None) -> NoReturn:
        raise self._misuse(message, way_out)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        self._misused(f"the field {name} of {self._said()} was set", way_out="make a new value in a task")

    def __delattr__(self, name: str) -> NoReturn:
        self._misused(f"the field {name} of {self._said()} was deleted", way_out="make a new value in a task")

    def __bool__(self) -> NoReturn:
        self._misused(f"the truth of {self._said()} was asked for (if, while, not, and, or)")

    def __len__(self) -> NoReturn:
        self._misused(f"len() of {self._said()} was asked for")

    def __contains__(self, item: object) -> NoReturn:
        self._misused(f"`in {self._said()}` was asked for")

    def __hash__(self) -> NoReturn:
        self._misused(f"{self._said()} was used as a key of a dict or a member of a set")

    def __call__(self, /, *args: Any, **kwargs: Any) -> NoReturn:
        self._misused(f"{self._said()} was called")

    def __format__(self, spec: str) -> NoReturn:
        self._misused(f"{self._said()} was put into an f-string or format()", way_out="build the text in a task")

    def __copy__(self) -> NoReturn:
        self._misused(
            f"a copy of {self._said()} was asked for",
            way_out="pass the promise itself: each consumer gets its own value",
        )

    def __deepcopy__(self, memo: Any) -> NoReturn:
        self.__copy__()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        self._misused(f"{self._said()} was pickled")

    def __await__(self) -> NoReturn:
        self._misused(
            f"{self._said()} was awaited",
            way_out="in an `async def` dynamic write `await value(...)` around it; elsewhere pass the promise on",
        )


def _raising(operation: str) -> Any:
    def misuse(self: Promise[Any], *_: Any) -> NoReturn:
        self._misused(f"{operation} of {self._said()} was asked for")

    return misuse


for _method, _operation in OPERATIONS.items():
    setattr(Promise, _method, _raising(_operation))


def promise(x: T) -> Promise[T]:
    """Show type checkers the promise that a call gives. At run time this is the identity.

    Args:
        x: the result of a call while a workflow is traced; type checkers see the function's own result there.

    Raises:
        PromiseError: `x` is no promise, because nothing is being traced.

    >>> from promissory import task, workflow
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> @workflow
    ... def named(x: int) -> int:
    ...     return promise(inc(x)).with_overrides(name="first")  # type: ignore[return-value]
    >>> print(named.compile())
    plan named(x: int) -> int
      first : int = task inc(x=x)
      return first
    """
    if not isinstance(x, Promise):
        raise PromiseError(
            f"promise() was given {type(x).__name__}, not what a call gives while a workflow is traced",
            where=user_line(),
            way_out="use it inside a @workflow or @dynamic",
        )
    return x
