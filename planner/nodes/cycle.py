"""`prev`, `once`, `every` and `until`: what the body of a cycle says of its other rounds (rule C1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from promissory.planner.active import current
from promissory.planner.errors import CycleError, user_line
from promissory.planner.nodes.round import MISSING, CycleBody, said_of
from promissory.planner.tracing.trace import Trace

P = ParamSpec("P")
R = TypeVar("R")


class Until:
    """What `until` gives, so that it may stand behind the result: `return state, until(state.error < 0.1)`."""


def _body(what: str) -> CycleBody:
    """The body that is traced. Raises `CycleError` anywhere else."""
    trace = current.get()
    body = trace.cycle if isinstance(trace, Trace) else None
    if not isinstance(body, CycleBody):
        error = CycleError(
            f"{what}(…) stands outside the body of a cycle",
            where=user_line(),
            way_out="it is about the other rounds of a @cycle: write it in the body itself",
        )
        if isinstance(trace, Trace):
            trace.fatal.append(error)
        raise error
    return body


def prev(what: Callable[..., R] | str, distance: int = 1, default: Any = MISSING) -> R:
    """Stand for the value that a node had in an earlier round of the cycle.

    The round begins although that value is still to come; only what takes it waits. In an order (`prev(bar) >> foo()`)
    it waits without taking the value.

    Args:
        what: the task, workflow or dynamic that the body calls exactly once, or a node's name.
        distance: how many rounds back; at least 1.
        default: what comes instead where there is no such round: a value, or a promise, whose call is made in those
            rounds only; `Skip` to skip what takes it. Without a default the value may not be taken there; an order then
            waits for nothing.

    Raises:
        CycleError: outside the body of a cycle, or not about an earlier round.

    >>> from promissory import Cycle, cycle, task
    >>> @task
    ... def add(total: int, number: int) -> int:
    ...     return total + number
    >>> @cycle(stop=4)
    ... def summed(c: Cycle) -> int:
    ...     return add(prev(add, default=0), c.number)
    >>> summed()
    10
    """
    return cast(R, _body("prev").reach(what, distance, default, user_line()))


def once(*given: Any, last: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Call something in one round only.

    `once()(prepare)(…)` is one node, begun in the first round; its promise may be taken in every round.
    `once(last=True)(report)(…)` runs after the last round, with the values of that round; nothing may take it.

    Args:
        last: whether it is the last round instead of the first.

    >>> from promissory import Cycle, cycle, task
    >>> @task
    ... def prepare() -> int:
    ...     return 100
    >>> @task
    ... def add(total: int, number: int) -> int:
    ...     return total + number
    >>> @cycle(stop=3)
    ... def counted(c: Cycle) -> int:
    ...     return add(once()(prepare)(), c.number)
    >>> counted()
    103
    """
    body, where = _body("once"), user_line()
    if given:
        body.refuse(f"once({said_of(given[0])}) names no rounds", where, f"write once()({said_of(given[0])})(…)")
    if last:
        return lambda entity: body.at_the_end(entity, where)
    return lambda entity: body.held(entity, None, 0, MISSING, where)


def every(n: int, offset: int = 0, default: Any = MISSING) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Call something in every n-th round. In between, its promise stands for the latest one.

    Args:
        n: from one of these rounds to the next.
        offset: how many rounds are before the first of them.
        default: what comes instead in rounds before the first, as for `prev`.

    >>> from promissory import Cycle, cycle, task
    >>> @task
    ... def look(number: int) -> int:
    ...     return number
    >>> @cycle(stop=6)
    ... def seen(c: Cycle) -> int:
    ...     return every(4)(look)(c.number)
    >>> seen()
    5
    """
    body, where = _body("every"), user_line()
    if n.__class__ is not int or n < 1 or offset.__class__ is not int or offset < 0:
        body.refuse(f"every({n!r}, offset={offset!r}) names no rounds", where, "n is at least 1, and offset at least 0")
    return lambda entity: body.held(entity, n, offset, default, where)


def until(condition: Any) -> Any:
    """End the cycle after the first round in which a condition holds.

    The next round begins when it is known that the condition does not hold, so no round runs in vain. It may stand
    behind the result, or as a statement of its own.

    Args:
        condition: a comparison of promises, joined with `&` and `|` as for `conditional`, a promise of a bool, or a
            bool.

    >>> from promissory import Cycle, cycle, task
    >>> @task
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> @cycle
    ... def grown(start: int) -> int:
    ...     x = double(prev(double, default=start))
    ...     until(x > 100)
    ...     return x
    >>> grown(3)
    192
    """
    _body("until").end_when(condition, user_line())
    return Until()
