"""Options of tasks that can't have an effect in a plan: what is said about retries where nothing is tried again, and
about the cache where nothing is cached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from promissory.planner.plan.model import Callee
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.policy import Policy, overridden

_DEFAULT: Final = Policy()
_OF_RETRIES: Final = ("retry_delay", "backoff", "jitter", "retry_on")
_OF_CACHE: Final = ("cache_version", "cache_ignore", "cache_serialize")


def options_without_effect(plan: Plan) -> Iterator[tuple[int, str]]:
    """Give the number of each callable that has such options, and a sentence about them.

    >>> import warnings
    >>> from promissory import compile, task
    >>> @task(cache_version="2", retry_delay=1.0)
    ... def load(x: int) -> int:
    ...     return x
    >>> with warnings.catch_warnings(action="ignore"):
    ...     plan = compile(load)
    >>> for _, said in options_without_effect(plan):
    ...     print(said)
    load: retry_delay has no effect without retries=
    load: cache_version has no effect without cache=True
    """
    for number, callee in enumerate(plan.shape.callees):
        # A plan that came as bytes has only what differs from the defaults.
        written = plan.origin.entities[number].written if plan.origin.entities else ()
        doubtful = [name for name in (*_OF_RETRIES, *_OF_CACHE) if name in written or _differs(callee.policy, name)]
        if not doubtful:
            continue
        policies = [callee.policy, *_overridden(plan, number, callee)]
        tries, caches = any(one.retries for one in policies), any(one.cache for one in policies)
        for names, has_effect, needs in (
            ([name for name in doubtful if name in _OF_RETRIES], tries, "retries="),
            ([name for name in doubtful if name in _OF_CACHE], caches, "cache=True"),
        ):
            if names and not has_effect:
                yield number, _sentence(callee, names, needs)


def _differs(policy: Policy, name: str) -> bool:
    return bool(getattr(policy, name) != getattr(_DEFAULT, name))


def _overridden(plan: Plan, number: int, callee: Callee) -> Iterator[Policy]:
    """The policies of the nodes that call a callable with overrides of their own."""
    for graph in plan.shape.graphs:
        for index, entries in graph.overrides.items():
            if graph.calls(index) and graph.targets[index] == number:
                yield overridden(callee.policy, dict(entries))


def _sentence(callee: Callee, names: list[str], needs: str) -> str:
    said = f"{', '.join(names[:-1])} and {names[-1]} have" if len(names) > 1 else f"{names[0]} has"
    return f"{callee.short_name}: {said} no effect without {needs}"
