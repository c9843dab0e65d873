"""The body of an `async def` dynamic, from await to await (rule D8).

A body is driven by what it is told: a moment, and the values that have come. It goes on until it waits again, and what
it has called since is the next segment of its plan. Told the same again, it does the same again.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from promissory.planner.active import current
from promissory.planner.body.await_loop import AwaitLoop
from promissory.planner.body.in_order import of_the_library
from promissory.planner.body.step_context import carried_into_steps
from promissory.planner.entities.dynamic import Dynamic
from promissory.planner.errors import AwaitError, Where, warn
from promissory.planner.plan.bindings import assemble
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.shape_format import same_shape
from promissory.planner.tracing.promise import Promise
from promissory.planner.tracing.segment import Segment
from promissory.planner.tracing.session import Session
from promissory.planner.tracing.trace import Trace
from promissory.typesys.buffer import Parts
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.types import Type
from promissory.typesys.wire import Codec, codec_for

Ref = tuple[int, int]
"""A node that a body may wait for: the number of its segment, from 1, and its place in it."""


Given = bytes | Callable[[], bytes] | BaseException


class Answer(NamedTuple):
    """What a body is told of a node: its value, encoded, or what fetches that; or the exception of its failure."""

    node: Ref
    value: Given


class Stretch(NamedTuple):
    """What a body did until it waits again, or has ended.

    Attributes:
        plan: the calls that it made; None if it made none and has not ended.
        ends: whether it has ended: the output of the plan is its result.
        awaited: the nodes for which it waits, and did not before.
        due: the moment for which it waits, in seconds since the epoch; None for none.
        result: the plain result of a body that never waited and called nothing.
    """

    plan: Plan | None
    ends: bool
    awaited: list[Ref]
    due: float | None
    result: Any = None


NOTHING: Final = object()
"""No plain result."""


class AwaitingBody:
    """A body of an async dynamic.

    Args:
        entity: the dynamic.
        values: its arguments, in the order of its parameters.
        encoded: the bytes from which the values were decoded.
        now: the moment at which it begins, in seconds since the epoch.

    Attributes:
        loop: its event loop.
        stretches: how often it has been told something.
        emitted: how many segments it has emitted.

    >>> from promissory import dynamic, task, value
    >>> @task
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> @dynamic
    ... async def quadruple(x: int) -> int:
    ...     return double(await value(double(x)))
    >>> body = AwaitingBody(quadruple, [5], None, now=0.0)
    >>> body.go_on(0.0, ()).awaited
    [(1, 0)]
    >>> body.go_on(1.0, [Answer((1, 0), b"\\n")]).ends
    True
    """

    def __init__(
        self,
        entity: Dynamic[..., Any],
        values: Sequence[Any],
        encoded: Sequence[bytes] | None,
        now: float,
        parts: Parts | None = None,
    ) -> None:
        self.loop = AwaitLoop(entity.name, self._enter, now)
        self.loop.body = self
        self.stretches = self.emitted = 0
        self._entity = entity
        self._values: list[Any] | None = list(values)
        self._encoded = encoded
        self.parts = parts
        self._ordinal = 0
        self._is_ending = False
        self._trace: Trace
        self._segment: Segment
        self._carried: list[Any] = []
        self._parked: dict[tuple[int, int], list[tuple[asyncio.Future[Any], Promise[Any]]]] = {}
        self._fresh: list[tuple[Segment, int]] = []
        self._segments: weakref.WeakValueDictionary[int, Segment] = weakref.WeakValueDictionary()
        self._answers: dict[Ref, Given] = {}
        self._failures: list[tuple[BaseException, int]] = []
        self._begin_segment()
        if entity not in _LOOKED_AT:
            _LOOKED_AT.add(entity)
            _tell_of_the_librarys(entity)

    def _begin_segment(self) -> None:
        self._ordinal += 1
        session = Session()
        trace = Trace(session, self._entity.name, self._entity.signature.inputs)
        trace.in_dynamic = trace.runs_on = True
        trace.segment = Segment(self, self._ordinal)
        if self._ordinal > 1:
            trace.binder.knows_as(self._trace.binder)
        elif self._encoded is not None and self._values is not None:
            trace.binder.remember_inputs(self._values, self._encoded)
        self._trace = trace
        self._segment = trace.segment
        self._segments[self._ordinal] = trace.segment

    def _enter(self) -> None:
        """Have a step see the trace, the body and the listener of now, and not those of its task's beginning."""
        current.set(self._trace)
        for variable, given in self._carried:
            variable.set(given)

    # --- driving ---

    def go_on(self, now: float, answers: Sequence[Answer]) -> Stretch:
        """Tell the body what has come since, and give what it did. Raises what the body raised.

        Args:
            now: the moment, in seconds since the epoch.
            answers: the nodes that have ended, in the order in which they did.
        """
        loop = self.loop
        self._carried = carried_into_steps()
        if self._values is not None:
            token = current.set(self._trace)
            try:
                self._task = loop.create_task(self._entity.call_function(self._values))
            finally:
                current.reset(token)
            self._values = None
        self.stretches += 1
        loop.set_time(now)
        loop.drain()
        for answer in answers:
            self._take(answer)
            loop.drain()
        while loop.fire():
            loop.drain()
        if self._task.done() and not self._tasks_go_on():
            return self._end()
        if self._trace.fatal:
            raise self._trace.fatal[0]
        plan = self._emit() if len(self._trace) else None
        awaited = [
            (segment.ordinal, segment.place(node))
            for segment, node in self._fresh
            if any(not future.done() for future, _ in self._parked.get((segment.ordinal, node), ()))
        ]
        self._fresh.clear()
        due = loop.due
        if due is None and not self._waits():
            raise AwaitError(
                f"{self._entity.name} waits for what nothing will bring: neither a node nor a moment",
                where=self._where(),
                way_out="await what a call gives: await value(call()), or asyncio.sleep(…)",
            )
        return Stretch(plan, False, awaited, due)

    def _tasks_go_on(self) -> bool:
        """Tell whether tasks that the body has left still wait for something. They are cancelled, and end as they will
        before the body has ended, as with `asyncio.run`."""
        left = self.loop.end_tasks(self._task, cancels=not self._is_ending)
        self._is_ending = True
        return left and (self._waits() or self.loop.due is not None)

    def _where(self) -> Where | None:
        """The line at which the body waits."""
        coroutine: Any = self._task.get_coro()
        frame = None if coroutine is None else coroutine.cr_frame
        return None if frame is None else Where(frame.f_code.co_filename, frame.f_lineno)

    def _waits(self) -> bool:
        """Tell whether the body waits for any node. Nodes whose futures were cancelled, by a time-out say, are
        forgotten."""
        while self._parked:
            key, waiting = next(iter(self._parked.items()))
            if any(not future.done() for future, _ in waiting):
                return True
            del self._parked[key]
        return False

    def _emit(self) -> Plan:
        """Close the segment, and begin the next."""
        trace = self._trace
        trace.finish([], None)
        return self._closed(trace)

    def _closed(self, trace: Trace) -> Plan:
        plan = trace.session.plan()
        self.emitted += 1
        plan = Plan(same_shape(plan.shape), plan.literals, plan.blobs, plan.origin)
        self._segment.close(plan.shape, trace.places)
        self._begin_segment()
        return plan

    def _end(self) -> Stretch:
        """The body has returned or raised."""
        trace, session = self._trace, self._trace.session
        error = None if self._task.cancelled() else self._task.exception()
        if session.fatal:
            raise session.fatal[0] from error
        if error is not None:
            raise error
        returned = self._task.result()
        self.loop.close()
        signature, code = self._entity.signature, self._entity.function.__code__
        if self.stretches == 1:
            from promissory.planner.tracing.binder import holds_promise

            trace.runs_on = False
            trace.segment = None
            if len(trace) == 0 and not session.problems and not holds_promise(returned):
                return Stretch(None, True, [], None, returned)
        trace.finish(
            [
                (
                    "result",
                    signature.interface.result,
                    signature.shaped(returned),
                    f"the result of {self._entity.name}()",
                )
            ],
            Where(code.co_filename, code.co_firstlineno),
        )
        return Stretch(self._closed(trace), True, [], None, NOTHING)

    def close(self) -> None:
        """Let the body go. The calls that its `finally` blocks make count for nothing: it may go on elsewhere."""
        if self.loop.is_closed():
            return
        trace = Trace(Session(), self._entity.name, self._entity.signature.inputs)
        trace.segment = Segment(self, self._ordinal + 1)
        token = current.set(trace)
        try:
            self.loop.close()
        finally:
            current.reset(token)

    def told_of(self, error: BaseException) -> int | None:
        """Tell how often the body had been told something before it was told of what an error of it comes from; None if
        the error is its own, or comes from what it was told last."""
        todo, seen, found = [error], set[int](), self.stretches - 1
        while todo:
            one = todo.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            found = min([found, *(number for failure, number in self._failures if failure is one)])
            todo += [one.__cause__] if one.__cause__ is not None else []
            todo += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        return found if found < self.stretches - 1 else None

    # --- what the body asks for ---

    def value_of(self, promise: Promise[Any]) -> Awaitable[Any]:
        """Give what a promise of this body stands for, when it is there."""
        segment: Segment = promise._promissory_trace.segment
        node = promise._node()
        assert node is not None
        future = self.loop.create_future()
        if segment is not self._segment:
            known = self._answers.get((segment.ordinal, segment.place(node)))
            if known is not None:
                _resolve(future, promise, segment, known, self.parts)
                return future
        key = (segment.ordinal, node)
        waiting = self._parked.setdefault(key, [])
        if all(other.done() for other, _ in waiting):  # none, or a time-out has cancelled them
            self._fresh.append((segment, node))
        waiting.append((future, promise))
        return future

    def _take(self, answer: Answer) -> None:
        ordinal, place = answer.node
        if isinstance(answer.value, BaseException):
            self._failures.append((answer.value, self.stretches - 1))
        self._answers[answer.node] = answer.value
        segment = self._segments.get(ordinal)  # None if nothing of it is held any more
        for future, promise in () if segment is None else self._parked.pop((ordinal, segment.node_at(place)), ()):
            if not future.done():
                _resolve(future, promise, promise._promissory_trace.segment, answer.value, self.parts)


