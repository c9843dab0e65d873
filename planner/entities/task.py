"""@task: a typed unit of work."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Protocol, Unpack, cast, overload

from promissory.planner.active import current
from promissory.planner.body.context import Context
from promissory.planner.entities.plain_call import PlainCall
from promissory.planner.entities.traced import Traced
from promissory.planner.functions.entity import P, R, checked_policy, locals_where_decorated
from promissory.planner.plan.policy import TaskPolicy
from promissory.planner.tracing.promise import Promise
from promissory.planner.tracing.trace import Trace


class Task(Traced[P, R]):
    """A function that a plan calls. Made by `@task`.

    Where a workflow is traced, a call records a node and gives a promise. Anywhere else a call is that of the function
    itself, with its inputs and its result checked: a wrong call raises what Python raises, a value of another type a
    `TypeError` that says where.

    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> inc(1), inc.__name__
    (2, 'inc')
    """

    kind = "task"

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        trace = current.get()
        if trace.__class__ is Trace:
            return cast(R, trace.record_call(self, args, kwargs))
        values = self.arguments(args, kwargs)
        with PlainCall(self.name):
            result = self.call_function(values)
            if inspect.iscoroutine(result):
                if _loop_is_running():  # a notebook's, a server's: the caller awaits
                    return cast(R, self._awaited(result))
                result = _run_coroutine(result)
            return cast(R, self.checked_result(result))

    async def _awaited(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        with PlainCall(self.name):
            return self.checked_result(await coroutine)

    def run_body(self, values: list[Any]) -> Any:
        """Call the function. An async function is run to its end on an event loop, of another thread where a loop runs
        already."""
        result = self.call_function(values)
        if not inspect.iscoroutine(result):
            return result
        return _in_thread(result) if _loop_is_running() else _run_coroutine(result)


def _run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    # This import is slow, and few tasks need it.
    import asyncio

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
    def __call__(
        self, function: Callable[Concatenate[Context, P], Coroutine[Any, Any, None]], /
    ) -> Task[P, Promise[None]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], None], /) -> Task[P, Promise[None]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, None]], /) -> Task[P, Promise[None]]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, None], /) -> Task[P, Promise[None]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(function: Callable[Concatenate[Context, P], Coroutine[Any, Any, None]], /) -> Task[P, Promise[None]]: ...
@overload
def task(function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
@overload
def task(function: Callable[Concatenate[Context, P], None], /) -> Task[P, Promise[None]]: ...
@overload
def task(function: Callable[Concatenate[Context, P], R], /) -> Task[P, R]: ...
@overload
def task(function: Callable[P, Coroutine[Any, Any, None]], /) -> Task[P, Promise[None]]: ...
@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
@overload
def task(function: Callable[P, None], /) -> Task[P, Promise[None]]: ...
@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(*, strict: bool | None = None, **policy: Unpack[TaskPolicy]) -> _TaskDecorator: ...
def task(function: Any = None, /, *, strict: bool | None = None, **policy: Unpack[TaskPolicy]) -> Any:
    """Make a function a task: a typed unit of work that a plan can call.

    Args:
        timeout: seconds (or a timedelta) that one attempt of the body may take. After them its worker is stopped and
            the attempt has failed.
        pool: a name; `run(pools={name: n})` limits how many calls of one pool run at one time.
        resources: the resources that a call needs while it runs.
        retries: the number of attempts after one that failed.
        retry_delay: seconds (or a timedelta) before another attempt, or a list: before the second attempt, the third,
            and so on.
        backoff: the factor from each delay to the next.
        jitter: the part of a delay, from 0 to 1, by which it may be changed up or down.
        retry_on: the exceptions that are worth another attempt; by default any `Exception`.
        cache: take the result of an equal call, of this run or an earlier one in the same store, instead of running the
            body.
        cache_version: a text to change when the code's results for the same inputs change; "code" makes it a digest of
            the code, and of the project's functions that the code calls.
        cache_ignore: names of inputs that make no difference for the result.
        cache_serialize: of equal calls at one time, in one run or several on one store, let one run and the others take
            its result.
        commit: "each" lets no successor start before the result is stored for good.
        max_iterations: the number of iterations of a body that loops (`raise Loop`) before it fails as
            `IterationLimitExceeded`.
        keep_children: let processes that the body leaves outlive the run, a server that it starts, say. Otherwise they
            end with the run.
        strict: refuse missing annotations and classes without wire form instead of warning; by default
            `PROMISSORY_STRICT` decides.

    Raises:
        DecorationError: the function can't be a task (a generator, a method, a lambda, `*args`), or a value is out of
            range; the message says what to write.

    >>> @task(retries=3, retry_delay=0.5, backoff=2)
    ... def add(a: int, b: int = 1) -> int:
    ...     return a + b
    >>> add(2)
    3
    >>> add("2")
    Traceback (most recent call last):
        ...
    TypeError: add(a=…): expected int, got str
    """
    checked = checked_policy(policy, "task")
    namespace = locals_where_decorated(1)
    if function is not None:
        return Task(function, checked, strict, namespace, policy)
    return lambda wrapped: Task(wrapped, checked, strict, namespace, policy)
