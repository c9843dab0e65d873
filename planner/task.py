"""@task: a typed unit of work."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Protocol, cast, overload

from planner.entity import Entity, P, R, checked_policy, locals_where_decorated
from planner.policy import Resources, seconds
from planner.promise import Promise
from planner.tracing import InTaskBody, Trace, current


class Task(Entity[P, R]):
    """A function that a plan calls. Made by `@task`.

    Where a workflow is traced, a call records a node and gives a promise. Anywhere else it is the function itself, with its inputs checked: a wrong call
    raises what Python raises, an argument of another type a `TypeError` that names it.

    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> inc(1), inc.__name__
    (2, 'inc')
    """

    kind = "task"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        trace = current.get()
        if trace.__class__ is Trace:
            return cast(R, trace.record_call(self, args, kwargs))
        values = self.arguments(args, kwargs)
        token = current.set(InTaskBody(self.name))
        try:
            return cast(R, self.run_body(values))
        finally:
            current.reset(token)

    def run_body(self, values: list[Any], to_its_end: bool = False) -> Any:
        """Call the function; an async one is run to its end on an event loop.

        Where a loop runs already (a notebook's, a server's), a plain call gives a coroutine to await; `to_its_end` runs it on a loop of another thread.
        """
        result = self.call_function(values)
        if not inspect.iscoroutine(result):
            return result
        if not _loop_is_running():
            return _run_coroutine(result)
        return _in_thread(result) if to_its_end else result


def _run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    import asyncio  # slow to import, and few tasks need it

    return asyncio.run(coroutine)


def _loop_is_running() -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def _in_thread(coroutine: Coroutine[Any, Any, Any]) -> Any:
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, _run_coroutine, coroutine).result()


class _TaskDecorator(Protocol):
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, None]], /) -> Task[P, Promise[None]]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, None], /) -> Task[P, Promise[None]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(function: Callable[P, Coroutine[Any, Any, None]], /) -> Task[P, Promise[None]]: ...
@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
@overload
def task(function: Callable[P, None], /) -> Task[P, Promise[None]]: ...
@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    timeout: float | timedelta | None = None,
    pool: str | None = None,
    resources: Resources | None = None,
    strict: bool | None = None,
) -> _TaskDecorator: ...
def task(
    function: Any = None,
    /,
    *,
    timeout: float | timedelta | None = None,
    pool: str | None = None,
    resources: Resources | None = None,
    strict: bool | None = None,
) -> Any:
    """Make a function a task: a typed unit of work that a plan can call.

    Args:
        timeout: seconds that one attempt of the body may take; then its worker is stopped and the task fails.
        pool: a name; `run(pools={name: n})` limits how many calls of one pool run at one time.
        resources: what a call needs while it runs.
        strict: refuse missing annotations and classes without wire form instead of warning; by default as `PROMISSORY_STRICT` says.

    Raises:
        DecorationError: the function can't be a task (a generator, a method, a lambda, `*args`); the message says what to write.

    >>> @task
    ... def add(a: int, b: int = 1) -> int:
    ...     return a + b
    >>> add(2)
    3
    >>> add("2")
    Traceback (most recent call last):
        ...
    TypeError: add(a=…): expected int, got str
    """
    policy = checked_policy(timeout=seconds(timeout), pool=pool, resources=resources)
    namespace = locals_where_decorated(1)
    if function is not None:
        return Task(function, policy, strict, namespace)
    return lambda wrapped: Task(wrapped, policy, strict, namespace)