_LOOKED_AT: Final[weakref.WeakSet[Dynamic[..., Any]]] = weakref.WeakSet()


def _tell_of_the_librarys(entity: Dynamic[..., Any]) -> None:
    function: Any = entity.function
    for name in of_the_library(function):
        warn(
            f"{entity.name} uses {name} as it was imported from asyncio, which goes through a set, so a replay may "
            f"make other calls. Write asyncio.{name}",
            RuntimeWarning,
            Where(function.__code__.co_filename, function.__code__.co_firstlineno),
        )


@lru_cache(1024)
def _codec(type: Type) -> Codec:
    return codec_for(type)


def _resolve(
    future: asyncio.Future[Any], promise: Promise[Any], segment: Segment, given: Given, parts: Parts | None
) -> None:
    if isinstance(given, BaseException):
        # A future takes no `StopIteration`: a coroutine that raised it would seem to have returned.
        future.set_exception(RuntimeError(repr(given)) if isinstance(given, StopIteration) else given)
        return
    answer = given if isinstance(given, bytes) else given()
    node, type, binding = promise._node(), promise._promissory_type, promise._promissory_binding
    assert node is not None
    whole = segment.type_of(node)
    if binding.__class__ is not int or whole != type:

        def leaf(_: Any, __: Type) -> tuple[Any, Type]:
            return unpack(answer, parts=parts), whole

        answer = pack(assemble(binding, type, leaf))
    future.set_result(_codec(type).decode(answer, parts))
