"""@cycle: a function whose calls are made again in each round, round after round (rules C1 to C4).

This module owns the decorator and `expand_round`, the executor's door to the tracing of a round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Concatenate, Final, NamedTuple, Unpack, overload

from promissory.planner.active import current
from promissory.planner.body.cycle import Cycle
from promissory.planner.body.points import Cron, Rounds
from promissory.planner.body.signals import Loop, Signal
from promissory.planner.entities.dynamic import Dynamic
from promissory.planner.errors import (
    CompileError,
    DecorationError,
    LeakedPromise,
    PromiseError,
    SignalError,
    Where,
    raised_at,
    user_line,
)
from promissory.planner.functions.entity import P, R, checked_policy, locals_where_decorated
from promissory.planner.functions.signature import Signature, read_signature
from promissory.planner.nodes.cycle import Until
from promissory.planner.nodes.round import CycleBody
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.policy import Policy, TaskPolicy
from promissory.planner.tracing.session import Session
from promissory.planner.tracing.trace import Trace
from promissory.typesys.types import BOOL, INT, NONE, Type

RESULT, UNTIL, LAST, BACK = "result", "until", "last", "back"
"""The outputs of a round's plan: its result; whether the cycle ends with it, if the body says so; nothing, if something
is to run after the last round; how many rounds back the body reaches, if that is more than one: rounds before the first
one that does keep their values for it."""
_MOST_TRACED: Final = 64
"""Rounds that are traced before anything runs."""
_MEANINGLESS: Final = ("cache", "cache_version", "cache_ignore", "cache_serialize", "max_iterations", "commit")


class _NeedsValues(Exception):
    """The body can't be traced without the values of its inputs."""


