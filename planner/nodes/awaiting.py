"""`value`: where an awaiting dynamic waits for what a promise stands for (rule D8)."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from dataclasses import fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar, cast

from promissory.planner.active import InTaskBody, current
from promissory.planner.errors import AwaitError, user_line
from promissory.planner.nodes.branch import conditional
from promissory.planner.tracing.binder import holds_promise
from promissory.planner.tracing.expression import Expression
from promissory.planner.tracing.promise import Promise
from promissory.planner.tracing.trace import Trace
from promissory.typesys.records import beside, builder, field_names, is_model

T = TypeVar("T")


class Awaiting(Protocol):
    """The body of a dynamic that awaits."""

    def value_of(self, promise: Promise[Any]) -> Awaitable[Any]:
        """Give what a promise of this body stands for, when it is there."""


def value(x: T) -> Awaitable[T]:
    """Wait, in an `async def` dynamic, until the value of a promise is there. The calls made so far begin to run.

    The body holds no worker while it waits. An exception of the node that was to give the value is raised at the
    await. `asyncio.gather`, `TaskGroup`, `wait_for`, `as_completed` and `timeout` take what this gives, and
    `asyncio.sleep` is a wait that outlives the process.

    Args:
        x: a promise; a list, tuple, dict or dataclass of promises; a condition of promises. A value that is there
            already is given back.

    Raises:
        AwaitError: outside the body of an `async def` dynamic.

    >>> from promissory import dynamic, task, value
    >>> @task
    ... def half(n: int) -> int:
    ...     return n // 2
    >>> @dynamic
    ... async def steps_to_one(n: int) -> int:
    ...     steps = 0
    ...     while n > 1:
    ...         n, steps = await value(half(n)), steps + 1
    ...     return steps
    >>> steps_to_one(20)
    4
    """
    asyncio = sys.modules.get("asyncio")
    loop: Any = None if asyncio is None else asyncio._get_running_loop()
    body: Awaiting | None = getattr(loop, "body", None)
    trace = current.get()
    if body is None or not isinstance(trace, Trace) or trace.segment is None:
        _refuse(trace)
    assert body is not None
    if isinstance(x, Expression):
        x = cast(Any, conditional(trace.segment.next_condition()).if_(x).then(True).else_().then(False))
    if isinstance(x, Promise):
        trace.binding_of(x)
        return body.value_of(x)
    if holds_promise(x):
        return cast(Awaitable[T], _whole(body, trace, x))
    future = loop.create_future()
    future.set_result(x)
    return cast(Awaitable[T], future)


def _refuse(trace: Any) -> None:
    if isinstance(trace, InTaskBody):
        problem, way_out = f"value(…) stands in the task {trace.name}", "a task has its values already: use them"
    elif isinstance(trace, Trace) and trace.outer is not None:
        problem, way_out = "value(…) stands in an arm that is open", "close the arm first, with .then(…)"
    else:
        problem = "value(…) stands outside an async dynamic"
        way_out = "write the function as `@dynamic` and `async def`, and await there"
    error = AwaitError(problem, where=user_line(), way_out=way_out)
    if isinstance(trace, Trace):
        trace.fatal.append(error)
    raise error


async def _whole(body: Awaiting, trace: Trace, x: Any) -> Any:
    """Give a list, tuple, dict or dataclass with the values of the promises in it."""
    if isinstance(x, Promise):
        return await body.value_of(x)
    if isinstance(x, dict):
        return {key: await _whole(body, trace, one) for key, one in x.items()}
    if isinstance(x, list | tuple):
        items = [await _whole(body, trace, one) for one in x]
        if isinstance(x, list):
            return items
        return tuple(items) if type(x) is tuple else type(x)(*items)
    if is_dataclass(x) and not isinstance(x, type):
        return replace(
            x, **{one.name: await _whole(body, trace, getattr(x, one.name)) for one in fields(x) if one.init}
        )
    if is_model(type(x)):
        names = field_names(type(x))
        return builder(type(x), names)([await _whole(body, trace, getattr(x, name)) for name in names], beside(x))
    return x
