"""@dynamic: a function that is called with real values at run time and returns promises.

This module owns the decorator and `expand`, the executor's one door to tracing.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar, Concatenate, Literal, NamedTuple, Protocol, Unpack, cast, overload

from promissory.planner.active import current
from promissory.planner.body.context import Context
from promissory.planner.body.signals import Loop, Signal
from promissory.planner.entities.runner import compile_call, run_here
from promissory.planner.entities.traced import Traced
from promissory.planner.errors import Where
from promissory.planner.functions.entity import (
    Entity,
    P,
    R,
    checked_policy,
    locals_where_decorated,
    refuse_in_task_body,
)
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.policy import DynamicPolicy
from promissory.planner.tracing.binder import holds_promise
from promissory.planner.tracing.session import Session
from promissory.planner.tracing.trace import Trace
from promissory.typesys.types import ANY, Type


class Dynamic(Traced[P, R]):
    """A function that makes a plan from values. Made by `@dynamic`.

    Where a workflow is traced, a call records a node and gives a promise. In a task's body a call raises
    `NestedCallError`. Anywhere else a call compiles the dynamic, runs it in this process and gives its native result,
    or raises `RunFailed`.
    """

    kind: ClassVar[Literal["dynamic", "cycle"]] = "dynamic"

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        trace = current.get()
        if trace.__class__ is Trace:
            return cast(R, trace.record_call(self, args, kwargs))
        refuse_in_task_body(self)
        return cast(R, run_here(self, self.arguments(args, kwargs)))

    def compile(self) -> Plan:
        """Make the plan that calls this dynamic with the inputs of the run. Its body is traced at run time."""
        return compile_call(self)


class _DynamicDecorator(Protocol):
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /) -> Dynamic[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], R], /) -> Dynamic[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Dynamic[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Dynamic[P, R]: ...


@overload
def dynamic(function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /) -> Dynamic[P, R]: ...
@overload
def dynamic(function: Callable[Concatenate[Context, P], R], /) -> Dynamic[P, R]: ...
@overload
def dynamic(function: Callable[P, Coroutine[Any, Any, R]], /) -> Dynamic[P, R]: ...
@overload
def dynamic(function: Callable[P, R], /) -> Dynamic[P, R]: ...
@overload
def dynamic(*, strict: bool | None = None, **policy: Unpack[DynamicPolicy]) -> _DynamicDecorator: ...
def dynamic(function: Any = None, /, *, strict: bool | None = None, **policy: Unpack[DynamicPolicy]) -> Any:
    """Make a function a dynamic.

    Its body sees its inputs as values, and at run time the calls in it become a plan, a futures file. An `async def`
    function may `await value(promise)` and go on with the value (rule D8).

    Args:
        max_depth: the depth to which this function may nest in itself before it fails as `DepthExceeded`; by default
            only the run's limit counts.
        allow_repeat: allow the function to call itself with equal inputs, which otherwise fails as `NoProgress`.
        strict: as for `@task`.
        policy: all other arguments of `@task`. Retries and time-outs are about the body, not about the plan that it
            emits; a cached dynamic keeps its result, and apart from it its futures file.

    Raises:
        DecorationError: the function can't be a dynamic.

    >>> from promissory import task
    >>> @task
    ... def add(a: int, b: int) -> int:
    ...     return a + b
    >>> @dynamic
    ... def fib(n: int) -> int:
    ...     return n if n < 2 else add(fib(n - 1), fib(n - 2))
    >>> fib(10)
    55
    """
    checked = checked_policy(policy, "dynamic")
    namespace = locals_where_decorated(1)
    if function is not None:
        return Dynamic(function, checked, strict, namespace, policy)
    return lambda wrapped: Dynamic(wrapped, checked, strict, namespace, policy)


class Iteration(NamedTuple):
    """The plan that a dynamic emitted before it raised `Loop`. The plan gives the payload of the next iteration."""

    plan: Plan


def plan_of_calls(
    entity: Entity[..., Any], calls: Sequence[tuple[Entity[..., Any], dict[str, Any]]], result: bytes, type: Type
) -> Plan:
    """Make the plan of the calls that a task asked for. The plan gives the task's own result.

    Args:
        entity: the task.
        calls: the entities to call, with their inputs.
        result: the task's result, or the payload of its next iteration, encoded.
        type: its type.
    """
    session = Session()
    trace = Trace(session, entity.name, ())
    # The tasks' own frame is another one.
    trace.follows_jumps = False
    token = current.set(trace)
    try:
        for called, inputs in calls:
            cast(Any, called)(**inputs)
    finally:
        current.reset(token)
    trace.finish_with("result", type, session.literal(result))
    return session.plan()


def expand(
    entity: Dynamic[..., Any], values: Sequence[Any], encoded: Sequence[bytes] | None = None
) -> Plan | Iteration | Any:
    """Trace a dynamic's body with its inputs as values.

    Args:
        entity: the dynamic.
        values: its arguments, in the order of its parameters.
        encoded: the bytes from which the values were decoded, if they are at hand; an input that the body passes on is
            then bound by reference.

    Returns:
        The plan of the calls that the body made, or its plain result if it made none; the plan of one iteration if it
        made calls and raised `Loop`.

    Raises:
        CompileError: the trace of the body found a mistake. Any other exception is the body's own.

    >>> from promissory import dynamic, task
    >>> @task
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> @dynamic
    ... def doubled(n: int) -> int:
    ...     return double(n) if n else 0
    >>> expand(doubled, [0])
    0
    >>> print(expand(doubled, [4]))
    plan doubled(n: int) -> int
      double : int = task double(x=4)
      return double
    """
    session = Session()
    signature = entity.signature
    trace = Trace(session, entity.name, signature.inputs)
    trace.in_dynamic = True
    if encoded is not None:
        trace.binder.remember_inputs(values, encoded)
    token = current.set(trace)
    loops = False
    try:
        returned = entity.call_function(list(values))
    except Loop as signal:
        if session.fatal:
            raise session.fatal[0] from signal
        if len(trace) == 0 and not holds_promise(signal.result):
            raise
        returned, loops = signal.result, True
    except (Exception, Signal, SystemExit) as error:
        if session.fatal and error is not session.fatal[0]:
            raise session.fatal[0] from error
        raise
    finally:
        current.reset(token)
    if session.fatal:
        raise session.fatal[0]
    if len(trace) == 0 and not loops and not session.problems and not holds_promise(returned):
        return returned
    code = entity.function.__code__
    where = Where(code.co_filename, code.co_firstlineno)
    if loops:
        trace.finish([("result", ANY, returned, f"Loop(…) of {entity.name}()")], where)
        return Iteration(session.plan())
    trace.finish(
        [("result", signature.interface.result, signature.shaped(returned), f"the result of {entity.name}()")], where
    )
    return session.plan()