class CycleFunction(Dynamic[P, R]):
    """A function that is traced once for each round of a cycle. Made by `@cycle`.

    A call gives the result of the last round that has finished.
    """

    kind = "cycle"

    def __init__(
        self,
        function: Callable[..., Any],
        policy: Policy,
        strict: bool | None,
        frame_locals: Mapping[str, Any],
        written: Iterable[str] = (),
        rounds: Rounds = Rounds(),  # noqa: B008 — frozen
        real_time: bool = True,
    ) -> None:
        self.rounds = rounds
        self.real_time = real_time
        self._types: dict[str, Type] = {}
        self._is_checked = False
        self._farthest = 0
        self._ahead: tuple[int, Any, Iterator[Any]] | None = None
        super().__init__(function, policy, strict, frame_locals, written)

    def _read_signature(self) -> Signature:
        return read_signature(
            self.function, self.kind, self._namespace, self._strict, may_give_none=not self.rounds.is_sure_to_begin
        )

    def more_state(self) -> dict[str, Any]:
        """Give the rounds."""
        return {"rounds": self.rounds, "real_time": self.real_time}

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self.check_body()
        return super().__call__(*args, **kwargs)

    def compile(self) -> Plan:
        """Make the plan that calls this cycle with the inputs of the run. Its body is traced at run time."""
        self.check_body()
        return super().compile()

    def check_body(self) -> None:
        """Trace the first rounds, with promises for the inputs, and raise what is wrong with them (rule C1).

        As many rounds are traced as the body reaches back. A body that works with the values of its inputs can't be
        traced without them, and is checked as it runs.
        """
        if not self._is_checked:
            self.template()
            self._is_checked = True

    def template(self) -> Plan | None:
        """Give the plan of a round before which there are as many as the body reaches back.

        None if the body needs the values of its inputs. Raises `CompileError` as `check_body`.
        """
        plans = self.first_rounds()
        return plans[-1] if plans else None

    def first_rounds(self) -> list[Plan]:
        """Give the plans of the first rounds, up to one before which there are as many as the body reaches back.

        The list is empty if the body needs the values of its inputs. Raises `CompileError` as `check_body`.
        """
        plans: list[Plan] = []
        try:
            for ordinal in range(1, _MOST_TRACED + 1):
                point = self.point(ordinal) if ordinal <= max(3, self._farthest + 1) else None
                if point is None:
                    break
                plans.append(self._trace(ordinal, point[0], point[1], None, None, False))
            rounds = self.rounds
            if rounds.points is None and rounds.stop is not None:
                last = (rounds.stop - rounds.start) // rounds.step + 1
                if last > len(plans):
                    self._trace(last, rounds.start + (last - 1) * rounds.step, True, None, None, False)
        except _NeedsValues:
            return []
        return plans

    def point(self, ordinal: int, stop: int | None = None) -> tuple[Any, bool] | None:
        """Give the point of a round, and whether it is the last; None if there is no such round.

        Args:
            stop: a number that the cycle does not go beyond, instead of its own.
        """
        rounds = (
            self.rounds
            if stop is None or self.rounds.points is not None
            else Rounds(self.rounds.start, stop, self.rounds.step)
        )
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == ordinal and stop is None:
            _, point, points = ahead
        else:
            points = rounds.from_ordinal(ordinal)
            point = next(points, None)
        if point is None:
            return None
        following = next(points, None)
        if following is not None and stop is None:
            self._ahead = ordinal + 1, following, points
        last = following is None or (stop is not None and rounds.points is not None and ordinal >= stop)
        return point, last

    def number(self, ordinal: int) -> int:
        """Give the number of a round, as paths have it."""
        return round_number(self.policy, ordinal)

    def _trace(
        self,
        ordinal: int,
        point: Any,
        last: bool,
        values: Sequence[Any] | None,
        encoded: Sequence[bytes] | None,
        closing: bool,
        held: frozenset[str] | None = None,
    ) -> Plan:
        cycle = Cycle(self.number(ordinal), point, ordinal == 1, last)
        while True:
            known = len(self._types)
            session = Session()
            trace = Trace(session, self.name, self.signature.inputs)
            trace.in_dynamic = trace.runs_on = True
            body = trace.cycle = CycleBody(trace, cycle, ordinal, self._types, closing, held)
            if values is not None and encoded is not None:
                trace.binder.remember_inputs(values, encoded)
            given = [trace.input(index) for index in range(len(trace.inputs))] if values is None else list(values)
            try:
                returned = self._returned(trace, cycle, given)
            except LeakedPromise:
                raise
            except CompileError as error:
                if given and values is None and isinstance(error, PromiseError):
                    raise _NeedsValues from None
                raise
            except (NameError, TypeError, AttributeError):
                if given and values is None:  # the body may do anything with what it takes for a value
                    raise _NeedsValues from None
                raise
            except Exception:
                if values is None:  # it may be well when the round runs
                    raise _NeedsValues from None
                raise
            self._farthest = max(self._farthest, body.farthest)
            self._finish(trace, body, returned, closing)
            if len(self._types) == known:
                return session.plan()
            # A node that was named before it was called has a type now, so the next trace binds it rightly.

    def _returned(self, trace: Trace, cycle: Cycle, values: list[Any]) -> Any:
        fatal = trace.session.fatal
        token = current.set(trace)
        try:
            returned = self.call_function(values, cycle if self.signature.takes_cycle else None)
        except Loop as signal:
            raise SignalError(
                f"the cycle {self.name} raised Loop, and it goes on to its next round by itself",
                where=raised_at(signal),
                way_out="until(…) ends it",
            ) from None
        except (Exception, Signal, SystemExit) as error:
            if fatal and error is not fatal[0]:
                raise fatal[0] from error
            raise
        finally:
            current.reset(token)
        if fatal:
            raise fatal[0]
        return returned

    def _finish(self, trace: Trace, body: CycleBody, returned: Any, closing: bool) -> None:
        code = self.function.__code__
        where = Where(code.co_filename, code.co_firstlineno)
        if closing:
            trace.finish([], where)
            return
        if isinstance(returned, Until):
            returned = None
        if isinstance(returned, tuple) and returned and isinstance(returned[-1], Until):
            returned = returned[0] if len(returned) == 2 else returned[:-1]
        signature = self.signature
        outputs = [(RESULT, signature.interface.result, signature.shaped(returned), f"the result of {self.name}()")]
        if body.until is not None:
            outputs.append((UNTIL, BOOL, body.until, "until(…)"))
        if body.closes:
            outputs.append((LAST, NONE, None, "once(last=True)"))
        if body.farthest + body.closes > 1:  # seen from behind the last round, everything is a round farther back
            outputs.append((BACK, INT, body.farthest + body.closes, "prev(…)"))
        trace.finish(outputs, where)


class NotYet(NamedTuple):
    """A round whose moment has not come.

    Attributes:
        due: the moment, in seconds since the epoch.
    """

    due: float


