"""`merge`: the workflow goes on with the first of several values that is there."""

from __future__ import annotations

from typing import TypeVar

from promissory.planner.active import current
from promissory.planner.errors import EdgeTypeError, WrongCall, user_line
from promissory.planner.plan.model import MERGE, Parameter
from promissory.planner.plan.specs import Merge
from promissory.planner.tracing.promise import Promise
from promissory.planner.tracing.trace import Trace
from promissory.planner.tracing.value_types import common_type, type_of

T = TypeVar("T")


def merge(*values: T) -> T:
    """Give the first of some values whose node was not skipped. If all were skipped, so is this node.

    `None` is a value like any other. If the node of one of the values fails, so does this node. For a choice that the
    workflow itself makes, `conditional` gives the value of the arm that ran.

    Args:
        values: promises, or values that are there in any case, which only make sense in the last place. All are of one
            type.

    Raises:
        EdgeTypeError: the values are of different types.

    >>> from promissory import Skip, merge, task, workflow
    >>> @task
    ... def cached(key: str) -> int:
    ...     raise Skip("not there")
    >>> @task
    ... def computed(key: str) -> int:
    ...     return len(key)
    >>> @workflow
    ... def lookup(key: str) -> int:
    ...     return merge(cached(key), computed(key))
    >>> print(lookup.compile())
    plan lookup(key: str) -> int
      cached   : int = task cached(key=key)
      computed : int = task computed(key=key)
      merge    : int = first of (cached, computed)
      return merge
    """
    trace = current.get()
    where = user_line()
    if not values:
        raise WrongCall("merge() takes at least one value", where=where)
    if not isinstance(trace, Trace):
        return values[0]
    types = [type_of(value) for value in values]
    result = common_type(types)
    if result is None:
        said = ", ".join(str(one) for one in types)
        trace.problem(
            EdgeTypeError(
                f"merge(…) is given values of different types: {said}",
                where=where,
                way_out="make them one type in a task",
            )
        )
        result = types[0]
        values = values[:1]
    bindings = [trace.binder.bind(value, result, f"merge(…)[{index}]", where) for index, value in enumerate(values)]
    inputs = tuple(Parameter(f"in{index}", result) for index in range(len(values)))
    node = trace.add(MERGE, 0, bindings, where, Merge(inputs, result))
    merged: T = Promise(trace, result, node)  # type: ignore[assignment]
    return merged