def expand_round(
    entity: CycleFunction[..., Any],
    ordinal: int,
    values: Sequence[Any],
    encoded: Sequence[bytes] | None = None,
    *,
    stop: int | None = None,
    closing: bool = False,
    now: float | None = None,
    held: frozenset[str] | None = None,
) -> Plan | NotYet | None:
    """Trace a round of a cycle, with its inputs as values.

    Args:
        entity: the cycle.
        ordinal: the number of the round, from 1.
        values: the cycle's arguments, in the order of its parameters.
        encoded: the bytes from which they were decoded, if they are at hand.
        stop: a number that the cycle does not go beyond, instead of its own.
        closing: whether to trace the calls of `once(last=True)` after this round, which was the last.
        now: the time, in seconds since the epoch; None to wait for no moment.
        held: the names under which earlier rounds have nodes of `once` and `every`; None if all have that should.

    Returns:
        The plan of the round; `NotYet` if the moment that it is for has not come; None if there is no such round.

    Raises:
        CompileError: the trace of the body found a mistake. Any other exception is the body's own.
    """
    found = entity.point(ordinal, stop)
    if found is None:
        return None
    point, last = found
    if now is not None and entity.real_time and isinstance(point, datetime) and point.timestamp() > now:
        return NotYet(point.timestamp())
    return entity._trace(ordinal, point, last or closing, values, encoded, closing, held)


def round_number(policy: Policy, ordinal: int) -> int:
    """Give the number of a cycle's round.

    >>> round_number(Policy(cycle=(10, None, 5, 4, "")), 3)
    20
    """
    assert policy.cycle is not None
    start, _, step, *_ = policy.cycle
    return start + (ordinal - 1) * step


@overload
def cycle(function: Callable[Concatenate[Cycle, P], R], /) -> CycleFunction[P, R]: ...
@overload
def cycle(function: Callable[P, R], /) -> CycleFunction[P, R]: ...
@overload
def cycle(
    *,
    start: int | datetime = 1,
    stop: int | datetime | None = None,
    step: int = 1,
    points: timedelta | Cron | Iterable[int] | Iterable[datetime] | Callable[[], Iterable[Any]] | None = None,
    max_active: int = 4,
    real_time: bool = True,
    strict: bool | None = None,
    **policy: Unpack[TaskPolicy],
) -> Callable[[Callable[Concatenate[Cycle, P], R]], CycleFunction[P, R]]: ...
def cycle(
    function: Any = None,
    /,
    *,
    start: Any = 1,
    stop: Any = None,
    step: int = 1,
    points: Any = None,
    max_active: int = 4,
    real_time: bool = True,
    strict: bool | None = None,
    **policy: Unpack[TaskPolicy],
) -> Any:
    """Make a function a cycle: its calls are made again in each round.

    The rounds overlap: a node starts when what it needs is there, be it of this round or of an earlier one.

    Args:
        start, stop: the first number or moment, and the one that no round goes beyond; None for no end.
        step: from a number to the next.
        points: the points of the rounds, if they are no such numbers: a timedelta or a `Cron` (then `start` is a
            datetime), a list or range of numbers or datetimes, or a function that makes an iterator of those.
        max_active: how many rounds may be unfinished at one time, counted from the earliest.
        real_time: whether a round for a moment that is still to come waits for that moment. Rounds for moments that
            have passed follow each other at once.
        strict: as for `@task`.
        policy: arguments of `@task` that are about the tracing of a round (retries, time-out, pool, resources).

    Raises:
        DecorationError: the function can't be a cycle, or there are no such rounds.

    >>> from promissory import prev, task
    >>> @task
    ... def next_one(a: int, b: int) -> int:
    ...     return a + b
    >>> @cycle(stop=10)
    ... def fibonacci(c: Cycle) -> int:
    ...     return next_one(prev(next_one, default=1), prev(next_one, 2, default=0))
    >>> fibonacci()
    55
    """
    meaningless = [name for name in _MEANINGLESS if name in policy]
    if meaningless:
        raise DecorationError(
            f"{meaningless[0]} says nothing of a cycle",
            where=user_line(),
            way_out="give it to the tasks that the cycle calls",
        )
    try:
        rounds = Rounds(start, stop, step, points)
        numbers = (start, stop, step) if points is None else (1, None, 1)
        checked = replace(checked_policy(policy, "cycle"), cycle=(*numbers, max_active, rounds.text))
        checked.check()
    except ValueError as error:
        if isinstance(error, CompileError):
            raise
        raise DecorationError(str(error), where=user_line()) from None
    namespace = locals_where_decorated(1)

    def decorated(wrapped: Any) -> CycleFunction[..., Any]:
        return CycleFunction(wrapped, checked, strict, namespace, policy, rounds, real_time)

    return decorated if function is None else decorated(function)
